//! Everything a release talks to, standing: packages, GitHub, registries, and a workspace set up for them.

use std::process::Command;

use fakes::feed::FakeFeed;
use fakes::github::FakeGithub;
use fakes::registry::{self, Behavior, FakeRegistry};
use serde_json::Value;
use xtask::oci::Digest;

use super::distribution::Distribution;
use crate::support::client;
use crate::support::release_fixture::{self, PREFIXES};
pub use crate::support::release_fixture::{TAGS, VERSION};
use crate::support::workspace::Workspace;
use fakes::zips;

/// Of the images that run here.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    "amd64"
};
/// Who may push.
pub const USER: &str = "robot$ci";
/// Characters that base64, JSON, shells and URLs treat differently.
pub const PASSWORD: &str = "p>>>p~~~?$";

/// Everything a release talks to, and a workspace set up for it. The first two registries are live.
pub struct ReleaseFixture {
    pub feed: FakeFeed,
    pub github: FakeGithub,
    pub registries: Vec<Distribution>,
    pub workspace: Workspace,
}

impl ReleaseFixture {
    /// With `live` registries of the usual three; the others are dead addresses.
    pub async fn new(live: usize) -> ReleaseFixture {
        let feed = release_fixture::feed(&[package("amd64"), package("arm64")]).await;
        let github = FakeGithub::start().await;
        let registries: Vec<_> = (0..live)
            .map(|_| Distribution::with_user(USER, PASSWORD))
            .collect();
        let hosts = registries.iter().map(|it| it.host.clone());
        let hosts: Vec<String> = hosts.collect();
        let mut workspace = release_fixture::workspace(&hosts, &feed, &github);
        for prefix in PREFIXES {
            workspace.set(&format!("{prefix}_USERNAME"), USER);
            workspace.set(&format!("{prefix}_PASSWORD"), PASSWORD);
        }
        ReleaseFixture {
            feed,
            github,
            registries,
            workspace,
        }
    }

    /// A fake registry that behaves so, in place of the one whose variables begin with `prefix`.
    pub async fn in_memory(&mut self, prefix: &str, behavior: Behavior) -> FakeRegistry {
        let fake = release_fixture::registry(behavior).await;
        for (name, value) in [
            ("REGISTRY", &*fake.host),
            ("USERNAME", registry::USER),
            ("PASSWORD", registry::PASSWORD),
        ] {
            self.workspace.set(&format!("{prefix}_{name}"), value);
        }
        fake
    }

    /// The image's repository on the registry of that number.
    pub fn repository(&self, number: usize) -> String {
        let host = &self.registries[number].host;
        let namespace = ["team/", "", "other/team/"][number];
        format!("{host}/{namespace}{}", self.workspace.image)
    }

    /// What skopeo reads under `tag` from the registry of that number.
    #[track_caller]
    pub fn raw(&self, number: usize, tag: &str) -> Vec<u8> {
        skopeo_raw(&format!("{}:{tag}", self.repository(number)))
            .unwrap_or_else(|error| panic!("skopeo: {error}"))
    }

    /// What every tag of `tags` names on every live registry.
    pub fn same(&self, tags: &[&str]) -> Vec<u8> {
        let raw = self.raw(0, tags[0]);
        for number in 0..self.registries.len() {
            for tag in tags {
                assert_eq!(self.raw(number, tag), raw, "{tag} on number {number}");
            }
        }
        raw
    }

    /// The image's tags on the registry of that number, as it lists them.
    pub async fn tags(&self, number: usize) -> Vec<String> {
        let repository = self.repository(number);
        let (host, path) = repository.split_once('/').unwrap();
        let list = client().get(format!("http://{host}/v2/{path}/tags/list"));
        let answer = list.basic_auth(USER, Some(PASSWORD)).send().await.unwrap();
        match answer.status().as_u16() {
            404 => Vec::new(),
            200 => {
                let list: Value = answer.json().await.unwrap();
                serde_json::from_value::<Option<_>>(list["tags"].clone())
                    .unwrap()
                    .unwrap_or_default()
            }
            status => panic!("{status}"),
        }
    }

    /// The image as the engine pulls it anew from the registry of that number; it is gone with the workspace.
    pub fn pulled(&self, number: usize, tag: &str) -> String {
        let reference = format!("{}:{tag}", self.repository(number));
        // Of its own: the user's would be rewritten under the hands of other tests.
        let config = tempfile::tempdir().unwrap();
        let config = config.path().to_str().unwrap();
        let host = &self.registries[number].host;
        let login = ["login", "--username", USER, "--password", PASSWORD, host];
        for arguments in [&login[..], &["pull", "--quiet", &reference]] {
            docker(&[&["--config", config], arguments].concat());
        }
        reference
    }

    /// The digests of the layers, from the bottom, as skopeo unpacks them of what `tag` names for this architecture at
    /// the registry of that number.
    pub fn unpacked(&self, number: usize, tag: &str, architecture: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let output = Command::new("skopeo")
            .args(["--override-os", "linux", "--override-arch", architecture])
            .args(["copy", "--quiet", "--src-tls-verify=false", "--src-creds"])
            .args([&format!("{USER}:{PASSWORD}"), "--dest-decompress"])
            .arg(format!("docker://{}:{tag}", self.repository(number)))
            .arg(format!("dir:{}", directory.path().display()))
            .output()
            .expect("skopeo runs; hint: xtask/tests/setup");
        assert!(output.status.success(), "skopeo: {output:?}");
        let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
        let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
        let layers = manifest["layers"].as_array().unwrap().iter();
        let digests = layers.map(|layer| {
            let name = layer["digest"].as_str().unwrap();
            let content = read(name.strip_prefix("sha256:").unwrap());
            Digest::sha256_of(&content).to_string()
        });
        digests.collect()
    }

    /// What a run wrote with `--report`.
    pub fn report(&self, file: &str) -> Value {
        serde_json::from_str(&self.workspace.read(file)).unwrap()
    }
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
