//! Reads an OCI image layout in a directory (OCI image specification, "Image Layout").
//!
//! Only what `index.json` leads to is read, because tools leave the blobs of earlier images behind.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::contents::blob_name;
use super::entry_reader::EntryReader;
use super::error::Error;
use crate::oci::{Content, Manifest, media_type};

/// Gives every file of the image to `reader`, manifests before what they list.
pub(super) fn read(directory: &Path, reader: &mut EntryReader) -> Result<(), Error> {
    let mut open = vec![("index.json".to_owned(), media_type::OCI_INDEX.to_owned())];
    let mut seen = HashSet::new();
    while let Some((name, media_type)) = open.pop() {
        let path = directory.join(&name);
        let failed = |error| Error::Open {
            path: path.clone(),
            error,
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            // `assemble` reports missing files, with what lists them.
            Err(error) if error.kind() == io::ErrorKind::NotFound && name != "index.json" => {
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        let size = file.metadata().map_err(failed)?.len();
        reader.file(name.clone(), size, &mut file)?;
        if !media_type::is_manifest(&media_type) {
            continue;
        }
        let Some(bytes) = reader.contents.document(&name) else {
            continue;
        };
        let manifest = Manifest::new(&media_type, bytes.clone());
        let listed = match manifest.content()? {
            Content::Index(index) => index.manifests,
            // The config last, because the list is worked off from its end: it comes before the layers.
            Content::Image(image) => [image.layers, vec![image.config]].concat(),
        };
        for descriptor in listed.into_iter().rev() {
            if seen.insert(descriptor.digest.clone()) {
                open.push((blob_name(&descriptor.digest), descriptor.media_type));
            }
        }
    }
    Ok(())
}
