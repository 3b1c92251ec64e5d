//! Hashes layers, compresses them on every core, and writes them in order.
//!
//! The thread that reads feeds the others: one hashes what the layer unpacks to, the workers compress, one writes. The
//! channels between them are bounded. Content that came compressed under its digest is only hashed as it is.

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{Scope, ScopedJoinHandle, available_parallelism};

use bytes::Bytes;

use super::blob::Blob;
use super::compression::{Compression, Compressor};
use super::diff_id::diff_id;
use super::encoding::Encoding;
use super::error::Error;
use super::layer_sink::{Chunk, Layer, LayerHint, LayerSink};
use super::rewrite::{GZIP_LAYER, ZSTD_LAYER};

/// This many compress faster than an engine exports; each needs about 4 MB.
const MAX_WORKERS: usize = 6;

/// Chunks that may wait to be hashed.
const HASH_QUEUE: usize = 2;

/// The threads that all layers share.
pub(super) struct LayerPipeline<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    compression: Compression,
    /// Chunks of a layer that may wait to be written.
    write_queue: usize,
    jobs: SyncSender<Job>,
    written: Arc<AtomicU64>,
    directory: Option<&'env Path>,
    ready: &'env (dyn Fn(Blob) + Sync),
}

struct Job {
    bytes: Bytes,
    compressed: SyncSender<io::Result<Bytes>>,
}

impl<'scope, 'env> LayerPipeline<'scope, 'env> {
    /// `ready` receives every layer that was stored: in `directory` by the hexadecimal digits of its digest, or in a
    /// file without a name. The default number of `workers` is that of the cores.
    pub fn start(
        scope: &'scope Scope<'scope, 'env>,
        compression: Compression,
        workers: Option<usize>,
        directory: Option<&'env Path>,
        ready: &'env (dyn Fn(Blob) + Sync),
    ) -> Self {
        let cores = || available_parallelism().map_or(1, usize::from);
        let workers = workers.unwrap_or_else(cores).clamp(1, MAX_WORKERS);
        let (jobs, queue) = sync_channel(1);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..workers {
            let queue = Arc::clone(&queue);
            scope.spawn(move || work(compression, &queue));
        }
        LayerPipeline {
            scope,
            compression,
            write_queue: workers + 2,
            jobs,
            written: Arc::default(),
            directory,
            ready,
        }
    }

    /// Starts a layer; its chunks follow.
    pub fn start_layer(&self, hint: LayerHint) -> LayerWriter<'_, 'scope> {
        let (write, chunks) = sync_channel(self.write_queue);
        let encoding = hint.encoding;
        let is_stored = hint.is_stored();
        let hashed_as = match is_stored {
            // Its diff id is known, or nobody asks for it: hash the content as it is.
            false => Some(Encoding::Tar),
            // Whoever stores it hashes it, which is all that its name promises.
            true if hint.digest.is_some() && encoding != Encoding::Tar => None,
            true => Some(encoding),
        };
        let (hash, hashing) = hashed_as
            .map(|hashed_as| {
                let (hash, unhashed) = sync_channel(HASH_QUEUE);
                (hash, self.scope.spawn(move || diff_id(hashed_as, unhashed)))
            })
            .unzip();
        let media_type = match (encoding, self.compression) {
            (Encoding::Gzip, _) | (Encoding::Tar, Compression::Gzip(_)) => GZIP_LAYER,
            (Encoding::Zstd, _) | (Encoding::Tar, Compression::Zstd(_)) => ZSTD_LAYER,
            (Encoding::Other, _) => "application/octet-stream",
        };
        let sink = LayerSink {
            hint,
            media_type,
            chunks,
            hashing,
            written: Arc::clone(&self.written),
            directory: self.directory,
        };
        let ready = self.ready;
        LayerWriter {
            hash,
            write,
            encoding,
            is_stored,
            jobs: &self.jobs,
            thread: self.scope.spawn(move || {
                let (layer, blob) = sink.run()?;
                if let Some(blob) = blob {
                    ready(blob);
                }
                Ok(layer)
            }),
        }
    }
}

/// Write half of one layer. Dropping it before [`LayerWriter::finish`] fails the layer.
pub(super) struct LayerWriter<'a, 'scope> {
    hash: Option<SyncSender<Bytes>>,
    write: SyncSender<Chunk>,
    encoding: Encoding,
    is_stored: bool,
    jobs: &'a SyncSender<Job>,
    thread: LayerThread<'scope>,
}

/// Returns the layer when all of it is written.
pub(super) type LayerThread<'scope> = ScopedJoinHandle<'scope, Result<Layer, Error>>;

impl<'scope> LayerWriter<'_, 'scope> {
    /// Adds a chunk; all but the last are whole members. `false` if the layer failed: its thread has the error.
    pub fn push(&self, bytes: Bytes) -> bool {
        if !self.hash(bytes.clone()) {
            return false;
        }
        if !self.is_stored {
            return true;
        }
        let (compressed, chunk) = sync_channel(1);
        if self.write.send(Chunk::Data(chunk)).is_err() {
            return false;
        }
        match self.encoding {
            Encoding::Tar => self.jobs.send(Job { bytes, compressed }).is_ok(),
            _ => compressed.send(Ok(bytes)).is_ok(),
        }
    }

    /// Hashes bytes of the layer for its diff id only; their compressed form follows in [`LayerWriter::write`].
    pub fn hash(&self, bytes: Bytes) -> bool {
        let hash = self.hash.as_ref();
        hash.is_none_or(|hash| hash.send(bytes).is_ok())
    }

    /// Writes bytes of a member as they are.
    pub fn write(&self, compressed: Bytes) -> bool {
        let (done, chunk) = sync_channel(1);
        done.send(Ok(compressed)).is_ok() && self.write.send(Chunk::Data(chunk)).is_ok()
    }

    /// Marks the layer as complete.
    pub fn finish(self) -> LayerThread<'scope> {
        // Fails if the layer failed; the thread has the error.
        let _ = self.write.send(Chunk::End);
        self.thread
    }
}

/// Compresses jobs until the queue closes.
fn work(compression: Compression, queue: &Mutex<Receiver<Job>>) {
    let mut compressor = Compressor::new(compression);
    loop {
        // Holds the lock while waiting, as a receiver cannot be shared.
        let job = queue.lock().expect("no holder panics").recv();
        let Ok(Job { bytes, compressed }) = job else {
            return;
        };
        let member = match &mut compressor {
            Ok(compressor) => compressor.member(&bytes),
            Err(error) => Err(io::Error::other(error.to_string())),
        };
        // Fails if the layer failed meanwhile.
        let _ = compressed.send(member);
    }
}
