//! What the program prints, to the letter: order, layout and words, which tests of a part do not see.
//!
//! A change on purpose: `INSTA_UPDATE=always cargo test --test offline snapshots`, and the difference is in the commit.

use fakes::feed::FakeFeed;
use fakes::github::{FakeGithub, TOKEN};
use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};

use crate::shown::{Shown, assert_shown};
use crate::support::sync_fixture::SyncFixture;
use crate::support::workspace::{Run, Workspace};
use crate::support::{dead_address, images};

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
    for command in ["", "check", "sync", "copy", "tags", "verify", "promote"] {
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
    let dead = dead_address();
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
    images::tarball().write(&workspace.path().join("layout"));
    let login = [
        ("DOCKER_REGISTRY", &*registry.host),
        ("DOCKER_USERNAME", USER),
    ];
    let password = [login[0], login[1], ("DOCKER_PASSWORD", "wrong")];
    let cases: [(&[(&str, &str)], &str); 16] = [
        (&[], ""),
        (&[], "relaese"),
        (&[], "Check"),
        (&[], "release check"),
        (&[], "snyc images.yaml"),
        (&[], "verfy report.json"),
        (&[("RELEASE_VERSION", "")], "download"),
        (&login, "docker-push"),
        (&[], "docker-push-all"),
        // An image that is there needs no engine.
        (&password, "docker-push --image oci:layout"),
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

/// As long as the addresses that they stand for: what is aligned and broken stays so.
const HOSTS: [&str; 3] = ["one.example.com", "two.example.com", "six.example.com"];

/// The widths that the summaries are shown in.
const WIDTHS: [&str; 3] = ["60", "80", "120"];

/// What a release talks to: three registries, the last of which lets nobody push, and GitHub.
struct Release {
    workspace: Workspace,
    shown: Shown,
    _registries: [FakeRegistry; 3],
    _github: FakeGithub,
}

impl Release {
    async fn new() -> Release {
        let start = async |denies_uploads| {
            FakeRegistry::start(Behavior {
                auth: AuthMode::Basic,
                denies_uploads,
                ..Behavior::default()
            })
            .await
        };
        let registries = [start(false).await, start(false).await, start(true).await];
        let github = FakeGithub::start().await;
        let mut workspace = workspace();
        let mut shown = Shown::default();
        for ((registry, name), (_, prefix, ..)) in registries.iter().zip(HOSTS).zip(REGISTRIES) {
            shown = shown.with(&registry.host, name);
            for (variable, value) in [
                ("REGISTRY", &*registry.host),
                ("USERNAME", USER),
                ("PASSWORD", PASSWORD),
            ] {
                workspace.set(&format!("{prefix}_{variable}"), value);
            }
        }
        workspace.set("GITHUB_API_URL", github.api().as_str());
        workspace.set("GITHUB_TOKEN", TOKEN);
        images::tarball().write(&workspace.path().join("layout"));
        Release {
            workspace,
            shown,
            _registries: registries,
            _github: github,
        }
    }

    async fn run(&self) -> Run {
        let arguments = ["release", "--image", "oci:layout"];
        self.workspace.run(&arguments).await
    }
}

/// A copy to a registry that has one of three images, and one to a registry that is not there.
struct Sync {
    fixture: SyncFixture,
    _registries: [FakeRegistry; 2],
}

impl Sync {
    async fn new() -> Sync {
        let start = || FakeRegistry::start(Behavior::default());
        let registries = [start().await, start().await];
        let hosts = [&*registries[0].host, &registries[1].host, &dead_address()];
        let [one, two, six] = [0, 1, 2].map(|it| (HOSTS[it], hosts[it]));
        let fixture = SyncFixture::between(&[one, two, six]);
        for image in ["one.example.com/app:v1", "one.example.com/app:v2"] {
            fixture.publish(image, &["linux/amd64"]).await;
        }
        fixture.write("first.yaml", "one.example.com/app:v1: two.example.com/app");
        fixture.sync(&["first.yaml"]).await.expect(0, &[]);
        fixture.write(
            "images.yaml",
            "one.example.com/app:v1,v2,v9: two.example.com/app\n\
             one.example.com/app:v2: six.example.com/team/app\n",
        );
        Sync {
            fixture,
            _registries: registries,
        }
    }

    async fn run(&self) -> Run {
        let arguments = ["images.yaml", "--retries", "0"];
        self.fixture.sync(&arguments).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_of_a_release() {
    for width in WIDTHS {
        let mut release = Release::new().await;
        release.workspace.set("COLUMNS", width);
        let run = release.run().await;
        assert_shown(&format!("release-{width}"), &release.shown.summary(&run));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_of_a_sync() {
    for width in WIDTHS {
        let mut sync = Sync::new().await;
        sync.fixture.workspace.set("COLUMNS", width);
        let run = sync.run().await;
        assert_shown(&format!("sync-{width}"), &Shown::default().summary(&run));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summaries_of_a_step() {
    let in_a_step = |workspace: &mut Workspace| {
        let file = workspace.path().join("summary.md").display().to_string();
        workspace.set("GITHUB_ACTIONS", "true");
        workspace.set("GITHUB_STEP_SUMMARY", &file);
    };
    let mut release = Release::new().await;
    in_a_step(&mut release.workspace);
    release.run().await;
    let summary = release.shown.text(&release.workspace.read("summary.md"));
    assert_shown("release-step", &summary);

    let mut sync = Sync::new().await;
    in_a_step(&mut sync.fixture.workspace);
    sync.run().await;
    let summary = Shown::default().text(&sync.fixture.read("summary.md"));
    assert_shown("sync-step", &summary);
}
