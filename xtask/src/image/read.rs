//! Reads an image: the verb of this module.
//!
//! The work is done on threads that may block; this is where it meets the callers' world. Invariant: a future that is
//! dropped stops the work, and nothing is left behind.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::thread;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::assemble::{Assembled, assemble};
use super::blob::Blob;
use super::compression::Compression;
use super::contents::Contents;
use super::directory;
use super::entry_reader::EntryReader;
use super::error::Error;
use super::layer_pipeline::LayerPipeline;
use super::partial_image::{self, PartialImage};
use super::stream::{Archive, PieceReader, Pieces};
use crate::oci::{Descriptor, Digest, Manifest};

/// Where an image is.
pub enum Input {
    /// An archive that somebody delivers, such as an engine; their errors become [`Error::Source`] as they are.
    Stream(Pieces),
    /// `docker-archive` or `oci-archive`, which tell themselves apart, also when compressed as a whole.
    File(PathBuf),
    /// An OCI image layout.
    Directory(PathBuf),
    /// Some of its layers; [`Options::known`] has the others. One for each platform.
    Parts(Vec<PartialImage>),
}

/// How an image is read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub compression: Compression,
    /// Threads that compress; a core each when `None`. No digest depends on it.
    pub workers: Option<usize>,
    /// Layers by diff id that are where the image goes already, compressed as the descriptor says: they are hashed,
    /// neither compressed nor handed out, and the manifest lists the descriptor.
    pub known: HashMap<Digest, Descriptor>,
    /// The diff ids of each image, from the bottom, where somebody knows them beforehand. An export of an engine up to
    /// 24 does not tell them before its layers, and without them `known` is of no use there.
    pub diff_ids: Vec<Vec<Digest>>,
}

/// What happens while an image is read.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time is told and taken apart at once"
)]
#[derive(Debug)]
pub enum Event {
    /// So many bytes more were read of the archive's content.
    Taken(u64),
    /// A layer or config is ready. The same one may come twice, and one that no manifest lists may come.
    Ready(Blob),
}

/// An image that was read.
#[derive(Clone, Debug)]
pub struct Read {
    /// Children first; the last one is the image: its manifest, or its index when it is one for several platforms.
    pub manifests: Vec<Manifest>,
    /// The manifest of each platform's image, with the platform.
    pub images: Vec<Descriptor>,
}

impl Read {
    /// What the image's tags are to name.
    pub fn root(&self) -> &Manifest {
        self.manifests.last().expect("an image has a manifest")
    }
}

/// Reads the image at `input`. Every blob that the manifests list and that is not known was told to `listener` before
/// this returns.
///
/// # Errors
/// Those of [`Error`]; [`Error::is_input`] tells whose fault it is. Blobs may have been handed out by then.
pub async fn read(
    input: Input,
    options: Options,
    listener: &(dyn Fn(Event) + Send + Sync),
) -> Result<Read, Error> {
    let (events, mut heard) = mpsc::unbounded_channel();
    let runtime = Handle::current();
    let reading = tokio::task::spawn_blocking(move || {
        let contents = take(input, &options, &events, runtime)?;
        let Assembled {
            manifests,
            images,
            blobs,
        } = assemble(&contents)?;
        for blob in blobs {
            let _ = events.send(Event::Ready(blob));
        }
        Ok(Read { manifests, images })
    });
    while let Some(event) = heard.recv().await {
        listener(event);
    }
    match reading.await {
        Ok(read) => read,
        Err(error) => Err(Error::Source(io::Error::other(error))),
    }
}

/// Takes everything from `input`. It ends early when nobody hears its events any more.
fn take(
    input: Input,
    options: &Options,
    events: &mpsc::UnboundedSender<Event>,
    runtime: Handle,
) -> Result<Contents, Error> {
    let ready = |blob| drop(events.send(Event::Ready(blob)));
    let progress = |bytes| events.send(Event::Taken(bytes)).is_ok();
    thread::scope(|scope| {
        let line = LayerPipeline::start(scope, options.compression, options.workers, &ready);
        let mut taker = EntryReader::new(&line, options, &progress);
        match input {
            Input::Directory(path) => directory::walk(&path, &mut taker)?,
            Input::Parts(parts) => partial_image::take(parts, &mut taker)?,
            Input::File(path) => {
                let failed = |source| Error::Open {
                    path: path.clone(),
                    source,
                };
                let file = File::open(&path).map_err(failed)?;
                let archive = Archive::open(file).map_err(failed)?;
                taker.archive(archive).map_err(|error| match error {
                    Error::Source(source) => failed(source),
                    error => error,
                })?;
            }
            Input::Stream(pieces) => {
                let reader = PieceReader {
                    pieces,
                    rest: Bytes::new(),
                    runtime,
                    listener: events.clone(),
                };
                taker.archive(Archive::open(reader).map_err(Error::Source)?)?;
            }
        }
        taker.finish()
    })
}
