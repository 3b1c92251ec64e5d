//! What the nightly workflow does: its own command line, on its own file, with the registries of a release.

use std::path::Path;

use crate::servers::distribution::Distribution;
use crate::servers::release_fixture::{PASSWORD, USER};
use crate::support::sync_fixture::SyncFixture;
use crate::support::workspace::Run;

const AZURE: &str = "hagicode.azurecr.io";
const ALIYUN: &str = "registry.cn-hangzhou.aliyuncs.com";

#[tokio::test(flavor = "multi_thread")]
async fn the_workflow_mirrors_docker_hub_to_azure_and_aliyun() {
    let hub = Distribution::open();
    let there = [(); 2].map(|()| Distribution::with_user(USER, PASSWORD));
    let mut fixture = SyncFixture::between(&[
        ("docker.io", &hub.host),
        (AZURE, &there[0].host),
        (ALIYUN, &there[1].host),
    ]);
    // docker/sync.yaml goes where the variables say.
    for (prefix, host) in [
        ("DOCKER", &hub.host),
        ("AZURE_ACR", &there[0].host),
        ("ALIYUN_ACR", &there[1].host),
    ] {
        fixture.workspace.set(&format!("{prefix}_REGISTRY"), host);
    }
    for prefix in ["AZURE_ACR", "ALIYUN_ACR"] {
        fixture.workspace.set(&format!("{prefix}_USERNAME"), USER);
        fixture
            .workspace
            .set(&format!("{prefix}_PASSWORD"), PASSWORD);
    }
    let mut digests = Vec::new();
    for tag in ["1.0.0", "latest"] {
        let image = format!("docker.io/newbe36524/hagicode:{tag}");
        digests.push(
            fixture
                .publish(&image, &["linux/amd64", "linux/arm64"])
                .await,
        );
    }
    let workflow = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows/sync.yml");
    let workflow = std::fs::read_to_string(workflow).unwrap();
    for part in ["1", "2"] {
        fixture.workspace.set("SYNC_SHARD", &format!("{part}/2"));
        let sync = line(&workflow, "sync").replace("$PART", part);
        run(&fixture, &sync).await.expect(0, &["in place"]);
        let log = fixture.read(&format!("part-{part}.log"));
        assert!(log.contains("in place"), "{log}");
    }
    let merge = line(&workflow, "report merge");
    let merge = merge.replace("part-*.json", "part-1.json part-2.json");
    run(&fixture, &merge).await.expect(0, &["4 of 4 in place"]);
    for repository in [
        format!("{AZURE}/hagicode"),
        format!("{ALIYUN}/hagicode/hagicode"),
    ] {
        let found = ["1.0.0", "latest"].map(|tag| fixture.digest(&format!("{repository}:{tag}")));
        assert_eq!(found[..], digests, "{repository}");
    }
    assert_eq!(fixture.report("sync-report.json")["exit_code"], 0);
}

/// The command line of the workflow that begins with `command`, without what its shell takes out of it.
fn line(workflow: &str, command: &str) -> String {
    let mut lines = workflow.lines();
    let line = lines.find_map(|it| {
        it.trim()
            .strip_prefix(&format!("target/debug/xtask {command} "))
    });
    let line = line.unwrap().split(" 2>&1").next().unwrap();
    format!("{command} {line}")
        .replace(" $DRY_RUN", "")
        .replace('"', "")
}

async fn run(fixture: &SyncFixture, line: &str) -> Run {
    let words: Vec<&str> = line.split(' ').collect();
    let mut command = fixture.workspace.command(&words);
    fixture.ended(command.output().await.unwrap())
}
