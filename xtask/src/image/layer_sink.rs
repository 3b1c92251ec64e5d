//! The end of a layer's way: its pieces into a temporary file, and everything that is known of it compared.
//!
//! It refuses to know who makes the pieces. Invariant: a layer is given out only after all that was known of it turned
//! out to be true.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::ScopedJoinHandle;

use bytes::Bytes;

use super::blob::{Blob, Content};
use super::encoding::Encoding;
use super::error::Error;
use crate::oci::{Descriptor, Digest, Hasher};

/// What is known of a layer before it is read.
pub(super) struct LayerHint {
    pub name: String,
    /// In bytes, as it comes.
    pub size: u64,
    pub form: Encoding,
    /// The digest of what comes, when its name tells it.
    pub digest: Option<Digest>,
    /// The diff id, and the layer compressed as it is elsewhere already: what comes is hashed and not stored.
    pub elsewhere: Option<(Digest, Descriptor)>,
    /// What comes, compressed: it is not stored again.
    pub kept: Option<File>,
}

/// A layer that was read to its end.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub form: Encoding,
    pub diff_id: Digest,
    /// As a manifest lists it.
    pub descriptor: Descriptor,
}

/// What the writing thread is told, in the order of the content. That it hears no `End` means that nobody vouches for
/// the layer's being whole.
pub(super) enum Step {
    /// A piece, when it is ready.
    Piece(Receiver<io::Result<Bytes>>),
    End,
}

/// The writing end of one layer.
pub(super) struct LayerSink<'scope> {
    pub known: LayerHint,
    pub media_type: &'static str,
    pub steps: Receiver<Step>,
    /// Of a layer that is elsewhere, the digest of what comes.
    pub diff_id: ScopedJoinHandle<'scope, io::Result<Digest>>,
    /// By all layers together, in bytes.
    pub written: Arc<AtomicU64>,
}

/// The pieces in a file, if there were any.
struct Stored {
    file: Option<File>,
    digest: Digest,
    size: u64,
}

impl LayerSink<'_> {
    /// Stores the pieces in their order, and vouches for the layer.
    pub fn run(self) -> Result<(Layer, Option<Blob>), Error> {
        let stored = self.store()?;
        self.verify(stored)
    }

    fn store(&self) -> Result<Stored, Error> {
        let mut file = None;
        let mut size = 0;
        let mut hasher = match &self.known.digest {
            Some(digest) if self.known.form != Encoding::Tar => digest.hasher(),
            _ => Hasher::sha256(),
        };
        let mut store = |piece: Bytes| {
            let file: &mut File = match &mut file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile()?),
            };
            hasher.update(&piece);
            file.write_all(&piece)?;
            size += piece.len() as u64;
            self.written
                .fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok(())
        };
        loop {
            match self.steps.recv() {
                Ok(Step::Piece(piece)) => {
                    let piece = piece.recv().map_err(io::Error::other);
                    let stored = piece.and_then(|piece| piece).and_then(&mut store);
                    stored.map_err(|source| self.disk(source))?;
                }
                Ok(Step::End) => break,
                Err(_) => return Err(Error::CutOff(self.known.name.clone())),
            }
        }
        let digest = hasher.finish();
        Ok(Stored { file, digest, size })
    }

    fn verify(self, stored: Stored) -> Result<(Layer, Option<Blob>), Error> {
        let known = self.known;
        let form = known.form;
        let damaged = |reason: String| Error::Damaged {
            name: known.name.clone(),
            reason,
        };
        let diff_id = self.diff_id.join();
        let diff_id = diff_id.unwrap_or_else(|_| Err(io::Error::other("hashing it came to grief")));
        let diff_id = diff_id.map_err(|error| damaged(error.to_string()))?;
        if let Some((expected, descriptor)) = known.elsewhere {
            let listed = match form {
                Encoding::Tar => &expected,
                _ => &descriptor.digest,
            };
            if diff_id != *listed {
                return Err(damaged(format!("it is {diff_id} instead of {listed}")));
            }
            let layer = Layer {
                form,
                diff_id: expected,
                descriptor,
            };
            return Ok((layer, None));
        }
        let stored = match (known.kept, &known.digest) {
            (Some(file), Some(digest)) => Stored {
                file: Some(file),
                digest: digest.clone(),
                size: known.size,
            },
            _ => stored,
        };
        let came = match form {
            Encoding::Tar => &diff_id,
            _ => &stored.digest,
        };
        if known
            .digest
            .as_ref()
            .is_some_and(|expected| expected != came)
        {
            return Err(damaged(format!("its digest is {came}")));
        }
        let descriptor = Descriptor::new(self.media_type, stored.digest, stored.size);
        let blob = stored.file.map(|file| Blob {
            descriptor: descriptor.clone(),
            content: Content::File(Arc::new(file)),
        });
        let layer = Layer {
            form,
            diff_id,
            descriptor,
        };
        Ok((layer, blob))
    }

    fn disk(&self, source: io::Error) -> Error {
        Error::Disk {
            directory: std::env::temp_dir(),
            written: self.written.load(Ordering::Relaxed),
            layer: self.known.name.clone(),
            size: self.known.size,
            source,
        }
    }
}
