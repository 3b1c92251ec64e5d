//! Layouts: written, taken over and read again.

use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::image::layers::{Layout, LayoutWriter};
use crate::oci::{Descriptor, Digest, Manifest, index_of, media_type};

/// A layout with an index of one image with one layer; the layer.
fn layout(directory: &Path, keep: Option<&Descriptor>) -> (Descriptor, Manifest) {
    let writer = LayoutWriter::create(directory).unwrap();
    let layer = match keep {
        Some(layer) => {
            assert!(writer.keep(layer));
            layer.clone()
        }
        None => {
            let root = context(&["a\t644\tA"]);
            let plan = planned(root.path(), &Origins::new(), "COPY a /a").unwrap();
            let layers: Vec<_> = plan.layers.iter().collect();
            let blobs = writer.blobs();
            let built = build_layers(
                &layers,
                Compression::default(),
                None,
                Some(&blobs),
                &|blob| assert!(blobs.join(blob.descriptor.digest.hex()).exists()),
            );
            built.unwrap().remove(0).blob.descriptor
        }
    };
    let config =
        crate::image::layers::manifest(b"{}", std::slice::from_ref(&layer), &Default::default());
    writer.add_bytes(b"{}").unwrap();
    writer.add_manifest(&config).unwrap();
    let index = index_of(&[config.descriptor()]);
    writer.add_manifest(&index).unwrap();
    let was_there = writer.finish(&index.descriptor(), "1.2.3").unwrap();
    assert_eq!(was_there, keep.is_some());
    (layer, index)
}

#[test]
fn a_layer_is_written_into_the_layout_and_stays_the_same_file() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("image");
    let (layer, _) = layout(&directory, None);
    let blobs = directory.join("blobs/sha256");
    let inode = |path: &Path| path.metadata().unwrap().ino();
    let first = inode(&blobs.join(layer.digest.hex()));
    // Nothing but the layer, the config, the manifest and the index: no temporary file.
    assert_eq!(blobs.read_dir().unwrap().count(), 4);
    layout(&directory, Some(&layer));
    assert_eq!(inode(&blobs.join(layer.digest.hex())), first);
    assert_eq!(root.path().read_dir().unwrap().count(), 1);
}

#[test]
fn it_is_read_with_the_blobs_that_are_there() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("image");
    let (layer, index) = layout(&directory, None);
    let read = Layout::read(&directory).unwrap();
    assert_eq!(read.manifests.last(), Some(&index));
    assert_eq!(read.manifests.len(), 2);
    let digests = |layout: &Layout| -> Vec<Digest> {
        let blobs = layout.blobs.iter();
        blobs.map(|blob| blob.descriptor.digest.clone()).collect()
    };
    let config = Digest::sha256_of(b"{}");
    assert_eq!(digests(&read), [layer.digest.clone(), config.clone()]);

    let path = directory.join("blobs/sha256").join(layer.digest.hex());
    fs::write(&path, "short").unwrap();
    assert_eq!(digests(&Layout::read(&directory).unwrap()), [config]);
    let writer = LayoutWriter::create(&directory).unwrap();
    assert!(!writer.keep(&layer));
}

#[test]
fn a_damaged_manifest_is_no_image() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("image");
    let (_, index) = layout(&directory, None);
    assert_eq!(index.media_type(), media_type::OCI_INDEX);
    let path = directory.join("blobs/sha256").join(index.digest().hex());
    fs::write(&path, "{}").unwrap();
    let error = Layout::read(&directory).unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
    fs::remove_file(directory.join("index.json")).unwrap();
    assert!(Layout::read(&directory).is_err());
}
