//! Which images the base images of the layer builder are: asked before anything is downloaded, and once a run.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result, bail};

use super::base_blob::small_blob;
use super::base_check;
use super::base_memory::BaseMemory;
use super::builder::DOCKERFILE;
use super::clients::{BaseRepository, Clients};
use super::plan::ReleasePlan;
use crate::exit::bad_input;
use crate::image::layers::{Base, BaseConfig, ConfigDocument, Dockerfile, FileTree, Recipe};
use crate::oci::{Content, Digest, Image, ImageConfig, Manifest, Platform, Reference, TagOrDigest};
use crate::registry::Repository;

/// Takes warnings.
pub type Warn<'a> = &'a (dyn Fn(&str) + Sync);

/// What is known of base images.
#[derive(Default)]
pub struct FoundBases {
    roots: HashMap<Reference, Root>,
    found: HashMap<(Reference, Platform), FoundBase>,
}

/// What a reference names.
struct Root {
    base: BaseRepository,
    manifest: Manifest,
}

/// An image for one platform, without its layers.
pub struct FoundBase {
    pub repository: Repository,
    /// Of what the reference names.
    pub digest: Digest,
    /// `None` if it is remembered.
    pub manifest: Option<Manifest>,
    pub image: Image,
    pub config: Vec<u8>,
    /// If it is remembered.
    pub tree: Option<FileTree>,
}

impl FoundBases {
    /// Finds every image that the Dockerfile needs, and evaluates it on them: a recipe for each platform.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): there is no such image, none for the platform, it may not be read, or it is
    /// of a kind that only an engine can build on; or the Dockerfile is wrong.
    pub async fn recipes(
        &mut self,
        plan: &ReleasePlan,
        clients: &Clients<'_>,
        dockerfile: &Dockerfile,
        warn: Warn<'_>,
    ) -> Result<Vec<Recipe>> {
        let mut recipes = Vec::new();
        for build in &plan.builds {
            let images = dockerfile.bases(&build.platform, &build.args);
            for (reference, platform) in images.map_err(bad_input)? {
                let found = self.find(plan, clients, &reference, &platform, warn).await;
                found.with_context(|| match dockerfile.copies_by_name(&reference) {
                    Some((line, name)) => {
                        format!("`{DOCKERFILE}`, line {line}: no stage is called `{name}`, and as an image")
                    }
                    None => format!("base image `{reference}`"),
                })?;
            }
        }
        for build in &plan.builds {
            let base_config = |reference: &Reference, platform: &Platform| -> BaseConfig {
                let found = self.found.get(&(reference.clone(), platform.clone()));
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
                    self.refuse_triggers(reference, platform)?;
                }
            }
            recipes.push(recipe);
        }
        Ok(recipes)
    }

    /// Finds the manifest and config of an image, unless that was done.
    pub async fn find(
        &mut self,
        plan: &ReleasePlan,
        clients: &Clients<'_>,
        reference: &Reference,
        platform: &Platform,
        warn: Warn<'_>,
    ) -> Result<()> {
        let key = (reference.clone(), platform.clone());
        if !self.found.contains_key(&key) {
            if !self.roots.contains_key(reference) {
                let root = root(clients, reference, warn).await?;
                self.roots.insert(reference.clone(), root);
            }
            let memory = BaseMemory::new(plan.base_memory.clone());
            let root = &self.roots[reference];
            let found = for_platform(root, memory, reference, platform).await?;
            self.found.insert(key, found);
        }
        Ok(())
    }

    /// What was found, to be read.
    pub fn take(&mut self, reference: &Reference, platform: &Platform) -> Option<FoundBase> {
        self.found.remove(&(reference.clone(), platform.clone()))
    }

    /// The digest of each reference that was asked for, by its text.
    pub fn digests(&self) -> BTreeMap<String, &Digest> {
        let roots = self.roots.iter();
        roots
            .map(|(reference, root)| (reference.to_string(), root.manifest.digest()))
            .collect()
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
}

/// Asks what the reference names.
async fn root(clients: &Clients<'_>, reference: &Reference, warn: Warn<'_>) -> Result<Root> {
    let base = clients.base_repository(&reference.repository, warn).await?;
    let at = match &reference.digest {
        Some(digest) => TagOrDigest::Digest(digest.clone()),
        None => TagOrDigest::Tag(reference.tag_or_latest()),
    };
    let manifest = base.repository.get_manifest(&at).await;
    let manifest = manifest.map_err(|error| base.explained(error))?;
    let manifest = manifest.ok_or_else(|| bad_input("there is no such image"))?;
    Ok(Root { base, manifest })
}

async fn for_platform(
    root: &Root,
    memory: BaseMemory,
    reference: &Reference,
    platform: &Platform,
) -> Result<FoundBase> {
    let repository = &root.base.repository;
    let digest = match root.manifest.content()? {
        Content::Image(_) => root.manifest.digest().clone(),
        Content::Artifact(_) => bail!("it is no image"),
        Content::Index(index) => {
            let children = index.manifests.iter();
            let nearest = children
                .filter_map(|child| Some((platform.distance(child.platform.as_ref()?)?, child)))
                .min_by_key(|(distance, _)| *distance)
                .map(|(_, child)| child);
            // The only one may say its platform in its config.
            let child = nearest.or(match &index.manifests[..] {
                [only] if only.platform.is_none() => Some(only),
                _ => None,
            });
            let has = index.manifests.iter().filter_map(|it| it.platform.as_ref());
            let has = has.filter(|it| it.os != "unknown");
            let has: Vec<String> = has.map(|it| format!("`{it}`")).collect();
            let none = || base_check::no_platform(reference, platform, &has.join(", "));
            child.ok_or_else(none)?.digest.clone()
        }
    };
    let wanted = digest.clone();
    let known = tokio::task::spawn_blocking(move || memory.get(&wanted)).await?;
    let found = match known {
        Some(known) => FoundBase {
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
            FoundBase {
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
    let config = serde_json::from_slice::<ImageConfig>(&found.config)
        .context("its config is not readable")?;
    let own = &config.platform;
    match platform.distance(own).is_some() {
        true => {
            base_check::check_diff_ids(&config, &found.image)?;
            Ok(found)
        }
        false => Err(base_check::no_platform(
            reference,
            platform,
            &format!("`{own}`"),
        )),
    }
}

async fn child(base: &BaseRepository, digest: &Digest) -> Result<Manifest> {
    let at = TagOrDigest::Digest(digest.clone());
    let manifest = base.repository.get_manifest(&at).await;
    let manifest = manifest.map_err(|error| base.explained(error))?;
    manifest.with_context(|| format!("it lists {digest}, which is not there"))
}
