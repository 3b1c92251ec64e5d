//! Reads an image's config, and compares the layers with it.

use super::error::Error;
use crate::oci::{Digest, ImageConfig};

/// Reads the config of that digest.
pub(super) fn read(digest: &Digest, bytes: &[u8]) -> Result<ImageConfig, Error> {
    let config = serde_json::from_slice(bytes);
    config.map_err(|error| Error::damaged(format_args!("config {digest}"), error))
}

/// Checks that the layers have the diff ids that the config lists.
pub(super) fn compare(
    config: &ImageConfig,
    digest: &Digest,
    diff_ids: &[&Digest],
) -> Result<(), Error> {
    let expected = config.diff_ids();
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
