//! Reads an OCI image layout in a directory (OCI image specification, "Image Layout").
//!
//! Only what `index.json` leads to is read, because tools leave the blobs of earlier images behind.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::assemble::OCI;
use super::choice::chosen;
use super::contents::blob_name;
use super::entry_reader::{EntryReader, MAX_DOCUMENT};
use super::error::Error;
use crate::oci::{Content, Descriptor, Manifest, TagOrDigest, media_type};

/// Opens a file, or what a link to one names. A pipe or a device might never end, or never begin.
pub(super) fn open(path: &Path) -> io::Result<File> {
    match path.metadata()?.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// Gives every file of the image to `reader`, manifests before what they list.
/// Without the images that are not `wanted`.
pub(super) fn read(
    directory: &Path,
    wanted: Option<&TagOrDigest>,
    reader: &mut EntryReader,
) -> Result<(), Error> {
    let mut unread = vec![(OCI.to_owned(), media_type::OCI_INDEX.to_owned())];
    let mut seen = HashSet::new();
    while let Some((name, media_type)) = unread.pop() {
        let path = directory.join(&name);
        let failed = |error| Error::Open {
            path: path.clone(),
            error,
        };
        let file = match open(&path) {
            Ok(file) => Arc::new(file),
            // `assemble` reports missing files, with what lists them.
            Err(error) if error.kind() == io::ErrorKind::NotFound && name != OCI => {
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoLayout(directory.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        };
        let size = file.metadata().map_err(failed)?.len();
        reader.file(name.clone(), size, &mut &*file, Some(Arc::clone(&file)))?;
        if !media_type::is_manifest(&media_type) {
            continue;
        }
        let Some(bytes) = reader.contents.document(&name) else {
            continue;
        };
        let manifest = Manifest::new(&media_type, bytes.clone());
        let listed = match manifest.content()? {
            Content::Index(index) if name == OCI => {
                let document = |listed: &Descriptor| {
                    let path = directory.join(blob_name(&listed.digest));
                    let mut bytes = Vec::new();
                    let file = open(&path).ok()?;
                    file.take(MAX_DOCUMENT).read_to_end(&mut bytes).ok()?;
                    Some(bytes.into())
                };
                let roots = chosen(index.manifests, wanted, document)?;
                reader.contents.roots = Some(roots.clone());
                roots
            }
            Content::Index(index) => index.manifests,
            Content::Artifact(artifact) => artifact.blobs,
            // The config last, because the list is worked off from its end: it comes before the layers.
            Content::Image(image) => [image.layers, vec![image.config]].concat(),
        };
        for descriptor in listed.into_iter().rev() {
            if seen.insert(descriptor.digest.clone()) {
                unread.push((blob_name(&descriptor.digest), descriptor.media_type));
            }
        }
    }
    Ok(())
}
