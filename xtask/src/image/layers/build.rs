//! Writes planned layers: tar archives, compressed, hashed and stored while they are made.
//!
//! A layer's digest depends on its files and the compression only.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, available_parallelism};

use bytes::Bytes;

use super::content::{FileContent, Source};
use super::error::BuildError;
use super::plan::PlannedLayer;
use super::tar_header::{BLOCK, header};
use super::zip_entry::Room;
use crate::image;
use crate::image::blob::Blob;
use crate::image::compression::{Compression, MEMBER};
use crate::image::encoding::Encoding;
use crate::image::layer_pipeline::{LayerPipeline, LayerWriter};
use crate::image::layer_sink::{Layer, LayerHint};
use crate::oci::Digest;

/// Layers that are written at the same time.
const MAX_LAYERS: usize = 4;

/// A layer, ready to be uploaded.
#[derive(Clone, Debug)]
pub struct BuiltLayer {
    pub blob: Blob,
    pub diff_id: Digest,
    /// Of the step in the Dockerfile.
    pub line: usize,
}

/// Builds `layers`, those of several platforms as well, and returns them in the same order. `ready` receives each as
/// soon as it is whole: in `directory`, by the hexadecimal digits of its digest, or in a file without a name. One
/// thread for each core if `workers` is `None`; no digest depends on it.
///
/// With the default compression, what is deflated in a zip already is not compressed again.
///
/// # Errors
/// A file that cannot be read, a zip that is damaged, or a disk that is full. What `ready` received is valid.
pub fn build_layers(
    layers: &[&PlannedLayer],
    compression: Compression,
    workers: Option<usize>,
    directory: Option<&Path>,
    ready: &(dyn Fn(Blob) + Sync),
) -> Result<Vec<BuiltLayer>, BuildError> {
    let cores = || available_parallelism().map_or(1, usize::from);
    let writers = workers
        .unwrap_or_else(cores)
        .clamp(1, MAX_LAYERS)
        .min(layers.len());
    let blobs = Mutex::new(HashMap::new());
    let store = |blob: Blob| {
        let digest = blob.descriptor.digest.clone();
        lock(&blobs).insert(digest, blob.clone());
        ready(blob);
    };
    let (next, written) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        let pipeline = LayerPipeline::start(scope, compression, workers, directory, &store);
        thread::scope(|writing| {
            for _ in 0..writers {
                writing.spawn(|| {
                    let mut room = Room::new();
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(layer) = layers.get(at) else { break };
                        let result = write(layer, compression, &pipeline, &mut room);
                        if result.is_err() {
                            // Those after it need not be started.
                            next.store(layers.len(), Ordering::Relaxed);
                        }
                        lock(&written).insert(at, result);
                    }
                });
            }
        });
    });
    let written = std::mem::take(&mut *lock(&written));
    let mut built = Vec::new();
    for (at, result) in written {
        let layer = result?;
        let blob = lock(&blobs).get(&layer.descriptor.digest).cloned();
        built.extend(blob.zip(layer.diff_id).map(|(blob, diff_id)| BuiltLayer {
            blob,
            diff_id,
            line: layers[at].line,
        }));
    }
    Ok(built)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes one layer and waits until it is stored.
fn write(
    layer: &PlannedLayer,
    compression: Compression,
    pipeline: &LayerPipeline,
    room: &mut Room,
) -> Result<Layer, BuildError> {
    let files = layer.entries.iter().filter_map(|(_, node)| node.content());
    let name = format!("the layer of line {}", layer.line);
    let hint = LayerHint {
        name: name.clone(),
        size: files.map(|content| content.size).sum(),
        encoding: Encoding::Tar,
        digest: None,
        reused: None,
        file: None,
    };
    let writer = pipeline.start_layer(hint);
    let mut archive = Archive {
        writer,
        moves_members: compression == Compression::default(),
        buffer: Vec::with_capacity(MEMBER),
        room,
    };
    for (path, node) in &layer.entries {
        archive.add(&header(path, node));
        if let Some(content) = node.content() {
            archive.add_content(path, content)?;
            let padding = content.size.next_multiple_of(BLOCK as u64) - content.size;
            archive.add(&[0; BLOCK][..padding as usize]);
        }
    }
    archive.add(&[0; 2 * BLOCK]);
    archive.flush();
    let stored = archive.writer.finish().join();
    let stored = stored.unwrap_or(Err(image::Error::CutOff(name)));
    Ok(stored?)
}

/// The tar archive of a layer. If the layer fails meanwhile, its thread has the error, and what is added is dropped.
struct Archive<'a, 'scope> {
    writer: LayerWriter<'a, 'scope>,
    /// Whether zip entries become members.
    moves_members: bool,
    /// The start of the next member.
    buffer: Vec<u8>,
    room: &'a mut Room,
}

impl Archive<'_, '_> {
    fn add(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let fitting = bytes.len().min(MEMBER - self.buffer.len());
            self.buffer.extend_from_slice(&bytes[..fitting]);
            bytes = &bytes[fitting..];
            if self.buffer.len() == MEMBER && !self.flush() {
                return false;
            }
        }
        true
    }

    fn flush(&mut self) -> bool {
        if self.buffer.is_empty() {
            return true;
        }
        let member = Bytes::copy_from_slice(&self.buffer);
        self.buffer.clear();
        self.writer.push(member)
    }

    fn add_content(&mut self, path: &str, content: &FileContent) -> Result<(), BuildError> {
        match content.zip_entry() {
            Some(entry) if self.moves_members && entry.is_moved() => {
                self.flush();
                let moved = entry.copy_to(&self.writer, self.room);
                moved.map_err(|error| BuildError::Zip {
                    zip: entry.zip.clone(),
                    name: path.to_owned(),
                    reason: error.to_string(),
                })
            }
            _ => {
                let read = content.read(256 << 10, |chunk| self.add(chunk));
                read.map_err(|error| match &content.source {
                    Source::Zip(entry) => BuildError::Zip {
                        zip: entry.zip.clone(),
                        name: path.to_owned(),
                        reason: error.to_string(),
                    },
                    _ => BuildError::Read {
                        name: path.to_owned(),
                        error,
                    },
                })
            }
        }
    }
}
