//! Reads an image's config, and compares the layers with it.

use super::error::Error;
use crate::oci::{Descriptor, Digest, ImageConfig, media_type};

/// Reads a config; `None` if the descriptor's media type is another, such as an artifact's.
pub(super) fn read(descriptor: &Descriptor, bytes: &[u8]) -> Result<Option<ImageConfig>, Error> {
    if !media_type::is_config(&descriptor.media_type) {
        return Ok(None);
    }
    let config = serde_json::from_slice(bytes).map_err(|error| Error::Damaged {
        name: format!("config {}", descriptor.digest),
        reason: error.to_string(),
    })?;
    Ok(Some(config))
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
