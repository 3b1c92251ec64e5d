//! Bad input of a release: a clear sentence, exit code 2, and nothing touched.

use fakes::feed::FakeFeed;
use fakes::github::{FakeGithub, TOKEN};
use fakes::zips;

use crate::support::dead_address;
use crate::support::workspace::{Run, Workspace};

/// Packages and GitHub for a release; the registries are not there.
struct Fixture {
    workspace: Workspace,
    feed: FakeFeed,
    _github: FakeGithub,
}

impl Fixture {
    async fn new() -> Fixture {
        let feed = FakeFeed::start().await;
        let packages = ["x64", "arm64"].map(|it| (zip_name(it), package(it)));
        let [x64, arm64] = packages.each_ref().map(|(name, it)| (&**name, &**it));
        feed.publish("1.2.3", &[x64, arm64]);
        let github = FakeGithub::start().await;
        let registries = [
            ("dockerhub", "DOCKER", &*dead_address(), "team"),
            ("azure", "AZURE_ACR", &dead_address(), ""),
            ("aliyun", "ALIYUN_ACR", &dead_address(), "other/team"),
        ];
        let mut workspace = Workspace::new(&["linux/amd64", "linux/arm64"], &registries);
        for (_, prefix, ..) in registries {
            workspace.set(&format!("{prefix}_USERNAME"), "robot$ci");
            workspace.set(&format!("{prefix}_PASSWORD"), "geheim");
        }
        for (name, value) in [
            ("RELEASE_VERSION", "1.2.3"),
            ("RELEASE_PACKAGE_INDEX_URL", feed.url("").as_str()),
            ("GITHUB_API_URL", github.api().as_str()),
            ("GITHUB_TOKEN", TOKEN),
        ] {
            workspace.set(name, value);
        }
        Fixture {
            workspace,
            feed,
            _github: github,
        }
    }
}

fn zip_name(runtime: &str) -> String {
    format!("product-1.2.3-linux-{runtime}-nort.zip")
}

fn package(architecture: &str) -> Vec<u8> {
    zips::zip(&[
        ("lib/Product.runtimeconfig.json", 0o644, b"{}"),
        ("lib/Product.dll", 0o644, architecture.as_bytes()),
    ])
}

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
    let workspace = Fixture::new().await.workspace;
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
    let by_engine = &["release", "--builder", "engine"];
    said(&["DOCKER_HOST=unix:///nonexistent.sock"], by_engine)
        .await
        .expect(2, &engine);
    let load = ["docker-build", "--load", "--builder", "layers"];
    run(&workspace, &["DOCKER_HOST=unix:///nonexistent.sock"], &load)
        .await
        .expect(2, &["`--load` needs an engine", "/nonexistent.sock"]);
    said(&[], &["download", "--load"])
        .await
        .expect(2, &["hint: `docker-build --load`"]);
    said(&[], &["docker-build", "--load", "--dry-run"])
        .await
        .expect(0, &["the engine gets its platform as "]);
    assert!(!workspace.path().join("output").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_in_the_same_workspace() {
    let fixture = Fixture::new().await;
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
    let fixture = Fixture::new().await;
    let download = async |variable: &str| run(&fixture.workspace, &[variable], &["extract"]).await;
    let newest = [
        "no version to release",
        "the newest in the package index is `1.2.3`",
    ];
    download("RELEASE_VERSION=").await.expect(2, &newest);
    let absent = ["`9.9.9` is not in the package index", "`1.2.3`"];
    download("RELEASE_VERSION=9.9.9").await.expect(2, &absent);
    let unreachable = "RELEASE_PACKAGE_INDEX_URL=http://127.0.0.1:1/";
    // The network is no input.
    download(unreachable).await.expect(1, &["over the network"]);

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
async fn an_output_that_is_a_file_and_a_memory_that_cannot_be_written() {
    let fixture = Fixture::new().await;
    fixture.workspace.write("output", "");
    run(&fixture.workspace, &[], &["download"])
        .await
        .expect(2, &["output` is no directory", "hint: move it away"]);
    std::fs::remove_file(fixture.workspace.path().join("output")).unwrap();
    fixture.workspace.write("target", "");
    let built = run(&fixture.workspace, &[], &["docker-build"]).await;
    built.expect(0, &["the layers are not remembered"]);
    assert_eq!(built.stderr.matches("not remembered").count(), 1, "{built}");
}
