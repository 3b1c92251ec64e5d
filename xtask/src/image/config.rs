//! The platform and the diff ids in an image's config.

use serde::Deserialize;

use super::error::Error;
use crate::oci::{Descriptor, Digest, Platform};

/// OCI image specification, "Image Configuration"; Docker's own has the same fields.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(flatten)]
    pub platform: Platform,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    /// Go writes an empty list as `null`.
    diff_ids: Option<Vec<Digest>>,
}

pub(super) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

impl Config {
    /// Reads a config; `None` if the descriptor's media type is another, such as an artifact's.
    pub fn read(descriptor: &Descriptor, bytes: &[u8]) -> Result<Option<Config>, Error> {
        if !matches!(&*descriptor.media_type, OCI_CONFIG | DOCKER_CONFIG) {
            return Ok(None);
        }
        let config = serde_json::from_slice(bytes).map_err(|error| Error::Damaged {
            name: format!("config {}", descriptor.digest),
            reason: error.to_string(),
        })?;
        Ok(Some(config))
    }

    /// From the bottom.
    pub fn diff_ids(&self) -> &[Digest] {
        self.rootfs.diff_ids.as_deref().unwrap_or_default()
    }

    /// Checks that the layers have the diff ids that the config lists.
    pub fn compare(&self, digest: &Digest, diff_ids: &[&Digest]) -> Result<(), Error> {
        let expected = self.diff_ids();
        let mut pairs = expected.iter().zip(diff_ids);
        let reason = if expected.len() != diff_ids.len() {
            let (listed, there) = (expected.len(), diff_ids.len());
            format!("it lists {listed}, and there are {there}")
        } else if let Some(at) = pairs.position(|(expected, there)| expected != *there) {
            let (expected, there) = (&expected[at], diff_ids[at]);
            format!("number {} unpacks to {there} instead of {expected}", at + 1)
        } else {
            return Ok(());
        };
        let config = digest.clone();
        Err(Error::Mismatch { config, reason })
    }
}
