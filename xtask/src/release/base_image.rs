//! Base images of the layer builder.
//!
//! What a reference names is asked once for all platforms and stages, and from then on everything is read by digest. A
//! base whose file tree is remembered is not downloaded, unless its files are copied or nobody else would have its
//! layers.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::base_blob::{download, small_blob};
use super::base_check;
use super::base_memory::BaseMemory;
use super::clients::{BaseRepository, Clients};
use super::plan::ReleasePlan;
use crate::exit::bad_input;
use crate::graph;
use crate::image::layers::{
    self, Base, BaseConfig, BaseImage, ConfigDocument, Contents, Dockerfile, FileTree, LayoutWriter,
};
use crate::oci::{
    Content, Descriptor, Digest, Image, ImageConfig, Manifest, Platform, Reference, TagOrDigest,
};
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
) -> Result<Bases> {
    let mut reader = Reader {
        clients,
        target,
        layout,
        memory: BaseMemory::new(plan.base_memory.clone()),
        roots: HashMap::new(),
        found: HashMap::new(),
    };
    for build in &plan.builds {
        let images = dockerfile.bases(&build.platform, &build.args);
        for (reference, platform) in images.map_err(bad_input)? {
            reader.find(&reference, &platform).await?;
        }
    }
    let is_whole = plan.transport.load
        || !plan.pushes.iter().any(|push| {
            let registry = clients.registries.get(&push.registry);
            target.is_scheduled(&push.target) && registry.is_signed_in()
        });
    let mut wanted: Vec<(Reference, Platform, Wanted)> = Vec::new();
    for build in &plan.builds {
        let base_config = |reference: &Reference, platform: &Platform| -> BaseConfig {
            let found = reader.found.get(&(reference.clone(), platform.clone()));
            found
                .and_then(|found| ConfigDocument::of_base(&found.config).ok())
                .map(|document| document.inherited())
                .unwrap_or_default()
        };
        let recipe = dockerfile.recipe(&build.platform, &build.args, &base_config);
        let recipe = recipe.map_err(bad_input)?;
        for stage in &recipe.stages {
            if let Base::Image {
                reference,
                platform,
            } = &stage.base
            {
                reader.refuse_triggers(reference, platform)?;
            }
        }
        let own = match layers::base(&recipe) {
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
    for (reference, platform, wanted) in wanted {
        let read = reader.read(&reference, &platform, &wanted).await;
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
    clients: &'a Clients<'a>,
    target: &'a graph::Context<'a>,
    layout: &'a LayoutWriter,
    memory: BaseMemory,
    roots: HashMap<Reference, Root>,
    found: HashMap<(Reference, Platform), Found>,
}

/// What a reference names.
struct Root {
    base: BaseRepository,
    manifest: Manifest,
}

/// An image for one platform, without its layers.
struct Found {
    repository: Repository,
    /// Of what the reference names.
    digest: Digest,
    /// `None` if it is remembered.
    manifest: Option<Manifest>,
    image: Image,
    config: Vec<u8>,
    /// If it is remembered.
    tree: Option<FileTree>,
}

impl Reader<'_> {
    /// Finds the manifest and config of an image.
    async fn find(&mut self, reference: &Reference, platform: &Platform) -> Result<()> {
        let key = (reference.clone(), platform.clone());
        if !self.found.contains_key(&key) {
            let found = self.ask(reference, platform).await;
            let found = found.with_context(|| format!("base image `{reference}`"))?;
            self.found.insert(key, found);
        }
        Ok(())
    }

    /// Refuses a base with instructions for the stages that start from it; files may be copied out of it.
    fn refuse_triggers(&self, reference: &Reference, platform: &Platform) -> Result<()> {
        let found = self.found.get(&(reference.clone(), platform.clone()));
        let config = found.map(|found| ConfigDocument::of_base(&found.config));
        match config.transpose()?.is_some_and(|it| it.has_triggers()) {
            true => Err(bad_input(format!(
                "`{reference}` has instructions for those who build from it (`ONBUILD`), which only an engine performs\n\
                 hint: `--builder engine`"
            ))),
            false => Ok(()),
        }
    }

    async fn ask(&mut self, reference: &Reference, platform: &Platform) -> Result<Found> {
        if !self.roots.contains_key(reference) {
            let root = self.root(reference).await?;
            self.roots.insert(reference.clone(), root);
        }
        let root = &self.roots[reference];
        let repository = &root.base.repository;
        let digest = match root.manifest.content()? {
            Content::Image(_) => root.manifest.digest().clone(),
            Content::Index(index) => {
                let mut children = index.manifests.iter();
                let child = children.find(|child| {
                    let own = child.platform.as_ref();
                    own.is_some_and(|own| platform.fits(own))
                });
                let has = index.manifests.iter().filter_map(|it| it.platform.as_ref());
                let has = has.filter(|it| it.os != "unknown");
                let has: Vec<String> = has.map(|it| format!("`{it}`")).collect();
                let none = || base_check::no_platform(reference, platform, &has.join(", "));
                child.ok_or_else(none)?.digest.clone()
            }
        };
        let (memory, wanted) = (self.memory.clone(), digest.clone());
        let known = tokio::task::spawn_blocking(move || memory.get(&wanted)).await?;
        let found = match known {
            Some(known) => Found {
                repository: repository.clone(),
                digest: root.manifest.digest().clone(),
                manifest: None,
                image: known.image,
                config: known.config,
                tree: Some(known.tree),
            },
            None => {
                let manifest = match digest == *root.manifest.digest() {
                    true => root.manifest.clone(),
                    false => child(&root.base, &digest).await?,
                };
                let Content::Image(image) = manifest.content()? else {
                    bail!("it lists an index within an index");
                };
                base_check::check(&image)?;
                Found {
                    config: small_blob(repository, &image.config).await?,
                    repository: repository.clone(),
                    digest: root.manifest.digest().clone(),
                    manifest: Some(manifest),
                    image,
                    tree: None,
                }
            }
        };
        // An image without an index says its platform only here.
        let own = serde_json::from_slice::<ImageConfig>(&found.config)
            .context("its config is not readable")?
            .platform;
        match platform.fits(&own) {
            true => Ok(found),
            false => Err(base_check::no_platform(
                reference,
                platform,
                &format!("`{own}`"),
            )),
        }
    }

    /// Asks what the reference names.
    async fn root(&self, reference: &Reference) -> Result<Root> {
        let (clients, target) = (self.clients, self.target);
        let base = clients
            .base_repository(&reference.repository, target)
            .await?;
        let at = match &reference.digest {
            Some(digest) => TagOrDigest::Digest(digest.clone()),
            None => TagOrDigest::Tag(reference.tag_or_latest()),
        };
        let manifest = base.repository.get_manifest(&at).await;
        let manifest = manifest.map_err(|error| base.explained(error))?;
        let manifest = manifest.ok_or_else(|| bad_input("there is no such image"))?;
        target.note(&format!("`{reference}` is {}", manifest.digest()));
        Ok(Root { base, manifest })
    }

    /// Reads the tree of an image that was found, and its layers where they are needed.
    async fn read(
        &mut self,
        reference: &Reference,
        platform: &Platform,
        wanted: &Wanted,
    ) -> Result<FetchedBase> {
        let found = self.found.remove(&(reference.clone(), platform.clone()));
        let found = found.context("it was not found")?;
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
                let tree = tokio::task::spawn_blocking(move || -> io::Result<FileTree> {
                    let tree = apply(&files, contents)?;
                    if let Some(manifest) = manifest {
                        // What is not remembered is read again.
                        let _ = memory.put(&manifest, &config, &tree);
                    }
                    Ok(tree)
                });
                tree.await?.context("a layer cannot be read")?
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

fn apply(layers: &[File], contents: Contents) -> io::Result<FileTree> {
    let mut tree = FileTree::default();
    for layer in layers {
        tree.apply_compressed(layer, contents)?;
    }
    Ok(tree)
}

async fn child(base: &BaseRepository, digest: &Digest) -> Result<Manifest> {
    let at = TagOrDigest::Digest(digest.clone());
    let manifest = base.repository.get_manifest(&at).await;
    let manifest = manifest.map_err(|error| base.explained(error))?;
    manifest.with_context(|| format!("it lists {digest}, which is not there"))
}
