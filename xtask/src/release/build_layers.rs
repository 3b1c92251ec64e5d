//! The target `docker-build` without an engine: layers from the build context, on base images from their registries.
//!
//! The result is an OCI layout in `output/image/`, which the pushes read. A layer that was made before and is still
//! there is not made again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::base_check;
use super::base_image::{self, Bases};
use super::builder::DOCKERFILE;
use super::clients::Clients;
use super::image_source::{self, BASE_NAME};
use super::origins;
use super::plan::{ReleasePlan, rfc3339};
use super::push::Pushes;
use super::run_state::RunState;
use super::{recipe_check, zipped};
use crate::copy::{self, PendingImageWriter};
use crate::engine::BuildPlan;
use crate::exit::{bad_input, sentence};
use crate::graph::{self, TargetResult};
use crate::image::context::Context;
use crate::image::layers::{
    self, Base, BaseConfig, BaseImage, ConfigDocument, Dockerfile, FileTree, Inputs, KnownLayer,
    LayerMemory, LayoutWriter, Origins, PlannedLayer, Recipe, Release, StepLayer,
};
use crate::image::{Compression, oci_layer};
use crate::oci::{Descriptor, Digest, Manifest, Platform, Reference, index_of, media_type};

/// Of the base image, as [`BASE_NAME`]: what its name stood for.
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// Makes the image of every platform from the staged context.
pub async fn build(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    state: &RunState,
    pushes: &Pushes<'_>,
    target: &graph::Context<'_>,
) -> Result<TargetResult> {
    let path = plan.context.join("Dockerfile");
    let text = std::fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
    let dockerfile = Dockerfile::parse(DOCKERFILE, &text).map_err(bad_input)?;
    if let Some(reason) = dockerfile.needs_engine() {
        return Err(bad_input(format!(
            "`{DOCKERFILE}`, {reason}\nhint: `--builder engine`"
        )));
    }
    let layout = LayoutWriter::create(&plan.layout)
        .with_context(|| format!("`{}`", plan.layout.display()))?;
    let mut found = state.bases.lock().await;
    let bases = base_image::fetch(plan, clients, target, &dockerfile, &layout, &mut found).await?;
    let named: BTreeMap<String, &Digest> = bases
        .iter()
        .map(|((reference, _), base)| (reference.to_string(), &base.digest))
        .collect();
    let named: Vec<String> = named
        .into_iter()
        .map(|(reference, digest)| format!("`{reference}` {digest}"))
        .collect();
    let on = match &named[..] {
        [] => String::new(),
        named => format!(", from {}", named.join(" and ")),
    };
    let planning = Planning {
        context: plan.context.clone(),
        zipped: zipped::packages(plan)?,
        origins: origins::load(plan),
        builds: plan.builds.clone(),
        compression: plan.transport.compression,
        memory: LayerMemory::new(plan.layer_memory.clone()),
        tag: plan.version.to_string(),
        dockerfile,
        bases,
        layout,
    };
    let planned = tokio::task::spawn_blocking(|| planning.plan()).await??;
    for warning in &planned.warnings {
        target.warn(warning);
    }
    let (writer, image) = copy::pending_image();
    pushes.begin(image, !planned.missing().is_empty(), target);
    let making = tokio::task::spawn_blocking(move || {
        let made = planned.make(&writer);
        writer.finish(match &made {
            Ok(made) => Ok(made.manifests.clone()),
            Err(error) => Err(sentence(error)),
        });
        made
    });
    let made = making.await??;
    if let Some(error) = &made.unremembered {
        target.warn(&format!(
            "the layers are not remembered, so that the next run makes them again: `{}`: {error}",
            plan.layer_memory.display()
        ));
    }
    let elsewhere: Vec<String> = made
        .elsewhere
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let lacks = match &elsewhere[..] {
        [] => String::new(),
        names => format!(
            ", without its base's layers, which are in {}",
            names.join(" and ")
        ),
    };
    Ok(TargetResult::Done(match made.is_new {
        true => format!("{} in output/image{on}{lacks}", made.image),
        false => format!(
            "{} is already there, in output/image{on}{lacks}",
            made.image
        ),
    }))
}

