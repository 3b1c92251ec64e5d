//! An OCI image layout that is a directory (OCI image specification, "Image Layout").
//!
//! It refuses to know what is done with the files. Invariant: only what `index.json` leads to is read, because tools
//! leave the blobs of earlier images behind.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::contents::blob_name;
use super::entry_reader::EntryReader;
use super::error::Error;
use crate::oci::{Content, Manifest, media_type};

/// Gives every file of the image to `taker`, manifests before what they list.
pub(super) fn walk(directory: &Path, taker: &mut EntryReader) -> Result<(), Error> {
    let mut open = vec![("index.json".to_owned(), media_type::OCI_INDEX.to_owned())];
    let mut seen = HashSet::new();
    while let Some((name, media_type)) = open.pop() {
        let path = directory.join(&name);
        let failed = |source| Error::Open {
            path: path.clone(),
            source,
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            // What is missing is told with what wants it, later.
            Err(error) if error.kind() == io::ErrorKind::NotFound && name != "index.json" => {
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        let size = file.metadata().map_err(failed)?.len();
        taker.file(name.clone(), size, &mut file)?;
        if !media_type::is_manifest(&media_type) {
            continue;
        }
        let Some(bytes) = taker.contents.document(&name) else {
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
