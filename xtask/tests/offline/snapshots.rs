//! What the program prints, to the letter: order, layout and words, which tests of a part do not see.
//!
//! A change on purpose: `INSTA_UPDATE=always cargo test --test offline snapshots`, and the difference is in the commit.

use fakes::feed::FakeFeed;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, USER};

use crate::shown::{Shown, assert_shown};
use crate::support::free_address;
use crate::support::workspace::Workspace;

const REGISTRIES: [(&str, &str, &str, &str); 3] = [
    ("dockerhub", "DOCKER", "docker.io", "team"),
    ("azure", "AZURE_ACR", "x.azurecr.io", ""),
    ("aliyun", "ALIYUN_ACR", "registry.aliyun.test", "team"),
];

/// A workspace with settings that a release could begin with, were there anything at the addresses.
fn workspace() -> Workspace {
    let workspace = Workspace::new(&["linux/amd64", "linux/arm64"], &REGISTRIES);
    workspace.named("product").with("RELEASE_VERSION", "1.2.3")
}

#[tokio::test(flavor = "multi_thread")]
async fn helps() {
    let workspace = workspace();
    for command in ["", "check", "sync", "verify", "promote"] {
        let arguments = [command, "--help"].map(str::to_owned);
        let arguments = arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = arguments.filter(|it| !it.is_empty()).collect();
        let run = workspace.run(&arguments).await;
        assert_eq!((run.code, &*run.stderr), (0, ""));
        let name = ["help", command].join("-");
        assert_shown(name.trim_end_matches('-'), &run.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run() {
    let run = workspace().run(&["release", "--dry-run"]).await;
    assert_shown("dry-run", &Shown::default().run(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn plans() {
    for format in ["text", "mermaid", "json"] {
        let run = workspace().run(&["release", "--plan", format]).await;
        assert_eq!((run.code, &*run.stderr), (0, ""));
        assert_shown(&format!("plan-{format}"), &run.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_likely_errors() {
    let feed = FakeFeed::start().await;
    feed.publish("1.2.3", &[]);
    let registry = FakeRegistry::start(Behavior {
        auth: AuthMode::Basic,
        ..Behavior::default()
    })
    .await;
    let dead = free_address();
    let mut workspace = workspace().with("RELEASE_PACKAGE_INDEX_URL", feed.url("").as_str());
    let shown = Shown::default()
        .with(&registry.host, "one.example.com")
        .with(&dead, "off.example.com")
        .with(feed.url("").as_str(), "http://the-packages.test/");
    workspace.write(
        "images.yaml",
        "source: a.io/app\ntargets: b.io/app\ntag: v1\n",
    );
    workspace.write("where.yaml", "a.io/app: ${WHERE}/app\n");
    workspace.write("dead.yaml", &format!("{dead}/app:1: {dead}/copy\n"));
    workspace.write("report.json", "{}");
    let login = [
        ("DOCKER_REGISTRY", &*registry.host),
        ("DOCKER_USERNAME", USER),
    ];
    let password = [login[0], login[1], ("DOCKER_PASSWORD", "wrong")];
    let cases: [(&[(&str, &str)], &str); 12] = [
        (&[], ""),
        (&[], "relaese"),
        (&[("RELEASE_VERSION", "")], "download"),
        (&login, "docker-push"),
        (&[], "docker-push-all"),
        (&password, "docker-push"),
        (&[], "sync dead.yaml --retries 0"),
        (&[], "sync image.yaml"),
        (&[], "sync images.yaml"),
        (&[], "sync where.yaml"),
        (&[], "verify absent.json"),
        (&[], "verify report.json"),
    ];
    let mut text = String::new();
    for (variables, line) in cases {
        for (name, value) in variables {
            workspace.set(name, value);
            text += &format!("{name}={value} ");
        }
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let run = workspace.run(&arguments).await;
        assert_eq!(run.stdout, "");
        let command = format!("cargo xtask {line}");
        let (said, code) = (run.stderr.trim_end(), run.code);
        text += &format!("{}\n{said}\nexit {code}\n\n", command.trim_end());
        for (name, _) in variables {
            workspace.set(
                name,
                if *name == "RELEASE_VERSION" {
                    "1.2.3"
                } else {
                    ""
                },
            );
        }
    }
    assert_shown("errors", &shown.text(&text));
}
