//! The image of a direct release. All push targets share it; the first one to run starts reading and compressing it.
//!
//! If a registry holds it already, from an earlier run in which others failed, that registry is the source for the
//! others: nothing is compressed again, and the digest is the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow};
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use tokio::task::JoinSet;

use super::clients::Clients;
use super::plan::{PushPlan, ReleasePlan};
use super::registry_state::find_whole;
use super::reuse::{self, Candidate};
use super::transport::Location;
use crate::cli::Builder;
use crate::copy::{self, Copier, Source};
use crate::engine::{self, Engine, Image};
use crate::exit::bad_input;
use crate::image::{self, Content, Event, Input, PartialImage};
use crate::oci::{self, Descriptor, Digest, Manifest, TagOrDigest};
use crate::registry::Repository;

/// How often a lost upload is started again.
const RETRIES: u32 = 3;

/// The image, and how far it was read.
pub struct ImageSource {
    /// The registries that hold the image already, with its manifest there.
    existing: BTreeMap<String, Manifest>,
    pub copier: Copier,
    reading: Arc<Reading>,
    /// Reading stops when this is dropped.
    #[expect(dead_code, reason = "held, not read")]
    reader: JoinSet<()>,
}

/// How far the image was read.
#[derive(Default)]
struct Reading {
    bytes_read: AtomicU64,
    failure: OnceLock<image::Error>,
}

impl ImageSource {
    /// Asks the registries what they hold, and starts to read the rest. This run pushes to `targets`.
    pub async fn start(
        plan: &ReleasePlan,
        clients: &Clients<'_>,
        targets: Vec<&str>,
    ) -> Result<ImageSource> {
        let images = images(plan, clients).await?;
        let existing = existing(plan, clients, &images).await;
        let reading = Arc::new(Reading::default());
        let mut reader = JoinSet::new();
        let source = match existing.first_key_value() {
            Some((registry, manifest)) => Source::Registry {
                repository: clients.registries.get(registry).repository(),
                at: TagOrDigest::Digest(manifest.digest().clone()),
            },
            None => {
                read(
                    plan,
                    clients,
                    &targets,
                    images,
                    Arc::clone(&reading),
                    &mut reader,
                )
                .await?
            }
        };
        Ok(ImageSource {
            existing,
            copier: Copier::new(plan.image.clone(), source, RETRIES),
            reading,
            reader,
        })
    }

    /// The manifest at this registry, if it holds the image already.
    pub fn existing(&self, registry: &str) -> Option<&Manifest> {
        self.existing.get(registry)
    }

    /// Bytes read so far, before compression.
    pub fn bytes_read(&self) -> u64 {
        self.reading.bytes_read.load(Ordering::Relaxed)
    }

    /// Why the image could not be read; then no registry is at fault.
    pub fn failure(&self) -> Option<anyhow::Error> {
        let error = self.reading.failure.get()?;
        let is_input = match error {
            image::Error::Source(source) => {
                let cause = source.get_ref().and_then(|it| it.downcast_ref());
                matches!(cause, Some(engine::Error::NoSuchImage(_)))
            }
            error => error.is_input(),
        };
        Some(match is_input {
            true => bad_input(error),
            false => anyhow!("{error}"),
        })
    }
}

/// The images as the engine describes them; none if the image is in a file.
async fn images(plan: &ReleasePlan, clients: &Clients<'_>) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for name in names(plan) {
        let image = clients.engine().await?.image(&name).await?;
        images.push(image.ok_or_else(|| plan.transport.no_such_image(&name))?);
    }
    Ok(images)
}

/// The image's names in the engine, one for each platform.
fn names(plan: &ReleasePlan) -> Vec<String> {
    match plan.transport.image.as_ref().map(|it| &it.location) {
        None if plan.transport.builder == Builder::Layers => Vec::new(),
        None => plan.builds.iter().map(|it| it.tag.clone()).collect(),
        Some(Location::Engine(name)) => vec![name.clone()],
        Some(Location::Directory(_) | Location::File(_)) => Vec::new(),
    }
}

/// The registries with credentials, whether or not this run pushes to them.
fn signed_in<'c>(
    plan: &'c ReleasePlan,
    clients: &'c Clients<'_>,
) -> impl Iterator<Item = (&'c PushPlan, Repository)> {
    plan.pushes.iter().filter_map(|push| {
        let registry = clients.registries.get(&push.registry);
        registry
            .is_signed_in()
            .then(|| (push, registry.repository()))
    })
}

