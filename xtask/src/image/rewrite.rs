//! Manifests and indexes that no archive holds: for layers that were compressed here, and all above them. Pure.
//!
//! An image's manifest is written as an OCI manifest: every registry takes those, zstd needs them, and engines since 25
//! export nothing else. It refuses to know archives. Invariant: the same content gives the same bytes.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::config::{Config, OCI_CONFIG};
use super::encoding::Encoding;
use super::error::Error;
use super::layer_sink::Layer;
use crate::oci::{Descriptor, Digest, Manifest, index_of, media_type};

/// The manifest of the image with this config. Its layers are the config's diff ids in their order, whatever order the
/// archive has: engines 25.0 to 27.0 list layers in any, and each once (moby, 1e335cfa74).
pub(super) fn manifest(
    descriptor: &Descriptor,
    config: &Config,
    layers: &HashMap<&Digest, &Layer>,
    annotations: Option<&BTreeMap<String, String>>,
) -> Result<Manifest, Error> {
    let listed = |diff_id| match layers.get(diff_id) {
        Some(layer) => Ok(oci(&layer.descriptor)),
        None => Err(Error::Mismatch {
            config: descriptor.digest.clone(),
            reason: format!("it lists {diff_id}, which no layer of the archive unpacks to"),
        }),
    };
    let layers: Result<Vec<_>, _> = config.diff_ids().iter().map(listed).collect();
    let document = Document {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST,
        config: Descriptor::new(OCI_CONFIG, descriptor.digest.clone(), descriptor.size),
        layers: layers?,
        annotations,
    };
    let bytes = serde_json::to_vec(&document).expect("descriptors are JSON");
    Ok(Manifest::new(media_type::OCI_MANIFEST, bytes.into()))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u8,
    media_type: &'a str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

pub(super) const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(super) const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A layer that is known to be elsewhere may have been pushed by an engine, which has names of its own for the same.
fn oci(layer: &Descriptor) -> Descriptor {
    let media_type = match Encoding::named(&layer.media_type) {
        Encoding::Gzip => GZIP_LAYER,
        Encoding::Zstd => ZSTD_LAYER,
        Encoding::Tar | Encoding::Other => &layer.media_type,
    };
    Descriptor::new(media_type, layer.digest.clone(), layer.size)
}

/// `index` with what became of the manifests it lists: the same bytes when nothing did.
pub(super) fn index(index: Manifest, became: &HashMap<Digest, Descriptor>) -> Manifest {
    let mut document: Value =
        serde_json::from_slice(index.bytes()).expect("it was read as an index before");
    let mut is_changed = false;
    let new = |old: &Value| became.get(&old.as_str()?.parse().ok()?);
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
    let bytes = serde_json::to_vec(&document).expect("a value is JSON");
    Manifest::new(index.media_type(), bytes.into())
}

/// Where archives keep the names of images.
pub(super) const NAMES: [&str; 2] = [
    "io.containerd.image.name",
    "org.opencontainers.image.ref.name",
];

/// Whether an annotation is about the image in the archive: its name, or what an engine with containerd's image store
/// notes of it.
fn is_of_the_archive(annotation: &str) -> bool {
    NAMES.contains(&annotation)
        || annotation == "config.digest"
        || annotation.starts_with("containerd.io/")
}

/// An index of images that an archive lists side by side, or `None` when they are not one for each platform. Its order
/// does not depend on the archive's: engines list images in any.
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
    Some(index_of(&children, None))
}
