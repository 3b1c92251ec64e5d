//! One layer on its way: cut into members, hashed, compressed by every core, written in order.
//!
//! The thread that reads feeds three others: one hashes the content (inflating it first when it comes compressed), the
//! workers compress, one writes. It refuses to know archives. Invariants: what waits between the threads is a fixed
//! number of members, and a layer is handed out only after all that is known of it was verified.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle, available_parallelism};

use bytes::{Buf as _, Bytes};

use super::blob::{Blob, Content};
use super::compression::{Compression, Compressor};
use super::error::Error;
use super::form::Form;
use crate::registry::{Descriptor, Digest, Hasher};

/// More workers than this would need more memory than they are worth: some 2 MB each.
const MOST_WORKERS: usize = 12;

/// Pieces that wait to be hashed.
const UNHASHED: usize = 2;

/// What is known of a layer before it is read.
pub(super) struct Known {
    pub name: String,
    /// In bytes, as it comes.
    pub size: u64,
    pub form: Form,
    /// The digest of what comes, when its name tells it.
    pub digest: Option<Digest>,
    /// The diff id, and the layer compressed as it is elsewhere already: it is hashed and not stored.
    pub elsewhere: Option<(Digest, Descriptor)>,
}

/// A layer that was read to its end.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub form: Form,
    pub diff_id: Digest,
    /// As a manifest lists it.
    pub descriptor: Descriptor,
}

/// The threads that all layers share.
pub(super) struct Line<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    compression: Compression,
    /// How many pieces of a layer may wait to be written.
    unwritten: usize,
    jobs: SyncSender<Job>,
    written: Arc<AtomicU64>,
    ready: &'env (dyn Fn(Blob) + Sync),
}

struct Job {
    bytes: Bytes,
    compressed: SyncSender<io::Result<Bytes>>,
}

/// What the writing thread is told, in the order of the content. That it hears no `End` means that nobody vouches for
/// the layer's being whole.
enum Step {
    /// A piece, when it is ready.
    Piece(Receiver<io::Result<Bytes>>),
    End,
}

impl<'scope, 'env> Line<'scope, 'env> {
    /// `ready` is told of every layer that was stored. `workers` compress; as many as there are cores when `None`.
    pub fn start(
        scope: &'scope Scope<'scope, 'env>,
        compression: Compression,
        workers: Option<usize>,
        ready: &'env (dyn Fn(Blob) + Sync),
    ) -> Self {
        let cores = || available_parallelism().map_or(1, usize::from);
        let workers = workers.unwrap_or_else(cores).clamp(1, MOST_WORKERS);
        let (jobs, waiting) = sync_channel(1);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..workers {
            let waiting = Arc::clone(&waiting);
            scope.spawn(move || work(compression, &waiting));
        }
        Line {
            scope,
            compression,
            unwritten: workers + 2,
            jobs,
            written: Arc::default(),
            ready,
        }
    }

    /// Begins a layer; its pieces follow.
    pub fn begin(&self, known: Known) -> Passage<'_, 'scope> {
        let (hash, unhashed) = sync_channel(UNHASHED);
        let (write, unwritten) = sync_channel(self.unwritten);
        let form = known.form;
        let is_stored = known.elsewhere.is_none();
        let media_type = match (form, self.compression) {
            (Form::Gzip, _) | (Form::Tar, Compression::Gzip(_)) => GZIP_LAYER,
            (Form::Zstd, _) | (Form::Tar, Compression::Zstd(_)) => ZSTD_LAYER,
            (Form::Other, _) => "application/octet-stream",
        };
        let writing = Writing {
            known,
            media_type,
            steps: unwritten,
            diff_id: self.scope.spawn(move || diff_id(form, unhashed)),
            written: Arc::clone(&self.written),
        };
        let ready = self.ready;
        Passage {
            hash,
            write,
            form,
            is_stored,
            jobs: &self.jobs,
            written: self.scope.spawn(move || {
                let (layer, blob) = writing.run()?;
                if let Some(blob) = blob {
                    ready(blob);
                }
                Ok(layer)
            }),
        }
    }
}

/// The way in for one layer.
pub(super) struct Passage<'a, 'scope> {
    hash: SyncSender<Bytes>,
    write: SyncSender<Step>,
    form: Form,
    is_stored: bool,
    jobs: &'a SyncSender<Job>,
    written: Writer<'scope>,
}

/// Ends with the layer.
pub(super) type Writer<'scope> = ScopedJoinHandle<'scope, Result<Layer, Error>>;

