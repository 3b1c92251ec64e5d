//! An image of which only some layers came, because the others are known to be elsewhere already.
//!
//! What came is laid out as engines since 25 lay out an export, and what did not is added to it as known. It refuses to
//! know who took the image apart.

use std::collections::HashMap;
use std::fs::File;

use bytes::Bytes;
use serde_json::json;

use super::assemble::CLASSIC;
use super::config::{Config, OCI_CONFIG};
use super::contents::blob_name;
use super::error::Error;
use super::take::Taker;
use crate::registry::{Descriptor, Digest};

/// What came of one image.
pub struct Part {
    pub config: Bytes,
    /// By diff id, uncompressed.
    pub layers: HashMap<Digest, File>,
}

/// Takes the parts of an image, one for each platform.
pub(super) fn take(parts: Vec<Part>, taker: &mut Taker) -> Result<(), Error> {
    let mut list = Vec::new();
    for mut part in parts {
        let digest = Digest::sha256_of(&part.config);
        let descriptor = Descriptor::new(OCI_CONFIG, digest, part.config.len() as u64);
        let config =
            Config::read(&descriptor, &part.config)?.expect("the media type is a config's");
        for diff_id in config.diff_ids() {
            let name = blob_name(diff_id);
            match part.layers.remove(diff_id) {
                Some(mut file) => {
                    let size = file.metadata().map_err(Error::Source)?.len();
                    taker.file(name, size, &mut file)?;
                }
                None => taker.elsewhere(name, diff_id),
            }
        }
        let name = blob_name(&descriptor.digest);
        let layers: Vec<_> = config.diff_ids().iter().map(blob_name).collect();
        list.push(json!({ "Config": name, "Layers": layers }));
        taker.file(name, descriptor.size, &mut &part.config[..])?;
    }
    let list = serde_json::to_vec(&list).expect("names are JSON");
    taker.file(CLASSIC.to_owned(), list.len() as u64, &mut &list[..])
}
