//! Bad input: a clear sentence, exit code 2, and nothing touched.

use crate::servers::release_fixture::{PASSWORD, ReleaseFixture, package, zip_name};
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
async fn the_command_line_and_the_settings() {
    let workspace = ReleaseFixture::new(0).await.workspace;
    let said = |variables: &'static [&str], arguments: &'static [&str]| {
        let workspace = &workspace;
        async move { run(workspace, variables, arguments).await }
    };
    let unknown = ["unknown target `relaese`", "did you mean `release`?"];
    said(&[], &["relaese"]).await.expect(2, &unknown);
    said(&[], &["release", "--skip", "x"])
        .await
        .expect(2, &["unknown target `x`"]);
    said(&[], &[])
        .await
        .expect(2, &["no target is named", "docker-push-azure"]);
    let half = ["`AZURE_ACR_USERNAME` is set and `AZURE_ACR_PASSWORD` is not"];
    said(&["AZURE_ACR_PASSWORD="], &["release"])
        .await
        .expect(2, &half);
    said(&["AZURE_ACR_PASSWORD="], &["release", "--dry-run"])
        .await
        .expect(2, &half);
    said(&["DOCKER_NAMESPACE=Bad Name"], &["release"])
        .await
        .expect(2, &["`DOCKER_NAMESPACE`"]);
    said(&["RELEASE_VERSION=1.2"], &["release"])
        .await
        .expect(2, &["`1.2`", "1.2.3-beta.4"]);
    said(&["GITHUB_TOKEN="], &["release"])
        .await
        .expect(2, &["`GITHUB_TOKEN` is not set"]);
    said(&["GITHUB_TOKEN=two\nlines"], &["release"])
        .await
        .expect(2, &["GITHUB_TOKEN holds characters"]);
    said(&[], &["release", "--report", "/nonexistent/report.json"])
        .await
        .expect(2, &["`/nonexistent/report.json` cannot be written"]);
    said(&[], &["--skip", "docker-push", "release"])
        .await
        .expect(2, &["put the targets before it"]);
    let engine = ["/nonexistent.sock", "docker.io"];
    said(&["DOCKER_HOST=unix:///nonexistent.sock"], &["release"])
        .await
        .expect(2, &engine);
    assert!(!workspace.path().join("output").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_in_the_same_workspace() {
    let fixture = ReleaseFixture::new(0).await;
    fixture.workspace.write("output/lock", "");
    let lock = std::fs::File::open(fixture.workspace.path().join("output/lock")).unwrap();
    lock.lock().unwrap();
    let busy = ["another run is at work"];
    run(&fixture.workspace, &[], &["download"])
        .await
        .expect(2, &busy);
    lock.unlock().unwrap();
    run(&fixture.workspace, &[], &["download"])
        .await
        .expect(0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_packages() {
    let fixture = ReleaseFixture::new(0).await;
    let download = async |variable: &str| run(&fixture.workspace, &[variable], &["extract"]).await;
    let newest = [
        "no version to release",
        "the newest in the package index is `1.2.3`",
    ];
    download("RELEASE_VERSION=").await.expect(2, &newest);
    let absent = ["`9.9.9` is not in the package index", "`1.2.3`"];
    download("RELEASE_VERSION=9.9.9").await.expect(2, &absent);
    let unreachable = "RELEASE_PACKAGE_INDEX_URL=http://127.0.0.1:1/";
    download(unreachable).await.expect(2, &["cannot be read"]);

    let x64 = package("amd64");
    fixture.feed.publish("1.2.3", &[(&zip_name("x64"), &x64)]);
    download("A=")
        .await
        .expect(2, &["no package for `linux/arm64`", &zip_name("x64")]);
    let truncated = &x64[..x64.len() - 100];
    let files = [(&*zip_name("x64"), truncated), (&*zip_name("arm64"), &x64)];
    fixture.feed.publish("1.2.3", &files);
    download("A=").await.expect(2, &[&zip_name("x64")]);
    fixture.feed.put("index.json", "<html>");
    download("A=").await.expect(2, &["is not JSON"]);
    assert!(
        !fixture
            .workspace
            .path()
            .join("output/docker-build-context")
            .exists()
    );
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
