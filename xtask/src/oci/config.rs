//! The platform and the diff ids in an image's config.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::digest::Digest;
use super::platform::Platform;

/// OCI image specification, "Image Configuration"; Docker's own has the same fields.
#[derive(Debug, Deserialize)]
pub struct ImageConfig {
    #[serde(flatten)]
    pub platform: Platform,
    #[serde(default)]
    rootfs: RootFs,
    /// What a container gets of it.
    config: Option<ContainerConfig>,
}

#[derive(Debug, Deserialize)]
struct ContainerConfig {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Debug, Default, Deserialize)]
struct RootFs {
    /// Go writes an empty list as `null`.
    #[serde(default)]
    diff_ids: Option<Vec<Digest>>,
}

impl ImageConfig {
    /// From the bottom.
    pub fn diff_ids(&self) -> &[Digest] {
        self.rootfs.diff_ids.as_deref().unwrap_or_default()
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.config.as_ref()?.labels.as_ref()?.get(name)?.as_deref()
    }
}
