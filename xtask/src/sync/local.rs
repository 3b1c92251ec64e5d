//! `copy` of an image that is in no registry.
//!
//! A layout or an archive is read to its end before anything is written, because only then is it known whether it is
//! whole and what it holds. What an engine exports is copied while it is read, because compressing takes long.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Result;
use futures_util::TryStreamExt as _;

use super::probe::Registries;
use super::request::LocalImage;
use super::resolve::Resolved;
use crate::copy::{self, Job, Source};
use crate::engine::Engine;
use crate::exit::bad_input;
use crate::image::{self, Content, Event, Input, Location};
use crate::settings::Settings;

/// Adds the job that copies `image`.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): no engine, or no image where it is said to be.
pub(super) async fn resolve(
    image: &LocalImage,
    settings: &Settings,
    registries: &Registries,
    resolved: &mut Resolved,
) -> Result<()> {
    let to = image.destinations.clone();
    let destinations = resolved.destinations(&image.name, None, to, registries);
    if destinations.is_empty() {
        return Ok(());
    }
    let input = match (&image.location, image.location.on_disk()) {
        (_, Some(input)) => input,
        (Location::Engine(name), None) => export(name, settings).await?,
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
                Content::File(file) => writer.file(blob.descriptor, file),
                Content::Memory(bytes) => writer.bytes(blob.descriptor, bytes),
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
    resolved.jobs.push(Job {
        name: image.name.clone(),
        source: Source::Pending(pending),
        policy: image.policy.clone(),
        destinations,
    });
    Ok(())
}

/// The archive of an image that the engine has.
async fn export(name: &str, settings: &Settings) -> Result<Input> {
    let address = settings.engine().map_err(bad_input)?;
    let engine = Engine::connect(Some(&address.host)).await;
    let engine = engine.map_err(|error| bad_input(address.explain(error)))?;
    if engine.image_id(name).await?.is_none() {
        let hub = format!("`docker.io/library/docker:{name}`");
        return Err(bad_input(format!(
            "the engine has no image `{name}`\nhint: `docker image ls` shows what it has; {hub} is the image `docker` of Docker Hub"
        )));
    }
    let export = engine.export(&[name.to_owned()]);
    Ok(Input::Stream(Box::pin(export.map_err(io::Error::other))))
}
