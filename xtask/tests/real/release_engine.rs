//! Whole releases through the engine: the other transport stays complete, and what it pushed the direct one finds.

use serde_json::Value;

use crate::servers::release_fixture::{ReleaseFixture, TAGS, docker};

#[tokio::test(flavor = "multi_thread")]
async fn three_registries_get_one_index_once_whichever_transport_asks_again() {
    let fixture = ReleaseFixture::new(3).await;
    let engine = ["release", "--via", "engine", "--report", "report.json"];
    let first = fixture.workspace.run(&engine).await;
    first.expect(0, &["pushed, tags 1.2.3, 1.2, 1, latest set"]);
    let raw = fixture.same(&TAGS);
    let index: Value = serde_json::from_slice(&raw).unwrap();
    let children = index["manifests"].as_array().unwrap().iter();
    let platforms: Vec<&Value> = children.map(|it| &it["platform"]["architecture"]).collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    assert!(rows(&fixture).iter().all(|it| it["status"] == "pushed"));

    // An engine gives the images the names it pushes them by; without a push they stay away.
    let names = pushed_by(&fixture);
    assert_eq!(names.len(), 6, "{names:?}");
    let names = names.iter().map(String::as_str);
    docker(&["image", "rm"].into_iter().chain(names).collect::<Vec<_>>());
    let direct = ["release", "--builder", "engine", "--report", "report.json"];
    for again in [&engine[..], &direct] {
        let run = fixture.workspace.run(again).await;
        run.expect(0, &["already there, nothing pushed"]);
        for row in rows(&fixture) {
            assert_eq!(row["status"], "equal");
            assert_eq!(row["bytes"], 0);
        }
        assert_eq!(pushed_by(&fixture), [""; 0], "{again:?}");
        assert!(fixture.same(&TAGS) == raw, "{again:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_registry_fails_alone() {
    let fixture = ReleaseFixture::new(2).await;
    let run = fixture.workspace.run(&["release", "--via", "engine"]).await;
    run.expect(
        3,
        &[
            "docker-push         succeeded",
            "docker-push-azure   succeeded",
            "docker-push-aliyun  failed",
            "partly done",
        ],
    );
    fixture.same(&TAGS);
    assert!(!fixture.github.release().draft);
}

/// What the last report says of each registry.
fn rows(fixture: &ReleaseFixture) -> Vec<Value> {
    let rows = fixture.report("report.json")["registries"].take();
    let rows = rows.as_array().unwrap().clone();
    assert_eq!(rows.len(), 3);
    rows
}

/// The engine's names for the images at the registries.
fn pushed_by(fixture: &ReleaseFixture) -> Vec<String> {
    let names = (0..fixture.registries.len()).map(|number| {
        let repository = fixture.repository(number);
        let form = "{{.Repository}}:{{.Tag}}";
        docker(&["image", "ls", "--format", form, &repository])
    });
    let names: Vec<String> = names.collect();
    names
        .join("\n")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}
