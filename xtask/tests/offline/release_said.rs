//! What a release says: plans without doing, no secret ever, and a summary also after an interrupt.

use std::net::TcpListener;
use std::process::Command;

use fakes::github::TOKEN;
use fakes::registry::PASSWORD;

use crate::support::release_fixture::{ReleaseFixture, TAGS, VERSION};
use crate::support::workspace::{Run, Workspace};

#[tokio::test(flavor = "multi_thread")]
async fn no_output_holds_a_secret() {
    let mut fixture = ReleaseFixture::new(2).await;
    fixture.feed.require("sig=geheim%2Bgeheim");
    let index = format!("{}?sig=geheim%2Bgeheim", fixture.feed.url("index.json"));
    fixture.workspace.set("RELEASE_PACKAGE_INDEX_URL", &index);
    for (name, file) in [
        ("GITHUB_STEP_SUMMARY", "summary.md"),
        ("GITHUB_OUTPUT", "output.txt"),
    ] {
        let path = fixture.workspace.path().join(file);
        fixture.workspace.set(name, path.to_str().unwrap());
    }
    fixture.workspace.set("GITHUB_ACTIONS", "true");
    let run = fixture
        .workspace
        .run(&["release", "-vv", "--report", "report.json"])
        .await;
    run.expect(
        3,
        &[
            "::group::docker-build\n",
            "::error title=docker-push-aliyun::",
            "reqwest",
        ],
    );
    let groups = |command: &str| run.stderr.matches(command).count();
    assert_eq!(groups("::group::"), groups("::endgroup::"), "{run}");
    let dead = fixture
        .workspace
        .command(&["release", "-vv"])
        .env(
            "RELEASE_PACKAGE_INDEX_URL",
            "http://127.0.0.1:1/?sig=geheim%2Bgeheim",
        )
        .output()
        .await
        .unwrap();
    let dead = Run::of(dead);
    dead.expect(1, &["127.0.0.1:1"]);

    let summary = fixture.workspace.read("summary.md");
    assert!(
        summary.contains("| dockerhub | ") && summary.contains("| pushed |"),
        "{summary}"
    );
    let output = fixture.workspace.read("output.txt");
    assert!(
        output.contains("version=1.2.3\n") && output.contains("digest=sha256:"),
        "{output}"
    );
    let everything = [
        run.stdout,
        run.stderr,
        dead.stdout,
        dead.stderr,
        summary,
        output,
        fixture.workspace.read("report.json"),
    ];
    for text in everything {
        for secret in [
            PASSWORD,
            TOKEN,
            "geheim",
            "cD4+PnB+fn4/JA",
            "cD4-PnB-fn4_JA",
        ] {
            assert!(!text.contains(secret), "`{secret}` is in\n{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_needs_nothing_and_names_every_tag() {
    let workspace = Workspace::new(
        &["linux/amd64", "linux/arm64"],
        &[
            ("dockerhub", "DOCKER", "docker.io", "team"),
            ("azure", "AZURE_ACR", "x.azurecr.io", ""),
        ],
    )
    .with("DOCKER_HOST", "unix:///nonexistent.sock")
    .with("RELEASE_VERSION", VERSION);
    let run = workspace.run(&["release", "--dry-run"]).await;
    run.expect(0, &["not checked: ", "`GITHUB_TOKEN` is not set"]);
    for tag in TAGS {
        for repository in ["docker.io/team", "x.azurecr.io"] {
            let reference = format!("{repository}/{}:{tag}\n", workspace.image);
            assert!(
                run.stdout.contains(&reference),
                "{reference} is not in {run}"
            );
        }
    }
    assert!(!workspace.path().join("output").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_with_an_image_shows_what_is_left_out() {
    let workspace = Workspace::new(
        &["linux/amd64", "linux/arm64"],
        &[("dockerhub", "DOCKER", "docker.io", "team")],
    )
    .with("DOCKER_HOST", "unix:///nonexistent.sock")
    .with("RELEASE_VERSION", VERSION);
    let given = ["release", "--image", "docker:acme/product:7"];
    let run = workspace.run(&[&given[..], &["--dry-run"]].concat()).await;
    run.expect(0, &["docker.io/team", "not checked: "]);
    for maker in ["download", "extract", "docker-build"] {
        let left_out =
            format!("\n{maker}\n    the image is given: `--image docker:acme/product:7`\n");
        assert!(run.stdout.contains(&left_out), "{maker} in {run}");
    }
    let plan = [&given[..], &["--plan", "text"]].concat();
    let plan = workspace.run(&plan).await;
    plan.expect(0, &[" 3. docker-build", " 4. docker-push ", "release "]);
    assert!(!workspace.path().join("output").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_still_prints_the_summary() {
    let (silent, address) = silent();
    let workspace = Workspace::new(
        &["linux/amd64"],
        &[("dockerhub", "DOCKER", "docker.io", "team")],
    )
    .with("RELEASE_VERSION", VERSION)
    .with("RELEASE_PACKAGE_INDEX_URL", &format!("http://{address}/"));
    let run = interrupt(workspace.command(&["extract"]), silent).await;
    run.expect(
        130,
        &["download  aborted", "extract   not-run", "interrupted"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_of_the_preflight_starts_nothing() {
    let mut fixture = ReleaseFixture::new(2).await;
    let (silent, address) = silent();
    fixture.workspace.set("ALIYUN_ACR_REGISTRY", &address);
    let run = interrupt(fixture.workspace.command(&["release"]), silent).await;
    run.expect(130, &["download            not-run", "interrupted"]);
    assert!(!fixture.workspace.path().join("output/packages").exists());
}

/// A server that takes a connection and never answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Runs `command`, and interrupts it when it waits for the silent server.
async fn interrupt(mut command: tokio::process::Command, silent: TcpListener) -> Run {
    let child = command.spawn().unwrap();
    let (_connection, _) = tokio::task::spawn_blocking(move || silent.accept())
        .await
        .unwrap()
        .unwrap();
    let process = child.id().unwrap().to_string();
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -INT {process}")])
        .status();
    assert!(sent.unwrap().success());
    Run::of(child.wait_with_output().await.unwrap())
}