/// What it takes to decide which layers there will be.
struct Planning {
    dockerfile: Dockerfile,
    /// The staged build context.
    context: PathBuf,
    /// Packages that are not in it: their zips, and where they would be.
    zipped: Vec<(PathBuf, String)>,
    origins: Origins,
    builds: Vec<BuildPlan>,
    bases: Bases,
    compression: Compression,
    memory: LayerMemory,
    layout: LayoutWriter,
    /// The image's name in the layout.
    tag: String,
}

/// An image for each platform, of which some layers are there already.
struct Planned {
    images: Vec<PlannedImage>,
    bases: Bases,
    compression: Compression,
    memory: LayerMemory,
    /// By their keys.
    layers: HashMap<Digest, KnownLayer>,
    layout: LayoutWriter,
    tag: String,
    warnings: Vec<String>,
}

struct PlannedImage {
    build: BuildPlan,
    recipe: Recipe,
    /// With their keys.
    layers: Vec<(Digest, PlannedLayer)>,
}

/// The image in the layout.
struct Made {
    image: Digest,
    /// Children first; the last is the image.
    manifests: Vec<Manifest>,
    /// The layout did not hold it before.
    is_new: bool,
    /// The repositories with the layers that are not in the layout.
    elsewhere: BTreeSet<String>,
    /// Why the next run will make the layers again.
    unremembered: Option<io::Error>,
}

impl Planning {
    /// Blocking.
    fn plan(self) -> Result<Planned> {
        let context = Context::read(&self.context, "Dockerfile").map_err(bad_input)?;
        let mut tree = FileTree::of_context(&context, &self.origins);
        for (zip, folder) in &self.zipped {
            tree.add(zipped::nodes(zip, folder)?, &context);
        }
        let mut warnings = context.warnings;
        let images: HashMap<(Reference, Platform), BaseImage> = self
            .bases
            .iter()
            .map(|(key, base)| (key.clone(), base.image.clone()))
            .collect();
        let inputs = Inputs {
            context: &tree,
            images: &images,
        };
        let base_config = |reference: &Reference, platform: &Platform| -> BaseConfig {
            let base = self.bases.get(&(reference.clone(), platform.clone()));
            base.and_then(|base| ConfigDocument::of_base(&base.config).ok())
                .map(|document| document.inherited())
                .unwrap_or_default()
        };
        let mut layers = HashMap::new();
        let mut images = Vec::new();
        for build in self.builds {
            let recipe = self
                .dockerfile
                .recipe(&build.platform, &build.args, &base_config)
                .map_err(bad_input)?;
            let plan = layers::plan(&recipe, &inputs).map_err(recipe_check::fault)?;
            let (base, below) = match layers::base(&recipe) {
                Base::Image {
                    reference,
                    platform,
                } => {
                    let base = &self.bases[&(reference.clone(), platform.clone())];
                    (Some(reference), base.layers.len())
                }
                _ => (None, 0),
            };
            base_check::check_depth(base, below, plan.layers.len())?;
            let told = plan.warnings.into_iter();
            warnings.extend(told.map(|warning| format!("`{DOCKERFILE}`, {warning}")));
            let mut with_keys = Vec::new();
            for layer in plan.layers {
                let key = layer.key(self.compression)?;
                if let Some(known) = self.memory.get(&key)
                    && self.layout.keep(&known.descriptor)
                {
                    layers.insert(key.clone(), known);
                }
                with_keys.push((key, layer));
            }
            images.push(PlannedImage {
                build,
                recipe,
                layers: with_keys,
            });
        }
        Ok(Planned {
            images,
            bases: self.bases,
            compression: self.compression,
            memory: self.memory,
            layers,
            layout: self.layout,
            tag: self.tag,
            warnings,
        })
    }
}

impl Planned {
    /// The layers that have to be made, each once.
    fn missing(&self) -> BTreeMap<&Digest, &PlannedLayer> {
        let all = self.images.iter().flat_map(|image| &image.layers);
        all.filter(|(key, _)| !self.layers.contains_key(key))
            .map(|(key, layer)| (key, layer))
            .collect()
    }

