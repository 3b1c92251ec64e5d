//! Writes manifests for layers that were compressed here, and the indexes above them. Pure.
//!
//! Always OCI manifests: every registry accepts them, zstd needs them, and engines since 25 export nothing else.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::encoding::Encoding;
use super::error::Error;
use super::layer_sink::Layer;
use crate::oci::{Descriptor, Digest, ImageConfig, Manifest, index_of, media_type};

/// The manifest of the image with this config. The layers follow the order of the config's diff ids, because engines
/// 25.0 to 27.0 list layers in any order, and each once (moby, 1e335cfa74).
pub(super) fn manifest(
    descriptor: &Descriptor,
    config: &ImageConfig,
    layers: &HashMap<&Digest, &Layer>,
    annotations: Option<&BTreeMap<String, String>>,
) -> Result<Manifest, Error> {
    let listed = |diff_id| match layers.get(diff_id) {
        Some(layer) => Ok(oci_layer(&layer.descriptor)),
        None => Err(Error::Mismatch {
            config: descriptor.digest.clone(),
            reason: format!("it lists {diff_id}, which no layer of the archive unpacks to"),
        }),
    };
    let layers: Result<Vec<_>, _> = config.diff_ids().iter().map(listed).collect();
    let media_type = media_type::OCI_CONFIG;
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::new(media_type, descriptor.digest.clone(), descriptor.size),
        "layers": layers?,
    });
    if let Some(annotations) = annotations {
        manifest["annotations"] = json!(annotations);
    }
    let bytes = manifest.to_string();
    Ok(Manifest::new(media_type::OCI_MANIFEST, bytes.into()))
}

pub(super) const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(super) const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// The descriptor in an OCI manifest of a layer that may have been pushed by an engine, with Docker's media type.
pub fn oci_layer(layer: &Descriptor) -> Descriptor {
    let media_type = match Encoding::of_media_type(&layer.media_type) {
        Encoding::Gzip => GZIP_LAYER,
        Encoding::Zstd => ZSTD_LAYER,
        Encoding::Tar | Encoding::Other => &layer.media_type,
    };
    Descriptor::new(media_type, layer.digest.clone(), layer.size)
}

/// Replaces the manifests in `index` that were `rewritten`; the bytes stay the same if none was.
pub(super) fn index(index: Manifest, rewritten: &HashMap<Digest, Descriptor>) -> Manifest {
    let mut document: Value = serde_json::from_slice(index.bytes()).expect("`content` parsed it");
    let mut is_changed = false;
    let new = |old: &Value| rewritten.get(&old.as_str()?.parse().ok()?);
    for entry in document["manifests"].as_array_mut().into_iter().flatten() {
        if let Some(new) = new(&entry["digest"])
            && entry["digest"] != new.digest.as_str()
        {
            is_changed = true;
            entry["digest"] = new.digest.as_str().into();
            entry["size"] = new.size.into();
            entry["mediaType"] = new.media_type.as_str().into();
        }
        // An attestation names its subject by digest.
        if let Some(annotations) = entry.get_mut("annotations").and_then(Value::as_object_mut) {
            for value in annotations.values_mut() {
                if let Some(new) = new(value) {
                    *value = new.digest.as_str().into();
                }
            }
        }
    }
    if !is_changed {
        return index;
    }
    Manifest::new(index.media_type(), document.to_string().into())
}

/// The annotations that hold an image's name in archives.
pub(super) const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

/// Whether an annotation is about the archive: the image's name, or a note of containerd's image store.
fn is_of_the_archive(annotation: &str) -> bool {
    NAMES.contains(&annotation)
        || annotation == "config.digest"
        || annotation.starts_with("containerd.io/")
}

/// An index of the images in an archive, or `None` if two are for one platform. Sorted, as engines list images in any
/// order.
pub(super) fn side_by_side<'a>(images: impl Iterator<Item = &'a Descriptor>) -> Option<Manifest> {
    let mut children = BTreeMap::new();
    for image in images {
        let mut child = image.clone();
        if let Some(annotations) = &mut child.annotations {
            annotations.retain(|key, _| !is_of_the_archive(key));
        }
        child.annotations = child.annotations.filter(|it| !it.is_empty());
        let platform = child.platform.as_ref()?.to_string();
        if children.insert(platform, child).is_some() {
            return None;
        }
    }
    let children: Vec<Descriptor> = children.into_values().collect();
    Some(index_of(&children))
}
