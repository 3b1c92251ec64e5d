//! Reads images of which only some layers came, because the others are reused.
//!
//! They are laid out as engines lay out an export: around a config as up to version 24, around a manifest or index as
//! an OCI layout.

use serde_json::json;

use super::assemble::{CLASSIC, OCI};
use super::config;
use super::contents::blob_name;
use super::entry_reader::EntryReader;
use super::error::Error;
use super::options::PartialImage;
use crate::oci::{Descriptor, Digest};

/// Gives every file of the images to `reader`.
pub(super) fn read(images: Vec<PartialImage>, reader: &mut EntryReader) -> Result<(), Error> {
    let mut classic = Vec::new();
    let mut manifests = Vec::new();
    for image in images {
        for (digest, mut file) in image.blobs {
            let size = file.metadata().map_err(Error::Source)?.len();
            let spooled = file.try_clone().map_err(Error::Source)?;
            reader.spooled_file(blob_name(&digest), size, &mut file, Some(spooled))?;
        }
        for document in image.manifests.iter().chain([&image.root]) {
            let name = blob_name(&Digest::sha256_of(document));
            reader.file(name, document.len() as u64, &mut &document[..])?;
        }
        let digest = Digest::sha256_of(&image.root);
        let size = image.root.len() as u64;
        match image.media_type {
            Some(media_type) => manifests.push(Descriptor::new(&media_type, digest, size)),
            None => {
                let config = config::read(&digest, &image.root)?;
                let layers: Vec<_> = config.diff_ids().iter().map(blob_name).collect();
                classic.push(json!({ "Config": blob_name(&digest), "Layers": layers }));
            }
        }
    }
    reader.add_reusable();
    let (name, list) = match &manifests[..] {
        [] => (CLASSIC, json!(classic)),
        manifests => (OCI, json!({ "schemaVersion": 2, "manifests": manifests })),
    };
    let list = list.to_string();
    reader.file(name.to_owned(), list.len() as u64, &mut list.as_bytes())
}
