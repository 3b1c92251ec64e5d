//! The image of a direct release. All push targets share it; the first one to run starts reading and compressing it.
//!
//! If a registry holds it already, from an earlier run in which others failed, that registry is the source for the
//! others: nothing is compressed again, and the digest is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow};
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::builder::Builder;
use super::clients::Clients;
use super::plan::{PushPlan, ReleasePlan, join};
use super::registry_state::find_whole;
use super::reuse::{self, Candidate};
use crate::copy::{self, Copier, PendingImageWriter, Source};
use crate::engine;
use crate::exit::bad_input;
use crate::graph;
use crate::image::layers::{Layout, remove_damaged};
use crate::image::{self, Blob, Content, Event, Input, Location};
use crate::oci::{self, Descriptor, Digest, Manifest, Reference, TagOrDigest};
use crate::registry::Repository;

/// Of the base image, in the image's manifest (OCI image specification, "Annotations").
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";

/// How often a lost upload is started again.
const RETRIES: u32 = 3;

/// The image, and how far it was read.
pub struct ImageSource {
    /// The registries that hold the image already, with its manifest there.
    existing: BTreeMap<String, Manifest>,
    pub copier: Copier,
    /// It is whole, so that its manifest is known before anything is copied.
    is_whole: bool,
    /// Where it is, if the layer builder left it there.
    layout: Option<PathBuf>,
    /// Blobs of the layout that were damaged, and are gone.
    damaged: OnceCell<Vec<Digest>>,
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
        context: &graph::Context<'_>,
    ) -> Result<ImageSource> {
        if plan.transport.image.is_none() && plan.transport.builder == Builder::Layers {
            return ImageSource::of_layout(plan, clients, context).await;
        }
        if let Some((name, digest)) = plan.transport.held() {
            let source = Source::Registry {
                repository: clients.registries.get(name).repository(),
                at: TagOrDigest::Digest(digest.clone()),
            };
            return Ok(ImageSource::whole(plan, source));
        }
        let ids = ids(plan, clients).await?;
        // What refuses this run's push, or is silent, is not asked again.
        let is_asked = |push: &PushPlan| {
            !context.is_scheduled(&push.target) || targets.contains(&&*push.registry)
        };
        let asked: Vec<_> = signed_in(plan, clients)
            .filter(|(it, _)| is_asked(it))
            .collect();
        let existing = existing(&asked, &ids).await;
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
                    &asked,
                    &targets,
                    &ids,
                    Arc::clone(&reading),
                    &mut reader,
                )
                .await?
            }
        };
        Ok(ImageSource {
            existing,
            reading,
            reader,
            is_whole: false,
            ..ImageSource::whole(plan, source)
        })
    }

    /// An image that is whole when a push target begins.
    pub fn whole(plan: &ReleasePlan, source: Source) -> ImageSource {
        let is_ours = match plan.transport.local() {
            None if plan.transport.image.is_none() => plan.transport.builder == Builder::Layers,
            Some(Location::Layout(given, _)) => {
                let given = given.canonicalize().ok();
                given.is_some() && given == plan.layout.canonicalize().ok()
            }
            _ => false,
        };
        ImageSource {
            existing: BTreeMap::new(),
            layout: is_ours.then(|| plan.layout.clone()),
            damaged: OnceCell::new(),
            copier: Copier::new(plan.image.clone(), source, RETRIES),
            is_whole: true,
            reading: Arc::default(),
            reader: JoinSet::new(),
        }
    }

    /// The image that the layer builder left in an earlier run. Layers that it did not download are in the repository
    /// of their base image.
    async fn of_layout(
        plan: &ReleasePlan,
        clients: &Clients<'_>,
        context: &graph::Context<'_>,
    ) -> Result<ImageSource> {
        let directory = &plan.layout;
        let layout = Layout::read(directory).map_err(|error| {
            bad_input(format!(
                "there is no image in `{}`: {error}\nhint: run `cargo xtask docker-build`",
                directory.display()
            ))
        })?;
        let present: BTreeSet<Digest> = layout
            .blobs
            .iter()
            .map(|blob| blob.descriptor.digest.clone())
            .collect();
        let (writer, image) = copy::pending_image();
        for blob in layout.blobs {
            add(&writer, blob);
        }
        for manifest in &layout.manifests {
            let Ok(oci::Content::Image(image)) = manifest.content() else {
                continue;
            };
            let name = image.annotations.as_ref().and_then(|it| it.get(BASE_NAME));
            let layers = image.layers.into_iter();
            let mut missing = layers.filter(|it| !present.contains(&it.digest)).peekable();
            if let (Some(name), Some(_)) = (name, missing.peek()) {
                let base: Reference = name.parse().map_err(bad_input)?;
                let warn = |warning: &str| context.warn(warning);
                let base = clients.base_repository(&base.repository, &warn).await?;
                missing.for_each(|layer| writer.elsewhere(layer, base.repository.clone()));
            }
        }
        writer.finish(Ok(layout.manifests));
        Ok(ImageSource::whole(plan, Source::Pending(image)))
    }

    /// The manifest that the version is to name, if the image is whole.
    pub async fn root(&self) -> Result<Option<Manifest>> {
        match self.is_whole {
            true => self.copier.root().await.map(Some),
            false => Ok(None),
        }
    }

    /// The manifest at this registry, if it holds the image already.
    pub fn existing(&self, registry: &str) -> Option<&Manifest> {
        self.existing.get(registry)
    }

    /// Bytes read so far, before compression.
    pub fn bytes_read(&self) -> u64 {
        self.reading.bytes_read.load(Ordering::Relaxed)
    }

    /// What is to be done about a registry that finds a blob damaged. Damaged ones of the layout are removed, so that
    /// the next run makes them again.
    pub async fn damage(&self) -> String {
        let Some(layout) = self.layout.clone() else {
            return "the image, or something on the way to the registry, is damaged".to_owned();
        };
        let removed = self.damaged.get_or_init(|| async {
            let removed = tokio::task::spawn_blocking(move || remove_damaged(&layout)).await;
            removed.ok().and_then(Result::ok).unwrap_or_default()
        });
        match &removed.await[..] {
            [] => "`output/image` is whole: the bytes change on the way to the registry".to_owned(),
            removed => format!(
                "{} in `output/image` was damaged, and is removed; run the same again, which makes it anew",
                join(removed)
            ),
        }
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
            true if self.layout.is_some() && matches!(error, image::Error::Missing { .. }) => {
                let error = error.to_string();
                let what = error.split("; hint: ").next().unwrap_or_default();
                bad_input(format!(
                    "{what}\nhint: `cargo xtask docker-build` completes `output/image`"
                ))
            }
            true => bad_input(error),
            false => anyhow!("{error}"),
        })
    }
}