/// The registries that hold the images under this version.
async fn existing(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    images: &[Image],
) -> BTreeMap<String, Manifest> {
    if images.is_empty() {
        return BTreeMap::new();
    }
    let ids: BTreeSet<Digest> = images.iter().map(|image| image.id.clone()).collect();
    let ids = &ids;
    let ask = signed_in(plan, clients).map(|(push, repository)| async move {
        let whole = find_whole(&repository, &push.immutable, ids).await;
        whole.map(|manifest| (push.registry.clone(), manifest))
    });
    join_all(ask).await.into_iter().flatten().collect()
}

/// The layout that the layer builder left.
fn built(plan: &ReleasePlan) -> Result<PathBuf> {
    match plan.layout.join("index.json").is_file() {
        true => Ok(plan.layout.clone()),
        false => Err(bad_input(format!(
            "there is no image in `{}`\nhint: run `cargo xtask docker-build --builder layers`",
            plan.layout.display()
        ))),
    }
}

/// Where the image is read from.
enum Origin {
    Archive(Input),
    /// By these names.
    Engine(Engine, Vec<String>),
}

/// Starts to read the image; its blobs can be copied as soon as each is ready.
async fn read(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    targets: &[&str],
    images: Vec<Image>,
    reading: Arc<Reading>,
    reader: &mut JoinSet<()>,
) -> Result<Source> {
    let candidates = signed_in(plan, clients).map(|(push, repository)| Candidate {
        repository,
        is_target: targets.contains(&&*push.registry),
    });
    // An image in the engine was looked for at all registries: the others do not hold it.
    let candidates: Vec<_> = candidates
        .filter(|candidate| candidate.is_target || images.is_empty())
        .collect();
    let reusable = reuse::layers(&candidates, &plan.version).await;
    let reused: BTreeSet<Digest> = reusable
        .layers
        .values()
        .map(|it| it.digest.clone())
        .collect();
    let options = image::Options {
        compression: plan.transport.compression,
        workers: None,
        reusable: reusable.layers,
    };
    let origin = match plan.transport.image.as_ref().map(|it| &it.location) {
        Some(Location::Directory(path)) => Origin::Archive(Input::Directory(path.clone())),
        Some(Location::File(path)) => Origin::Archive(Input::File(path.clone())),
        None if plan.transport.builder == Builder::Layers => {
            Origin::Archive(Input::Directory(built(plan)?))
        }
        None | Some(Location::Engine(_)) => {
            Origin::Engine(clients.engine().await?.clone(), names(plan))
        }
    };
    let (writer, pending) = copy::pending_image();
    reader.spawn(async move {
        let listener = |event| match event {
            Event::BytesRead(bytes) => drop(reading.bytes_read.fetch_add(bytes, Ordering::Relaxed)),
            Event::Ready(blob) => match blob.content {
                Content::File(file) => writer.file(blob.descriptor, file),
                Content::Memory(bytes) => writer.bytes(blob.descriptor, bytes),
            },
        };
        let read = match origin {
            Origin::Archive(input) => image::read(input, options, &listener).await,
            Origin::Engine(engine, names) => {
                from_engine(&engine, &names, &images, options, &listener).await
            }
        };
        let end = match read {
            Ok(manifests) => {
                if let Some(holder) = reusable.holder {
                    let layers = manifests.iter().flat_map(layers);
                    for layer in layers.filter(|it| reused.contains(&it.digest)) {
                        writer.elsewhere(layer, holder.clone());
                    }
                }
                Ok(manifests)
            }
            Err(error) => {
                let reason = error.to_string();
                let _ = reading.failure.set(error);
                Err(reason)
            }
        };
        writer.finish(end);
    });
    Ok(Source::Pending(pending))
}

/// The layers of an image; none of an index.
fn layers(manifest: &Manifest) -> Vec<Descriptor> {
    match manifest.content() {
        Ok(oci::Content::Image(image)) => image.layers,
        _ => Vec::new(),
    }
}

/// Reads the images without their reusable layers, or if the engine cannot do that, as a whole.
async fn from_engine(
    engine: &Engine,
    names: &[String],
    images: &[Image],
    options: image::Options,
    listener: &(dyn Fn(Event) + Send + Sync),
) -> Result<Vec<Manifest>, image::Error> {
    if let Some(parts) = parts(engine, images, &options.reusable).await
        && let Ok(read) = image::read(Input::Partial(parts), options.clone(), listener).await
    {
        return Ok(read);
    }
    let export = engine.export(names).map_err(io::Error::other);
    image::read(Input::Stream(Box::pin(export)), options, listener).await
}

/// The images without the `reusable` layers, if the engine can do that.
async fn parts(
    engine: &Engine,
    images: &[Image],
    reusable: &HashMap<Digest, Descriptor>,
) -> Option<Vec<PartialImage>> {
    let mut parts = Vec::new();
    for image in images {
        parts.push(engine.partial_image(image, reusable).await?);
    }
    Some(parts)
}
