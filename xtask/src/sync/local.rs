//! `copy` of an image that is in no registry.
//!
//! A layout or an archive is read to its end before anything is written, because only then is it known whether it is
//! whole and what it holds. What an engine exports is copied while it is read, because compressing takes long; if a
//! destination has the image already, that one is the source for the others, and nothing is exported.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use futures_util::TryStreamExt as _;
use futures_util::future::join_all;

use super::probe::Registries;
use super::request::LocalImage;
use super::resolve::Resolved;
use crate::copy::{self, Destination, Job, Source};
use crate::engine::Engine;
use crate::exit::bad_input;
use crate::image::{self, Event, Input, Location};
use crate::oci::{Content, Digest, TagOrDigest};
use crate::settings::Settings;

/// Adds the job that copies `image`.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): no engine, or no image where it is said to be.
pub(super) async fn resolve(
    image: &LocalImage,
    settings: &Settings,
    registries: &Registries,
    force: bool,
    resolved: &mut Resolved,
) -> Result<()> {
    let to = image.destinations.clone();
    let destinations = resolved.destinations(&image.name, None, to, registries);
    if destinations.is_empty() {
        return Ok(());
    }
    let input = match (&image.location, image.location.on_disk()) {
        (_, Some(input)) => input,
        (Location::Engine(name), None) => {
            let (engine, id) = engine(name, settings).await?;
            if !force && let Some(source) = held(&destinations, &id).await {
                resolved.jobs.push(job(image, source, destinations));
                return Ok(());
            }
            let export = engine.export(std::slice::from_ref(name));
            Input::Stream(Box::pin(export.map_err(io::Error::other)))
        }
        (_, None) => return Ok(()),
    };
    let is_export = matches!(input, Input::Stream(_));
    let options = image::Options {
        chosen: image.location.chosen().cloned(),
        keeps_layers: matches!(
            image.location,
            Location::Layout(..) | Location::OciArchive(..)
        ),
        ..image::Options::default()
    };
    let (writer, pending) = copy::pending_image();
    let bytes_read = Arc::clone(&resolved.bytes_read);
    let reading = async move {
        let listener = |event| match event {
            Event::BytesRead(bytes) => drop(bytes_read.fetch_add(bytes, Ordering::Relaxed)),
            Event::Ready(blob) => match blob.content {
                image::Content::File(file) => writer.file(blob.descriptor, file),
                image::Content::Memory(bytes) => writer.bytes(blob.descriptor, bytes),
            },
        };
        let read = image::read(input, options, &listener).await;
        let (end, wrong) = match read {
            Ok(manifests) => (Ok(manifests), None),
            Err(error) => (
                Err(error.to_string()),
                Some(error).filter(image::Error::is_wrong_choice),
            ),
        };
        writer.finish(end);
        wrong
    };
    if is_export {
        resolved.reader.spawn(async move { drop(reading.await) });
    } else if let Some(wrong) = reading.await {
        return Err(bad_input(format!("`{}`: {wrong}", image.name)));
    }
    let source = Source::Pending(pending);
    resolved.jobs.push(job(image, source, destinations));
    Ok(())
}

fn job(image: &LocalImage, source: Source, destinations: Vec<Destination>) -> Job {
    Job {
        name: image.name.clone(),
        source,
        policy: image.policy.clone(),
        destinations,
    }
}

/// The engine, and the id of the image that it has.
async fn engine(name: &str, settings: &Settings) -> Result<(Engine, Digest)> {
    let address = settings.engine().map_err(bad_input)?;
    let engine = Engine::connect(Some(&address.host)).await;
    let engine = engine.map_err(|error| bad_input(address.explain(error)))?;
    let Some(id) = engine.image_id(name).await? else {
        let hub = format!("`docker.io/library/docker:{name}`");
        return Err(bad_input(format!(
            "the engine has no image `{name}`\nhint: `docker image ls` shows what it has; {hub} is the image `docker` of Docker Hub"
        )));
    };
    Ok((engine, id))
}

/// How long the other registries wait for one that does not say whether it has the image.
const PATIENCE: Duration = Duration::from_secs(15);

/// The image with that id, which is the digest of its config or of itself, where a destination has it.
async fn held(destinations: &[Destination], id: &Digest) -> Option<Source> {
    let ask = destinations.iter().map(|destination| async {
        let repository = destination.host.repository(destination.repository.path());
        let at = TagOrDigest::Tag(destination.tags.first()?.clone());
        let manifest = repository.get_manifest(&at).await.ok()??;
        let is_it = match manifest.content().ok()? {
            Content::Image(image) => image.config.digest == *id || manifest.digest() == id,
            Content::Index(_) | Content::Artifact(_) => manifest.digest() == id,
        };
        let at = TagOrDigest::Digest(manifest.digest().clone());
        is_it.then_some(Source::Registry { repository, at })
    });
    let ask = ask.map(|ask| tokio::time::timeout(PATIENCE, ask));
    let answers = join_all(ask).await.into_iter();
    answers.filter_map(|it| it.ok().flatten()).next()
}
