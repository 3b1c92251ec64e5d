//! Everything a release talks to, standing: packages, GitHub, registries, and a workspace set up for them.

use std::process::Command;

use super::distribution::{Distribution, free_address};
use super::feed::Feed;
use super::github::{FakeGithub, TOKEN};
use super::workspace::Workspace;
use super::zips;

pub const VERSION: &str = "1.2.3";
/// The tags of that version.
pub const TAGS: [&str; 4] = ["1.2.3", "1.2", "1", "latest"];
/// Who may push.
pub const USER: &str = "robot$ci";
/// Characters that base64, JSON, shells and URLs treat differently.
pub const PASSWORD: &str = "p>>>p~~~?$";

/// Everything a release talks to, and a workspace set up for it. The first two registries are live.
pub struct Stage {
    pub feed: Feed,
    pub github: FakeGithub,
    pub registries: Vec<Distribution>,
    pub workspace: Workspace,
}

impl Stage {
    /// With `live` registries of the usual three; the others are dead addresses.
    pub async fn new(live: usize) -> Stage {
        let feed = Feed::start().await;
        feed.publish(
            VERSION,
            &[
                (&zip_name("x64"), &package("amd64")),
                (&zip_name("arm64"), &package("arm64")),
            ],
        );
        let github = FakeGithub::start().await;
        let registries: Vec<_> = (0..live)
            .map(|_| Distribution::with_user(USER, PASSWORD))
            .collect();
        let host = |number: usize| {
            registries
                .get(number)
                .map_or_else(free_address, |it| it.host.clone())
        };
        let mut workspace = Workspace::new(
            &["linux/amd64", "linux/arm64"],
            &[
                ("dockerhub", "DOCKER", &host(0), "team"),
                ("azure", "AZURE_ACR", &host(1), ""),
                ("aliyun", "ALIYUN_ACR", &host(2), "other/team"),
            ],
        );
        for prefix in ["DOCKER", "AZURE_ACR", "ALIYUN_ACR"] {
            workspace.set(&format!("{prefix}_USERNAME"), USER);
            workspace.set(&format!("{prefix}_PASSWORD"), PASSWORD);
        }
        workspace.set("RELEASE_VERSION", VERSION);
        workspace.set("RELEASE_PACKAGE_INDEX_URL", feed.url("").as_str());
        workspace.set("GITHUB_API_URL", github.api().as_str());
        workspace.set("GITHUB_TOKEN", TOKEN);
        Stage {
            feed,
            github,
            registries,
            workspace,
        }
    }

    /// What skopeo reads under `tag` from the registry of that number.
    pub fn raw(&self, number: usize, tag: &str) -> Vec<u8> {
        let image = &self.workspace.image;
        let path = [
            format!("team/{image}"),
            image.clone(),
            format!("other/team/{image}"),
        ][number]
            .clone();
        skopeo_raw(&format!("{}/{path}:{tag}", self.registries[number].host))
            .unwrap_or_else(|error| panic!("skopeo: {error}"))
    }
}

pub fn zip_name(runtime: &str) -> String {
    format!("product-{VERSION}-linux-{runtime}-nort.zip")
}

/// A package as the product's: everything in `lib/`. With it comes a shell, so that the image can be run.
pub fn package(architecture: &str) -> Vec<u8> {
    let shell = std::fs::read("/bin/busybox").expect("a static busybox; hint: xtask/tests/setup");
    zips::zip(&[
        ("lib/Product.runtimeconfig.json", 0o644, b"{}"),
        ("lib/Product.dll", 0o644, architecture.as_bytes()),
        ("lib/busybox", 0o755, &shell),
    ])
}

pub fn skopeo_raw(reference: &str) -> Result<Vec<u8>, String> {
    let output = Command::new("skopeo")
        .args([
            "inspect",
            "--raw",
            "--tls-verify=false",
            "--creds",
            &format!("{USER}:{PASSWORD}"),
        ])
        .arg(format!("docker://{reference}"))
        .output()
        .expect("skopeo runs; hint: xtask/tests/setup");
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into())
    }
}

pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(arguments)
        .output()
        .expect("docker runs; hint: xtask/tests/setup");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
