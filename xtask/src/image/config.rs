//! Reads an image's config, and compares the layers with it.

use super::error::Error;
use super::layer_sink::Layer;
use crate::oci::{Digest, ImageConfig};

/// Reads the config of that digest.
pub(super) fn read(digest: &Digest, bytes: &[u8]) -> Result<ImageConfig, Error> {
    let config = serde_json::from_slice(bytes);
    config.map_err(|error| Error::damaged(format_args!("config {digest}"), error))
}

/// Checks that the layers have the diff ids that the config lists, as far as they are known.
pub(super) fn compare(
    config: &ImageConfig,
    digest: &Digest,
    layers: &[Option<&Layer>],
) -> Result<(), Error> {
    let expected = config.diff_ids();
    let known = expected.iter().zip(layers).zip(1..);
    let mut known = known
        .filter_map(|((expected, it), at)| Some((at, expected, it.as_ref()?.diff_id.as_ref()?)));
    let reason = if expected.len() != layers.len() {
        let (listed, there) = (expected.len(), layers.len());
        format!("it lists {listed}, and there are {there}")
    } else if let Some((at, expected, there)) = known.find(|(_, expected, there)| expected != there)
    {
        format!("number {at} unpacks to {there} instead of {expected}")
    } else {
        return Ok(());
    };
    let config = digest.clone();
    Err(Error::Mismatch { config, reason })
}
