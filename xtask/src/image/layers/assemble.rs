//! One platform's image: the config that its steps make, and the manifest over its layers.

use std::collections::BTreeMap;

use serde_json::json;

use super::config::ConfigDocument;
use super::recipe::{Base, Recipe};
use crate::oci::{Descriptor, Digest, Manifest, media_type};

/// A layer of the image, and the step that made it.
pub struct StepLayer {
    /// Position in [`Recipe::stages`].
    pub stage: usize,
    /// Position in the stage.
    pub step: usize,
    pub diff_id: Digest,
    pub descriptor: Descriptor,
}

/// What is the same for every platform of an image.
pub struct Release<'a> {
    /// RFC 3339.
    pub created: &'a str,
    pub labels: &'a BTreeMap<String, String>,
}

/// The config of the image that `recipe` makes on `base`, the config of the image that its last stage begins with.
pub fn config(
    recipe: &Recipe,
    base: ConfigDocument,
    layers: &[StepLayer],
    release: &Release,
) -> Vec<u8> {
    let mut document = base;
    for stage in chain(recipe) {
        document.next_stage();
        for (position, step) in recipe.stages[stage].steps.iter().enumerate() {
            let layer = layers
                .iter()
                .find(|layer| (layer.stage, layer.step) == (stage, position));
            document.apply(step, layer.map(|layer| &layer.diff_id), release.created);
        }
    }
    document.label(release.labels);
    document.into_bytes(release.created)
}

/// The manifest of an image with `config` and `layers`, from the bottom.
pub fn manifest(
    config: &[u8],
    layers: &[Descriptor],
    annotations: &BTreeMap<String, String>,
) -> Manifest {
    let digest = Digest::sha256_of(config);
    let config = Descriptor::new(media_type::OCI_CONFIG, digest, config.len() as u64);
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": config,
        "layers": layers,
    });
    if !annotations.is_empty() {
        manifest["annotations"] = json!(annotations);
    }
    Manifest::new(media_type::OCI_MANIFEST, manifest.to_string().into())
}

/// What the last stage begins with: an image, or nothing.
pub fn base(recipe: &Recipe) -> &Base {
    let first = chain(recipe).first().copied().unwrap_or_default();
    &recipe.stages[first].base
}

/// The last stage and those that it is made from, the first of them in front.
fn chain(recipe: &Recipe) -> Vec<usize> {
    let mut chain = vec![recipe.stages.len().saturating_sub(1)];
    while let Some(Base::Stage(earlier)) = chain
        .last()
        .and_then(|stage| recipe.stages.get(*stage))
        .map(|stage| &stage.base)
    {
        chain.push(*earlier);
    }
    chain.reverse();
    chain
}