/// The ids of the images in the engine; none if the image is in a file.
async fn ids(plan: &ReleasePlan, clients: &Clients<'_>) -> Result<BTreeSet<Digest>> {
    let mut ids = BTreeSet::new();
    for name in names(plan) {
        let id = clients.engine().await?.image_id(&name).await?;
        ids.insert(id.ok_or_else(|| plan.transport.no_such_image(&name))?);
    }
    Ok(ids)
}

/// The image's names in the engine, one for each platform.
fn names(plan: &ReleasePlan) -> Vec<String> {
    match plan.transport.local() {
        None if plan.transport.image.is_none() => {
            plan.builds.iter().map(|it| it.tag.clone()).collect()
        }
        Some(Location::Engine(name)) => vec![name.clone()],
        _ => Vec::new(),
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
    asked: &[(&PushPlan, Repository)],
    ids: &BTreeSet<Digest>,
) -> BTreeMap<String, Manifest> {
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let ask = asked.iter().map(|(push, repository)| async move {
        let whole = find_whole(repository, &push.immutable, ids).await;
        whole.map(|manifest| (push.registry.clone(), manifest))
    });
    join_all(ask).await.into_iter().flatten().collect()
}

/// Starts to read the image; its blobs can be copied as soon as each is ready.
async fn read(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    asked: &[(&PushPlan, Repository)],
    targets: &[&str],
    ids: &BTreeSet<Digest>,
    reading: Arc<Reading>,
    reader: &mut JoinSet<()>,
) -> Result<Source> {
    let candidates = asked.iter().map(|(push, repository)| Candidate {
        repository: repository.clone(),
        is_target: targets.contains(&&*push.registry),
    });
    // An image in the engine was looked for at all registries: the others do not hold it.
    let candidates: Vec<_> = candidates
        .filter(|candidate| candidate.is_target || ids.is_empty())
        .collect();
    let reusable = reuse::layers(&candidates, &plan.version).await;
    let reused: BTreeSet<Digest> = reusable
        .layers
        .values()
        .map(|it| it.digest.clone())
        .collect();
    let location = plan.transport.local();
    let options = image::Options {
        compression: plan.transport.compression,
        workers: None,
        reusable: reusable.layers,
        chosen: location.and_then(Location::chosen).cloned(),
        keeps_layers: false,
        joins_names: location.is_none(),
    };
    let input = match location.and_then(Location::on_disk) {
        Some(input) => input,
        None => {
            let export = clients.engine().await?.export(&names(plan));
            Input::Stream(Box::pin(export.map_err(io::Error::other)))
        }
    };
    let (writer, pending) = copy::pending_image();
    reader.spawn(async move {
        let listener = |event| match event {
            Event::BytesRead(bytes) => drop(reading.bytes_read.fetch_add(bytes, Ordering::Relaxed)),
            Event::Ready(blob) => add(&writer, blob),
        };
        let end = match image::read(input, options, &listener).await {
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

/// Hands a blob to those who copy the image.
pub fn add(writer: &PendingImageWriter, blob: Blob) {
    match blob.content {
        Content::File(file) => writer.file(blob.descriptor, file),
        Content::Memory(bytes) => writer.bytes(blob.descriptor, bytes),
    }
}

/// The layers of an image; none of an index.
fn layers(manifest: &Manifest) -> Vec<Descriptor> {
    match manifest.content() {
        Ok(oci::Content::Image(image)) => image.layers,
        _ => Vec::new(),
    }
}
