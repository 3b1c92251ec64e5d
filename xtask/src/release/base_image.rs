//! Base images of the layer builder.
//!
//! What a reference names is asked once for all platforms and stages, and from then on everything is read by digest. A
//! base whose file tree is remembered is not downloaded, unless its files are copied or nobody else would have its
//! layers.

use std::collections::HashMap;
use std::fs::File;

use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::base_blob::download;
use super::base_found::{FoundBase, FoundBases};
use super::base_memory::BaseMemory;
use super::clients::Clients;
use super::plan::ReleasePlan;
use crate::exit::bad_input;
use crate::graph;
use crate::image::layers::{
    self, Base, BaseImage, ConfigDocument, Contents, Dockerfile, FileTree, LayoutWriter,
};
use crate::oci::{Descriptor, Digest, ImageConfig, Platform, Reference};
use crate::registry::Repository;

/// Layers of one image that are downloaded at the same time.
const DOWNLOADS: usize = 4;

/// By reference and platform.
pub type Bases = HashMap<(Reference, Platform), FetchedBase>;

/// A base image for one platform.
pub struct FetchedBase {
    pub config: Vec<u8>,
    pub layers: Vec<Descriptor>,
    /// Of its manifest, or of the index that lists it.
    pub digest: Digest,
    pub image: BaseImage,
    /// Has the layers; `None` if they are in the layout.
    pub holder: Option<Repository>,
}

/// Reads the images that the Dockerfile needs. Where this run does not push, all layers of the image are in `layout`.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): there is no such image, none for the platform, it may not be read, or it is of
/// a kind that only an engine can build on.
pub async fn fetch(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    target: &graph::Context<'_>,
    dockerfile: &Dockerfile,
    layout: &LayoutWriter,
    found: &mut FoundBases,
) -> Result<Bases> {
    // The preflight has asked; this is for a Dockerfile that has changed meanwhile.
    let warn = |warning: &str| target.warn(warning);
    let recipes = found.recipes(plan, clients, dockerfile, &warn).await?;
    for (reference, digest) in found.digests() {
        target.note(&format!("`{reference}` is {digest}"));
    }
    let is_whole = plan.transport.load
        || !plan.pushes.iter().any(|push| {
            let registry = clients.registries.get(&push.registry);
            target.is_scheduled(&push.target) && registry.is_signed_in()
        });
    let mut wanted: Vec<(Reference, Platform, Wanted)> = Vec::new();
    for recipe in &recipes {
        let own = match layers::base(recipe) {
            Base::Image {
                reference,
                platform,
            } => Some((reference, platform)),
            _ => None,
        };
        for (reference, platform, is_copied) in recipe.images() {
            let mut other = Wanted {
                is_copied,
                is_base: own == Some((reference, platform)),
                is_whole,
            };
            let same = |it: &(Reference, Platform, Wanted)| it.0 == *reference && it.1 == *platform;
            match wanted.iter_mut().find(|it| same(it)) {
                Some((.., wanted)) => {
                    other.is_copied |= wanted.is_copied;
                    other.is_base |= wanted.is_base;
                    *wanted = other;
                }
                None => wanted.push((reference.clone(), platform.clone(), other)),
            }
        }
    }
    let mut bases = Bases::new();
    let reader = Reader {
        target,
        layout,
        memory: BaseMemory::new(plan.base_memory.clone()),
    };
    for (reference, platform, wanted) in wanted {
        let found = found.take(&reference, &platform);
        let found = found.context("it was not found")?;
        let read = reader.read(found, &reference, &platform, &wanted).await;
        let read = read.with_context(|| format!("base image `{reference}`"))?;
        bases.insert((reference, platform), read);
    }
    Ok(bases)
}

/// How much of an image is needed.
struct Wanted {
    /// The contents of its files.
    is_copied: bool,
    /// Its layers are those of the image.
    is_base: bool,
    /// The layout has every layer.
    is_whole: bool,
}

struct Reader<'a> {
    target: &'a graph::Context<'a>,
    layout: &'a LayoutWriter,
    memory: BaseMemory,
}

impl Reader<'_> {
    /// Reads the tree of an image that was found, and its layers where they are needed.
    async fn read(
        &self,
        found: FoundBase,
        reference: &Reference,
        platform: &Platform,
        wanted: &Wanted,
    ) -> Result<FetchedBase> {
        let contents = match wanted.is_copied {
            true => Contents::Kept,
            false => Contents::Compared,
        };
        let tree = found.tree.filter(|_| !wanted.is_copied);
        let needs_layers = tree.is_none() || wanted.is_base && wanted.is_whole;
        let files = match needs_layers {
            true => {
                let layers = &found.image.layers;
                self.target
                    .note(&format!("reading `{reference}` for {platform}"));
                let mut files = Vec::new();
                for layer in layers {
                    let is_kept = wanted.is_base;
                    files.push(download(&found.repository, layer, self.layout, is_kept));
                }
                stream::iter(files)
                    .buffered(DOWNLOADS)
                    .try_collect()
                    .await?
            }
            false => Vec::new(),
        };
        let tree = match tree {
            Some(tree) => tree,
            None => {
                let (memory, config) = (self.memory.clone(), found.config.clone());
                let manifest = found.manifest;
                let layers = found.image.layers.clone();
                let tree = tokio::task::spawn_blocking(move || -> Result<FileTree> {
                    let tree = apply(&layers, &files, &config, contents)?;
                    if let Some(manifest) = manifest {
                        // What is not remembered is read again.
                        let _ = memory.put(&manifest, &config, &tree);
                    }
                    Ok(tree)
                });
                tree.await??
            }
        };
        let user = ConfigDocument::of_base(&found.config)?.user();
        Ok(FetchedBase {
            config: found.config,
            layers: found.image.layers,
            digest: found.digest,
            image: BaseImage { tree, user },
            holder: (!needs_layers).then_some(found.repository),
        })
    }
}

/// The tree of an image's layers, each of which unpacks to what the config says.
fn apply(
    layers: &[Descriptor],
    files: &[File],
    config: &[u8],
    contents: Contents,
) -> Result<FileTree> {
    let config: ImageConfig = serde_json::from_slice(config)?;
    let mut tree = FileTree::default();
    for ((layer, file), expected) in layers.iter().zip(files).zip(config.diff_ids()) {
        let diff_id = tree.apply_compressed(file, contents);
        let diff_id = diff_id.context("a layer cannot be read")?;
        if diff_id != *expected {
            return Err(bad_input(format!(
                "its layer {} unpacks to {diff_id}, and its config says {expected}, so that no engine can pull it",
                layer.digest
            )));
        }
    }
    Ok(tree)
}
