//! Images of which only some layers came, because the others are known to be elsewhere already.
//!
//! What came is laid out as engines lay out an export: around a config as they did up to version 24, around a manifest or
//! index as an OCI layout. It refuses to know who took the images apart.

use std::collections::HashMap;
use std::fs::File;

use bytes::Bytes;
use serde_json::json;

use super::assemble::{CLASSIC, OCI};
use super::config::{Config, OCI_CONFIG};
use super::contents::blob_name;
use super::entry_reader::EntryReader;
use super::error::Error;
use crate::oci::{Descriptor, Digest};

/// What came of one image.
pub struct PartialImage {
    /// A config, a manifest or an index.
    pub root: Bytes,
    /// The root's, unless it is a config.
    pub media_type: Option<String>,
    /// Manifests below an index.
    pub manifests: Vec<Bytes>,
    /// Uncompressed layers by diff id where the root is a config, otherwise blobs by digest, which whoever took them has
    /// compared.
    pub blobs: HashMap<Digest, File>,
}

/// Takes the parts, one for each platform.
pub(super) fn take(parts: Vec<PartialImage>, taker: &mut EntryReader) -> Result<(), Error> {
    let mut classic = Vec::new();
    let mut manifests = Vec::new();
    for part in parts {
        for (digest, mut file) in part.blobs {
            let size = file.metadata().map_err(Error::Source)?.len();
            let kept = file.try_clone().map_err(Error::Source)?;
            taker.file_kept(blob_name(&digest), size, &mut file, Some(kept))?;
        }
        for document in part.manifests.iter().chain([&part.root]) {
            let name = blob_name(&Digest::sha256_of(document));
            taker.file(name, document.len() as u64, &mut &document[..])?;
        }
        let digest = Digest::sha256_of(&part.root);
        let size = part.root.len() as u64;
        match part.media_type {
            Some(media_type) => manifests.push(Descriptor::new(&media_type, digest, size)),
            None => {
                let descriptor = Descriptor::new(OCI_CONFIG, digest, size);
                let config = Config::read(&descriptor, &part.root)?;
                let config = config.expect("the media type is a config's");
                let layers: Vec<_> = config.diff_ids().iter().map(blob_name).collect();
                classic.push(json!({ "Config": blob_name(&descriptor.digest), "Layers": layers }));
            }
        }
    }
    taker.take_known();
    let (name, list) = match &manifests[..] {
        [] => (CLASSIC, json!(classic)),
        manifests => (OCI, json!({ "schemaVersion": 2, "manifests": manifests })),
    };
    let list = list.to_string();
    taker.file(name.to_owned(), list.len() as u64, &mut list.as_bytes())
}
