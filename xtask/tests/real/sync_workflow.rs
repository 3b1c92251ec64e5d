//! What the nightly workflow does: its own command line, on its own file, with the registries of a release.

use std::path::Path;

use crate::servers::distribution::Distribution;
use crate::servers::release_fixture::{PASSWORD, USER};
use crate::support::sync_fixture::SyncFixture;

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
    let (_, command) = workflow.split_once("target/debug/xtask sync ").unwrap();
    let command = command.lines().next().unwrap().split(' ');
    let arguments: Vec<&str> = command.filter(|word| *word != "$DRY_RUN").collect();

    fixture
        .sync(&arguments)
        .await
        .expect(0, &["4 of 4 in place"]);
    for repository in [
        format!("{AZURE}/hagicode"),
        format!("{ALIYUN}/hagicode/hagicode"),
    ] {
        let found = ["1.0.0", "latest"].map(|tag| fixture.digest(&format!("{repository}:{tag}")));
        assert_eq!(found[..], digests, "{repository}");
    }
    // The files that the workflow uploads.
    assert_eq!(fixture.report("sync-report.json")["exit_code"], 0);
    assert!(fixture.read("sync.log").contains("4 of 4 in place"));
}
