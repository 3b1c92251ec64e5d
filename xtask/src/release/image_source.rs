//! What the push targets of a direct release share: the image, read and compressed once, by whichever comes first.
//!
//! It refuses to know how a registry takes it. What one registry holds already, from an earlier run that others failed
//! in, is the source for the others: nothing is compressed again, and the digest is the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow};
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use tokio::task::JoinSet;

use super::plan::PushPlan;
use super::reuse::{self, Candidate};
use super::tag_gate;
use super::transport::Location;
use super::world::World;
use crate::copy::{self, Copier, Source};
use crate::engine::{self, Engine, Image};
use crate::exit::bad_input;
use crate::image::{self, Content, Event, Input};
use crate::oci::{Descriptor, Digest, Manifest, TagOrDigest};
use crate::settings::Login;

/// An upload that was lost is begun again so often.
const RETRIES: u32 = 3;

/// The image on its way.
pub struct ImageSource {
    /// Registries that hold it already, with what the version names there.
    held: BTreeMap<String, Manifest>,
    pub copier: Copier,
    reading: Arc<Reading>,
    /// Ends when this is dropped.
    #[expect(dead_code, reason = "held, not read")]
    reader: JoinSet<()>,
}

/// How far the reading is.
#[derive(Default)]
struct Reading {
    taken: AtomicU64,
    failure: OnceLock<image::Error>,
}

impl ImageSource {
    /// Looks what is there already, and begins to read what is not.
    pub async fn start(world: &World<'_>) -> Result<ImageSource> {
        let images = images(world).await?;
        let held = held(world, &images).await?;
        let name = format!("{}:{}", world.settings.image, world.plan.version);
        let reading = Arc::new(Reading::default());
        let mut reader = JoinSet::new();
        let source = match held.first_key_value() {
            Some((registry, manifest)) => Source::Registry {
                repository: world.repository(registry)?.clone(),
                at: TagOrDigest::Digest(manifest.digest().clone()),
            },
            None => read(world, images, Arc::clone(&reading), &mut reader).await?,
        };
        Ok(ImageSource {
            held,
            copier: Copier::new(name, source, RETRIES),
            reading,
            reader,
        })
    }

    /// What the version names at this registry already.
    pub fn held(&self, registry: &str) -> Option<&Manifest> {
        self.held.get(registry)
    }

    /// Bytes of the image that were read so far, before compression.
    pub fn taken(&self) -> u64 {
        self.reading.taken.load(Ordering::Relaxed)
    }

    /// Why the image could not be read, if it could not: then no registry is at fault.
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

/// The images as the engine describes them; none when the image is not in the engine.
async fn images(world: &World<'_>) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for name in names(world) {
        let image = world.engine().await?.image(&name).await?;
        images.push(image.ok_or_else(|| absent(world, &name))?);
    }
    Ok(images)
}

/// The image's names in the engine, one for each platform.
fn names(world: &World<'_>) -> Vec<String> {
    match &world.plan.transport.image {
        None => world.plan.builds.iter().map(|it| it.tag.clone()).collect(),
        Some(given) => match &given.location {
            Location::Engine(name) => vec![name.clone()],
            Location::Directory(_) | Location::File(_) => Vec::new(),
        },
    }
}

/// The error that the engine lacks an image.
pub fn absent(world: &World<'_>, name: &str) -> anyhow::Error {
    let hint = match world.plan.transport.image {
        None => "run `cargo xtask docker-build`",
        Some(_) => "`docker image ls` shows what it has",
    };
    bad_input(format!("the engine has no image `{name}`\nhint: {hint}"))
}

/// The registries that are signed in to, whether or not this run pushes to them.
fn ready<'w>(world: &'w World<'_>) -> impl Iterator<Item = &'w PushPlan> {
    world.plan.pushes.iter().filter(|push| {
        let login = &world.registry(&push.registry).login;
        matches!(login, Login::Ready { .. })
    })
}

/// Which registries have the images under this version.
async fn held(world: &World<'_>, images: &[Image]) -> Result<BTreeMap<String, Manifest>> {
    if images.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: BTreeSet<String> = images.iter().map(|image| image.id.to_string()).collect();
    let ask = ready(world).map(|push| {
        let ids = &ids;
        async move {
            let repository = world.repository(&push.registry)?;
            let held = reuse::held(repository, &push.immutable, ids).await;
            anyhow::Ok(held.map(|manifest| (push.registry.clone(), manifest)))
        }
    });
    let answers: Result<Vec<_>> = join_all(ask).await.into_iter().collect();
    Ok(answers?.into_iter().flatten().collect())
}

/// Where the image is read.
enum Origin {
    Archive(Input),
    /// By these names.
    Engine(Engine, Vec<String>),
}

/// Begins to read the image, and hands out its parts as they are ready.
async fn read(
    world: &World<'_>,
    images: Vec<Image>,
    reading: Arc<Reading>,
    reader: &mut JoinSet<()>,
) -> Result<Source> {
    let mut candidates = Vec::new();
    for push in ready(world) {
        let is_refused = world.refusals().contains_key(&push.registry);
        let is_target = tag_gate::runs(world, push) && !is_refused;
        // Of an image in the engine, the others were asked already.
        if is_target || images.is_empty() {
            candidates.push(Candidate {
                repository: world.repository(&push.registry)?.clone(),
                is_target,
            });
        }
    }
    let known = reuse::layers(&candidates, &world.plan.version).await;
    let options = image::Options {
        compression: world.plan.transport.compression,
        workers: None,
        reusable: known.layers,
        diff_ids: images.iter().map(|it| it.diff_ids.clone()).collect(),
    };
    let origin = match world.plan.transport.image.as_ref().map(|it| &it.location) {
        Some(Location::Directory(path)) => Origin::Archive(Input::Directory(path.clone())),
        Some(Location::File(path)) => Origin::Archive(Input::File(path.clone())),
        None | Some(Location::Engine(_)) => {
            Origin::Engine(world.engine().await?.clone(), names(world))
        }
    };
    let (writer, pending) = copy::pending_image();
    reader.spawn(async move {
        let listener = |event| match event {
            Event::BytesRead(bytes) => drop(reading.taken.fetch_add(bytes, Ordering::Relaxed)),
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
            Ok(manifests) => Ok(manifests),
            Err(error) => {
                let reason = error.to_string();
                let _ = reading.failure.set(error);
                Err(reason)
            }
        };
        writer.finish(end);
    });
    Ok(Source::Pending {
        image: pending,
        fallback: known.holder,
    })
}

/// Reads what is not known of the images, or, if that cannot be had, all of them.
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

/// What is not known of the images, where the engine can be made to hand out that alone.
async fn parts(
    engine: &Engine,
    images: &[Image],
    known: &HashMap<Digest, Descriptor>,
) -> Option<Vec<image::PartialImage>> {
    let mut parts = Vec::new();
    for image in images {
        parts.push(engine.part(image, known).await?);
    }
    Some(parts)
}
