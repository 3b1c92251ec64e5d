//! What skopeo, which nobody here wrote, finds at a registry.

use std::process::Command;

use serde_json::Value;
use xtask::oci::{Digest, Platform};

use super::release_fixture::{PASSWORD, USER, skopeo_raw};
use crate::support::sync_fixture::SyncFixture;

impl SyncFixture {
    /// The digest of what skopeo reads there.
    #[track_caller]
    pub fn digest(&self, image: &str) -> Digest {
        let raw = skopeo_raw(&self.addressed(image));
        Digest::sha256_of(&raw.unwrap_or_else(|error| panic!("skopeo: {error}")))
    }

    /// The platforms of the index there, as skopeo reads them.
    #[track_caller]
    pub fn platforms(&self, image: &str) -> Vec<String> {
        let raw = skopeo_raw(&self.addressed(image)).unwrap();
        let index: Value = serde_json::from_slice(&raw).unwrap();
        let children = index["manifests"].as_array().expect("an index").iter();
        children
            .map(|child| {
                let platform: Platform = serde_json::from_value(child["platform"].clone()).unwrap();
                platform.to_string()
            })
            .collect()
    }

    /// The tags that skopeo lists, in alphabetical order; none for a repository that does not exist.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let output = Command::new("skopeo")
            .args(["list-tags", "--tls-verify=false", "--creds"])
            .arg(format!("{USER}:{PASSWORD}"))
            .arg(format!("docker://{}", self.addressed(repository)))
            .output()
            .expect("skopeo runs; hint: xtask/tests/setup");
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(error.contains("name unknown"), "skopeo: {error}");
            return Vec::new();
        }
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut tags: Vec<String> = serde_json::from_value(list["Tags"].clone()).unwrap();
        tags.sort();
        tags
    }
}
