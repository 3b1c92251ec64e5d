//! The line that layers pass: cut into members, hashed, compressed by every core, written in order.
//!
//! The thread that reads feeds the others: one hashes the layer, the workers compress, one writes. It refuses to know
//! archives. Invariant: of one layer, a fixed number of members waits between the threads.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle, available_parallelism};

use bytes::Bytes;

use super::blob::Blob;
use super::compression::{Compression, Compressor};
use super::diff_id::diff_id;
use super::encoding::Encoding;
use super::error::Error;
use super::layer_sink::{Layer, LayerHint, LayerSink, Step};
use super::rewrite::{GZIP_LAYER, ZSTD_LAYER};

/// So many compress faster than an engine exports; more would only need memory, some 4 MB each.
const MOST_WORKERS: usize = 6;

/// Pieces that wait to be hashed.
const UNHASHED: usize = 2;

/// The threads that all layers share.
pub(super) struct LayerPipeline<'scope, 'env> {
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

impl<'scope, 'env> LayerPipeline<'scope, 'env> {
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
        LayerPipeline {
            scope,
            compression,
            unwritten: workers + 2,
            jobs,
            written: Arc::default(),
            ready,
        }
    }

    /// Begins a layer; its pieces follow.
    pub fn begin(&self, known: LayerHint) -> LayerWriter<'_, 'scope> {
        let (hash, unhashed) = sync_channel(UNHASHED);
        let (write, unwritten) = sync_channel(self.unwritten);
        let form = known.form;
        let is_stored = known.elsewhere.is_none() && known.kept.is_none();
        // What a layer that is elsewhere unpacks to is known with it.
        let unpacked_from = match known.elsewhere {
            Some(_) => Encoding::Tar,
            None => form,
        };
        let media_type = match (form, self.compression) {
            (Encoding::Gzip, _) | (Encoding::Tar, Compression::Gzip(_)) => GZIP_LAYER,
            (Encoding::Zstd, _) | (Encoding::Tar, Compression::Zstd(_)) => ZSTD_LAYER,
            (Encoding::Other, _) => "application/octet-stream",
        };
        let writing = LayerSink {
            known,
            media_type,
            steps: unwritten,
            diff_id: self.scope.spawn(move || diff_id(unpacked_from, unhashed)),
            written: Arc::clone(&self.written),
        };
        let ready = self.ready;
        LayerWriter {
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

/// The way in for one layer. Dropping it before its end gives the layer up.
pub(super) struct LayerWriter<'a, 'scope> {
    hash: SyncSender<Bytes>,
    write: SyncSender<Step>,
    form: Encoding,
    is_stored: bool,
    jobs: &'a SyncSender<Job>,
    written: Writer<'scope>,
}

/// Ends with the layer.
pub(super) type Writer<'scope> = ScopedJoinHandle<'scope, Result<Layer, Error>>;

impl<'scope> LayerWriter<'_, 'scope> {
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
            Encoding::Tar => self.jobs.send(Job { bytes, compressed }).is_ok(),
            _ => compressed.send(Ok(bytes)).is_ok(),
        }
    }

    /// Says that the layer was whole.
    pub fn end(self) -> Writer<'scope> {
        // Nobody hears it when the layer failed, and its end tells why.
        let _ = self.write.send(Step::End);
        self.written
    }
}

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
