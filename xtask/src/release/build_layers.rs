//! The target `docker-build` without an engine: layers from the build context, on base images from their registries.
//!
//! The result is an OCI layout in `output/image/`, which the pushes read.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};

use super::base_check;
use super::base_image::{self, Bases};
use super::clients::Clients;
use super::origins;
use super::plan::{ReleasePlan, rfc3339};
use crate::engine::BuildPlan;
use crate::exit::bad_input;
use crate::graph::{self, TargetResult};
use crate::image::context::Context;
use crate::image::layers::{
    self, Base, BaseConfig, BaseImage, ConfigDocument, Dockerfile, FileTree, Inputs, LayoutWriter,
    Recipe, Release, StepLayer,
};
use crate::image::{Compression, Content, oci_layer};
use crate::oci::{Descriptor, Manifest, Platform, Reference, index_of};

/// Makes the image of every platform from the staged context.
pub async fn build(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    target: &graph::Context<'_>,
) -> Result<TargetResult> {
    let path = plan.context.join("Dockerfile");
    let text = std::fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
    let dockerfile = Dockerfile::parse("docker/Dockerfile", &text).map_err(bad_input)?;
    if let Some(reason) = dockerfile.needs_engine() {
        return Err(bad_input(format!(
            "`docker/Dockerfile`, {reason}\nhint: `--builder engine`"
        )));
    }
    let layout = LayoutWriter::create(&plan.layout)
        .with_context(|| format!("`{}`", plan.layout.display()))?;
    let bases = base_image::fetch(plan, clients, target, &dockerfile, &layout).await?;
    let (builds, context, origins) = (
        plan.builds.clone(),
        plan.context.clone(),
        origins::load(plan),
    );
    let (tag, compression) = (plan.version.to_string(), plan.transport.compression);
    let made = tokio::task::spawn_blocking(move || {
        let context = Context::read(&context, "Dockerfile").map_err(bad_input)?;
        let tree = FileTree::of_context(&context, &origins);
        let made = make(
            &dockerfile,
            &builds,
            &tree,
            &bases,
            compression,
            layout,
            &tag,
        );
        made.map(|(image, warnings)| (image, [context.warnings, warnings].concat()))
    });
    let (image, warnings) = made.await??;
    for warning in warnings {
        target.warn(&warning);
    }
    Ok(TargetResult::Done(format!(
        "{} in output/image",
        image.digest
    )))
}

/// Blocking. Returns the image's descriptor and warnings.
fn make(
    dockerfile: &Dockerfile,
    builds: &[BuildPlan],
    context: &FileTree,
    bases: &Bases,
    compression: Compression,
    layout: LayoutWriter,
    tag: &str,
) -> Result<(Descriptor, Vec<String>)> {
    let mut warnings = Vec::new();
    let images: HashMap<(Reference, Platform), BaseImage> = bases
        .iter()
        .map(|(key, base)| (key.clone(), base.image.clone()))
        .collect();
    let inputs = Inputs {
        context,
        images: &images,
    };
    let base_config = |reference: &Reference, platform: &Platform| -> BaseConfig {
        let base = bases.get(&(reference.clone(), platform.clone()));
        base.and_then(|base| ConfigDocument::of_base(&base.config).ok())
            .map(|document| document.inherited())
            .unwrap_or_default()
    };
    let mut recipes = Vec::new();
    let mut plans = Vec::new();
    for build in builds {
        let recipe = dockerfile
            .recipe(&build.platform, &build.args, &base_config)
            .map_err(bad_input)?;
        let plan = layers::plan(&recipe, &inputs).map_err(bad_input)?;
        if let Base::Image {
            reference,
            platform,
        } = layers::base(&recipe)
        {
            let base = &bases[&(reference.clone(), platform.clone())];
            base_check::check_depth(reference, base.layers.len() + plan.layers.len())?;
        }
        warnings.extend(plan.warnings.iter().cloned());
        recipes.push(recipe);
        plans.push(plan);
    }
    let planned: Vec<_> = plans.iter().flat_map(|plan| &plan.layers).collect();
    let mut built = layers::build_layers(&planned, compression, None, &|_| {})?.into_iter();
    let mut manifests = Vec::new();
    for ((build, recipe), plan) in builds.iter().zip(&recipes).zip(&plans) {
        let mut own = Vec::new();
        for (planned, built) in plan.layers.iter().zip(built.by_ref()) {
            if let Content::File(file) = &built.blob.content {
                layout.add_file(&built.blob.descriptor.digest, file)?;
            }
            own.push(StepLayer {
                stage: planned.stage,
                step: planned.step,
                diff_id: built.diff_id,
                descriptor: built.blob.descriptor,
            });
        }
        manifests.push((&build.platform, image(build, recipe, bases, own, &layout)?));
    }
    let image = match &manifests[..] {
        [(_, manifest)] => manifest.descriptor(),
        several => {
            let children: Vec<Descriptor> = several
                .iter()
                .map(|(platform, manifest)| {
                    let mut child = manifest.descriptor();
                    child.platform = Some((*platform).clone());
                    child
                })
                .collect();
            let index = index_of(&children);
            layout.add_manifest(&index)?;
            index.descriptor()
        }
    };
    layout.finish(&image, tag)?;
    Ok((image, warnings))
}

/// Writes one platform's config and manifest.
fn image(
    build: &BuildPlan,
    recipe: &Recipe,
    bases: &Bases,
    own: Vec<StepLayer>,
    layout: &LayoutWriter,
) -> Result<Manifest> {
    let created = rfc3339(build.timestamp);
    let release = Release {
        created: &created,
        labels: &build.labels,
    };
    let mut listed = Vec::new();
    let mut annotations = BTreeMap::new();
    let document = match layers::base(recipe) {
        Base::Image {
            reference,
            platform,
        } => {
            let base = &bases[&(reference.clone(), platform.clone())];
            listed.extend(base.layers.iter().map(oci_layer));
            let name = "org.opencontainers.image.base";
            annotations.insert(format!("{name}.name"), reference.to_string());
            annotations.insert(format!("{name}.digest"), base.digest.to_string());
            ConfigDocument::of_base(&base.config)?
        }
        _ => ConfigDocument::scratch(&build.platform),
    };
    let config = layers::config(recipe, document, &own, &release);
    listed.extend(own.into_iter().map(|layer| layer.descriptor));
    layout.add_bytes(&config)?;
    let manifest = layers::manifest(&config, &listed, &annotations);
    layout.add_manifest(&manifest)?;
    Ok(manifest)
}
