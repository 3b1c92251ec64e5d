//! Whole releases through the engine: the other transport stays complete, and what it pushed the direct one finds.

use serde_json::Value;

use crate::support::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn three_registries_get_one_index_once_whichever_transport_asks_again() {
    let stage = Stage::new(3).await;
    let engine = ["release", "--via", "engine", "--report", "report.json"];
    let first = stage.workspace.run(&engine).await;
    first.expect(0, &["pushed, tags 1.2.3, 1.2, 1, latest set"]);
    let raw = stage.raw_everywhere();
    let index: Value = serde_json::from_slice(&raw).unwrap();
    let children = index["manifests"].as_array().unwrap().iter();
    let platforms: Vec<&Value> = children.map(|it| &it["platform"]["architecture"]).collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    assert!(rows(&stage).iter().all(|it| it["status"] == "pushed"));

    let direct = ["release", "--report", "report.json"];
    for again in [&engine[..], &direct] {
        let run = stage.workspace.run(again).await;
        run.expect(0, &[]);
        let nothing = run.stderr.matches("already there, nothing pushed").count();
        assert!(nothing >= 3, "{run}");
        for row in rows(&stage) {
            assert_eq!(
                (&row["status"], &row["bytes"]),
                (&"equal".into(), &0.into())
            );
        }
        assert!(stage.raw_everywhere() == raw, "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_registry_fails_alone() {
    let stage = Stage::new(2).await;
    let run = stage.workspace.run(&["release", "--via", "engine"]).await;
    run.expect(
        3,
        &[
            "docker-push         Succeeded",
            "docker-push-azure   Succeeded",
            "docker-push-aliyun  Failed",
            "partly done",
        ],
    );
    stage.raw_everywhere();
    assert!(!stage.github.release().draft);
}

/// What the last report says of each registry.
fn rows(stage: &Stage) -> Vec<Value> {
    let rows = stage.report("report.json")["registries"].take();
    let rows = rows.as_array().unwrap().clone();
    assert_eq!(rows.len(), 3);
    rows
}
