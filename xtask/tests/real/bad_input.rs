//! Bad input: a clear sentence, exit code 2, and nothing touched.

use crate::servers::release_fixture::{PASSWORD, ReleaseFixture};
use crate::support::workspace::{Run, Workspace};

/// Runs with these variables, `NAME=value`, over those of the workspace.
async fn run(workspace: &Workspace, variables: &[&str], arguments: &[&str]) -> Run {
    let mut command = workspace.command(arguments);
    command.envs(
        variables
            .iter()
            .map(|variable| variable.split_once('=').unwrap()),
    );
    Run::of(command.output().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_and_the_dockerfile() {
    let fixture = ReleaseFixture::new(2).await;
    let wrong = &["AZURE_ACR_PASSWORD=wrong"];
    let refused = ["refuses the credentials", "`AZURE_ACR_PASSWORD`"];
    run(&fixture.workspace, wrong, &["release"])
        .await
        .expect(2, &refused);
    run(&fixture.workspace, wrong, &["check"])
        .await
        .expect(2, &refused);
    assert!(!fixture.workspace.path().join("output").exists());

    let dockerfile = "FROM scratch\nRUN [\"/nothing\"]\n";
    fixture.workspace.write("docker/Dockerfile", dockerfile);
    let failed = ["the build failed", "/nothing"];
    run(&fixture.workspace, &[], &["docker-push-all"])
        .await
        .expect(2, &failed);

    for registry in &fixture.registries {
        let catalog = format!("http://{}/v2/_catalog", registry.host);
        let catalog = crate::support::client()
            .get(catalog)
            .basic_auth("robot$ci", Some(PASSWORD));
        let catalog = catalog.send().await.unwrap().text().await.unwrap();
        assert_eq!(catalog.trim(), "{\"repositories\":[]}");
    }
    assert!(fixture.github.state().releases.is_empty());
}