impl<'scope> Passage<'_, 'scope> {
    /// The next piece; every one but the last is a whole member. `false` when the layer failed, and its end tells why.
    pub fn push(&self, bytes: Bytes) -> bool {
        if self.hash.send(bytes.clone()).is_err() {
            return false;
        }
        if !self.is_stored {
            return true;
        }
        let (compressed, piece) = sync_channel(1);
        if self.write.send(Step::Piece(piece)).is_err() {
            return false;
        }
        match self.form {
            Form::Tar => self.jobs.send(Job { bytes, compressed }).is_ok(),
            _ => compressed.send(Ok(bytes)).is_ok(),
        }
    }

    /// Says that the layer was whole.
    pub fn end(self) -> Writer<'scope> {
        // Nobody hears it when the layer failed, and its end tells why.
        let _ = self.write.send(Step::End);
        self.written
    }

    /// Gives up a layer that was not whole.
    pub fn abandon(self) -> Writer<'scope> {
        self.written
    }
}

const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// Compresses until there is nothing more to come.
fn work(compression: Compression, waiting: &Mutex<Receiver<Job>>) {
    let mut compressor = Compressor::new(compression);
    loop {
        // The lock is held while waiting: whoever has it takes the next job.
        let job = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(Job { bytes, compressed }) = job else {
            return;
        };
        let member = match &mut compressor {
            Ok(compressor) => compressor.member(&bytes),
            Err(error) => Err(io::Error::other(error.to_string())),
        };
        // A layer that failed does not wait for it.
        let _ = compressed.send(member);
    }
}

/// The digest of what the pieces hold once it is inflated. It takes every piece, also after an error.
fn diff_id(form: Form, pieces: Receiver<Bytes>) -> io::Result<Digest> {
    let mut hasher = Hasher::sha256();
    let mut reader = PiecesReader {
        pieces,
        rest: Bytes::new(),
    };
    let hashed = match form {
        Form::Tar | Form::Other => {
            reader.pieces.iter().for_each(|piece| hasher.update(&piece));
            Ok(())
        }
        Form::Gzip => hash(flate2::read::MultiGzDecoder::new(&mut reader), &mut hasher),
        Form::Zstd => zstd::stream::read::Decoder::new(&mut reader)
            .and_then(|inflated| hash(inflated, &mut hasher)),
    };
    reader.pieces.iter().for_each(drop);
    hashed.map(|()| hasher.finish())
}

fn hash(mut inflated: impl Read, hasher: &mut Hasher) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match inflated.read(&mut buffer)? {
            0 => return Ok(()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// The pieces as one stream.
struct PiecesReader {
    pieces: Receiver<Bytes>,
    rest: Bytes,
}

impl Read for PiecesReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.pieces.recv().unwrap_or_default();
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// The writing end of one layer.
struct Writing<'scope> {
    known: Known,
    media_type: &'static str,
    steps: Receiver<Step>,
    diff_id: ScopedJoinHandle<'scope, io::Result<Digest>>,
    written: Arc<AtomicU64>,
}

impl Writing<'_> {
    fn run(self) -> Result<(Layer, Option<Blob>), Error> {
        let known = &self.known;
        let mut file = None;
        let mut size = 0;
        let mut hasher = match &known.digest {
            Some(digest) if known.form != Form::Tar => digest.hasher(),
            _ => Hasher::sha256(),
        };
        loop {
            let Ok(step) = self.steps.recv() else {
                return Err(Error::CutOff(known.name.clone()));
            };
            let Step::Piece(piece) = step else {
                break;
            };
            let stored = piece
                .recv()
                .map_err(io::Error::other)
                .and_then(|piece| piece)
                .and_then(|piece| {
                    let file = match &mut file {
                        Some(file) => file,
                        none => none.insert(tempfile::tempfile()?),
                    };
                    file.write_all(&piece)?;
                    hasher.update(&piece);
                    size += piece.len() as u64;
                    self.written
                        .fetch_add(piece.len() as u64, Ordering::Relaxed);
                    Ok(())
                });
            stored.map_err(|source| self.disk(source))?;
        }
        let known = self.known;
        let damaged = |reason: String| Error::Damaged {
            name: known.name.clone(),
            reason,
        };
        let diff_id = self
            .diff_id
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that hashes it came to grief")));
        let diff_id = diff_id.map_err(|error| damaged(error.to_string()))?;
        if let Some((expected, descriptor)) = known.elsewhere {
            if diff_id != expected {
                return Err(damaged(format!("it is {diff_id} instead of {expected}")));
            }
            let form = known.form;
            let layer = Layer {
                form,
                diff_id,
                descriptor,
            };
            return Ok((layer, None));
        }
        let digest = hasher.finish();
        let came = match known.form {
            Form::Tar => &diff_id,
            _ => &digest,
        };
        if let Some(expected) = &known.digest
            && came != expected
        {
            return Err(damaged(format!("its digest is {came}")));
        }
        let descriptor = Descriptor::new(self.media_type, digest, size);
        let blob = file.map(|file: File| Blob {
            descriptor: descriptor.clone(),
            content: Content::File(Arc::new(file)),
        });
        let layer = Layer {
            form: known.form,
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