    /// Makes the layers that are missing, each of which is handed to `copies` as soon as it is whole. Blocking.
    fn make(mut self, copies: &PendingImageWriter) -> Result<Made> {
        let mut elsewhere = BTreeSet::new();
        for image in &self.images {
            elsewhere.extend(self.base_layers(image, copies)?);
        }
        for layer in self.layers.values() {
            let blob = &layer.descriptor;
            copies.file(
                blob.clone(),
                Arc::new(File::open(self.layout.blob(&blob.digest))?),
            );
        }
        let (keys, missing): (Vec<_>, Vec<_>) = self.missing().into_iter().unzip();
        let blobs = self.layout.blobs();
        let ready = |blob| image_source::add(copies, blob);
        let built = layers::build_layers(&missing, self.compression, None, Some(&blobs), &ready)?;
        let keys: Vec<Digest> = keys.into_iter().cloned().collect();
        for (key, built) in keys.into_iter().zip(built) {
            let layer = KnownLayer {
                key: key.clone(),
                descriptor: built.blob.descriptor,
                diff_id: built.diff_id,
            };
            self.layers.insert(key, layer);
        }
        // Without the memory, the next run makes the layers again.
        let remembered = self
            .layers
            .values()
            .try_for_each(|layer| self.memory.put(layer));
        let _ = self.memory.prune();
        let mut manifests = Vec::new();
        let mut children = Vec::new();
        for image in &self.images {
            let manifest = self.image(image, copies)?;
            let mut child = manifest.descriptor();
            child.platform = Some(image.build.platform.clone());
            children.push(child);
            manifests.push(manifest);
        }
        let image = match &manifests[..] {
            [manifest] => manifest.descriptor(),
            _ => {
                let index = index_of(&children);
                let image = index.descriptor();
                self.layout.add_manifest(&index)?;
                manifests.push(index);
                image
            }
        };
        let was_there = self.layout.finish(&image, &self.tag)?;
        Ok(Made {
            image: image.digest,
            manifests,
            is_new: !was_there,
            elsewhere,
            unremembered: remembered.err(),
        })
    }

    /// Tells where the layers of one platform's base are; returns the repository's name if they are not in the layout.
    fn base_layers(
        &self,
        image: &PlannedImage,
        copies: &PendingImageWriter,
    ) -> Result<Option<String>> {
        let Base::Image {
            reference,
            platform,
        } = layers::base(&image.recipe)
        else {
            return Ok(None);
        };
        let base = &self.bases[&(reference.clone(), platform.clone())];
        for layer in base.layers.iter().map(oci_layer) {
            match &base.holder {
                Some(holder) => copies.elsewhere(layer, holder.clone()),
                None => {
                    let file = File::open(self.layout.blob(&layer.digest))?;
                    copies.file(layer, Arc::new(file));
                }
            }
        }
        Ok(base
            .holder
            .as_ref()
            .map(|_| reference.repository.to_string()))
    }

    /// Writes one platform's config and manifest.
    fn image(&self, image: &PlannedImage, copies: &PendingImageWriter) -> Result<Manifest> {
        let own = image.layers.iter().map(|(key, planned)| {
            let made = &self.layers[key];
            StepLayer {
                stage: planned.stage,
                step: planned.step,
                diff_id: made.diff_id.clone(),
                descriptor: made.descriptor.clone(),
            }
        });
        let own: Vec<StepLayer> = own.collect();
        let created = rfc3339(image.build.timestamp);
        let release = Release {
            created: &created,
            labels: &image.build.labels,
        };
        let mut listed = Vec::new();
        let mut annotations = BTreeMap::new();
        let document = match layers::base(&image.recipe) {
            Base::Image {
                reference,
                platform,
            } => {
                let base = &self.bases[&(reference.clone(), platform.clone())];
                listed.extend(base.layers.iter().map(oci_layer));
                annotations.insert(BASE_NAME.to_owned(), reference.to_string());
                annotations.insert(BASE_DIGEST.to_owned(), base.digest.to_string());
                ConfigDocument::of_base(&base.config)?
            }
            _ => ConfigDocument::scratch(&image.build.platform),
        };
        let config = layers::config(&image.recipe, document, &own, &release);
        listed.extend(own.into_iter().map(|layer| layer.descriptor));
        let digest = self.layout.add_bytes(&config)?;
        let manifest = layers::manifest(&config, &listed, &annotations);
        let descriptor = Descriptor::new(media_type::OCI_CONFIG, digest, config.len() as u64);
        copies.bytes(descriptor, config.into());
        self.layout.add_manifest(&manifest)?;
        Ok(manifest)
    }
}
