//! Everything a release talks to, in this process: packages, GitHub, registries, and a workspace set up for them.

use bytes::Bytes;
use fakes::feed::FakeFeed;
use fakes::github::{FakeGithub, TOKEN};
use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use fakes::zips;
use serde_json::Value;

use super::dead_address;
use super::workspace::Workspace;

pub const VERSION: &str = "1.2.3";
/// The tags of that version.
pub const TAGS: [&str; 4] = ["1.2.3", "1.2", "1", "latest"];
/// What the variables of its registries begin with.
pub const PREFIXES: [&str; 3] = ["DOCKER", "AZURE_ACR", "ALIYUN_ACR"];

/// Everything a release talks to, and a workspace set up for it. No engine answers.
pub struct ReleaseFixture {
    pub feed: FakeFeed,
    pub github: FakeGithub,
    pub registries: Vec<FakeRegistry>,
    pub workspace: Workspace,
}

impl ReleaseFixture {
    /// With `live` registries of the usual three; the others are dead addresses.
    pub async fn new(live: usize) -> ReleaseFixture {
        let mut registries = Vec::new();
        for _ in 0..live {
            registries.push(registry(Behavior::default()).await);
        }
        let feed = feed(&[package("amd64"), package("arm64")]).await;
        let github = FakeGithub::start().await;
        let hosts = registries.iter().map(|it| it.host.clone());
        let mut workspace = workspace(&hosts.collect::<Vec<_>>(), &feed, &github);
        for prefix in PREFIXES {
            workspace.set(&format!("{prefix}_USERNAME"), USER);
            workspace.set(&format!("{prefix}_PASSWORD"), PASSWORD);
        }
        workspace.set("DOCKER_HOST", "unix:///nonexistent.sock");
        ReleaseFixture {
            feed,
            github,
            registries,
            workspace,
        }
    }

    /// Replaces what is in the facts of the release.
    pub fn change_facts(&self, from: &str, to: &str) {
        let facts = self.workspace.read("Cargo.toml");
        assert!(facts.contains(from), "{from}");
        self.workspace.write("Cargo.toml", &facts.replace(from, to));
    }

    /// What every tag of `tags` names on every live registry.
    pub fn same(&self, tags: &[&str]) -> Bytes {
        let raw = self.registries[0].tagged(tags[0]);
        for registry in &self.registries {
            for tag in tags {
                assert_eq!(registry.tagged(tag), raw, "{tag} at {}", registry.host);
            }
        }
        raw
    }

    /// The tags at the registry of that number.
    pub fn tags(&self, number: usize) -> Vec<String> {
        let tags = self.registries[number].tags().into_values().flatten();
        let tag = |name: String| name.split(':').next_back().unwrap_or_default().to_owned();
        tags.map(tag).collect()
    }

    /// What a run wrote with `--report`.
    pub fn report(&self, file: &str) -> Value {
        serde_json::from_str(&self.workspace.read(file)).unwrap()
    }
}

/// A registry that asks for a login, and for children before parents.
pub async fn registry(behavior: Behavior) -> FakeRegistry {
    FakeRegistry::start(Behavior {
        auth: AuthMode::Basic,
        checks_children: true,
        ..behavior
    })
    .await
}

/// The packages of the version, for amd64 and arm64.
pub async fn feed([amd64, arm64]: &[Vec<u8>; 2]) -> FakeFeed {
    let feed = FakeFeed::start().await;
    let packages = [(&*zip_name("x64"), &**amd64), (&zip_name("arm64"), arm64)];
    feed.publish(VERSION, &packages);
    feed
}

/// A workspace whose registries are at `hosts`; what is missing of the usual three is a dead address.
pub fn workspace(hosts: &[String], feed: &FakeFeed, github: &FakeGithub) -> Workspace {
    let host = |number: usize| hosts.get(number).cloned().unwrap_or_else(dead_address);
    let mut workspace = Workspace::new(
        &["linux/amd64", "linux/arm64"],
        &[
            ("dockerhub", PREFIXES[0], &host(0), "team"),
            ("azure", PREFIXES[1], &host(1), ""),
            ("aliyun", PREFIXES[2], &host(2), "other/team"),
        ],
    );
    workspace.set("RELEASE_VERSION", VERSION);
    workspace.set("RELEASE_PACKAGE_INDEX_URL", feed.url("").as_str());
    workspace.set("GITHUB_API_URL", github.api().as_str());
    workspace.set("GITHUB_TOKEN", TOKEN);
    workspace
}

pub fn zip_name(runtime: &str) -> String {
    format!("product-{VERSION}-linux-{runtime}-nort.zip")
}

/// A package as the product's: everything in `lib/`.
pub fn package(content: &str) -> Vec<u8> {
    zips::zip(&[
        ("lib/Product.runtimeconfig.json", 0o644, b"{}"),
        ("lib/Product.dll", 0o644, content.as_bytes()),
    ])
}
