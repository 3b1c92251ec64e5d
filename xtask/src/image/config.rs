//! Reading an image's config, and comparing its layers with it.

use super::error::Error;
use crate::oci::{Descriptor, Digest, ImageConfig, media_type};

/// The config with these bytes, or `None` when the descriptor says that it is something else's, such as an artifact's.
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

/// Whether the layers unpack to what the config says.
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
