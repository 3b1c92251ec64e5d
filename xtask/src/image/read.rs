//! Reads an image on threads that may block, and reports to an async caller. Dropping the future stops the work.

use std::io;
use std::thread;

use futures_util::StreamExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::assemble::assemble;
use super::contents::Contents;
use super::directory;
use super::entry_reader::EntryReader;
use super::error::Error;
use super::layer_pipeline::LayerPipeline;
use super::options::{Event, Input, Options};
use super::stream::{Archive, ChunkReader};
use crate::oci::Manifest;

/// Reads the image at `input`. Returns its manifests, children first; the last is the image's own, an index if it has
/// several platforms. Every blob that they list and that is not reused was an [`Event::Ready`] before this returns.
///
/// # Errors
/// [`Error::is_input`] tells whether the archive is at fault. Blobs may have been handed out by then.
pub async fn read(
    input: Input,
    options: Options,
    listener: &(dyn Fn(Event) + Send + Sync),
) -> Result<Vec<Manifest>, Error> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let runtime = Handle::current();
    let reading = tokio::task::spawn_blocking(move || {
        let contents = read_contents(input, &options, &sender, runtime)?;
        let assembled = assemble(&contents, &options)?;
        for blob in assembled.blobs {
            let _ = sender.send(Event::Ready(blob));
        }
        Ok(assembled.manifests)
    });
    while let Some(event) = events.recv().await {
        listener(event);
    }
    match reading.await {
        Ok(read) => read,
        Err(error) => Err(Error::Source(io::Error::other(error))),
    }
}

/// Reads everything from `input`; stops early when the receiver of `events` is gone.
fn read_contents(
    input: Input,
    options: &Options,
    events: &mpsc::UnboundedSender<Event>,
    runtime: Handle,
) -> Result<Contents, Error> {
    let ready = |blob| drop(events.send(Event::Ready(blob)));
    let progress = |bytes| events.send(Event::BytesRead(bytes)).is_ok();
    thread::scope(|scope| {
        let (compression, workers) = (options.compression, options.workers);
        let pipeline = LayerPipeline::start(scope, compression, workers, None, &ready);
        let mut reader = EntryReader::new(&pipeline, options, &progress);
        match input {
            Input::Directory(path) => directory::read(&path, options.chosen.as_ref(), &mut reader)?,
            Input::File(path) => {
                let failed = |error| Error::Open {
                    path: path.clone(),
                    error,
                };
                let file = directory::open(&path).map_err(failed)?;
                let archive = Archive::open(file).map_err(failed)?;
                reader.archive(archive).map_err(|error| match error {
                    Error::Source(error) => failed(error),
                    error => error,
                })?;
            }
            Input::Stream(mut stream) => {
                let events = events.clone();
                let mut next = async move || {
                    tokio::select! {
                        chunk = stream.next() => chunk.transpose(),
                        () = events.closed() => Err(io::ErrorKind::ConnectionAborted.into()),
                    }
                };
                let stream = ChunkReader::new(move || runtime.block_on(next()));
                reader.archive(Archive::open(stream).map_err(Error::Source)?)?;
            }
        }
        reader.finish()
    })
}
