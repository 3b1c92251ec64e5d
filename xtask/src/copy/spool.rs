//! A blob on its way: one writer, any number of followers, each at its own pace.
//!
//! The writer reads the source once, as fast as it can, into a temporary file that has no name; a follower streams what
//! is there, waits for more, and may begin again at byte 0, so that a retry at one destination costs the source nothing.
//! It refuses to know destinations. Invariant: a follower's stream ends well only after the blob's digest was verified.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, OnceLock, Weak};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::sync::watch;

use super::blob_cache::{BlobCache, Reservation};
use super::error::SourceError;
use crate::oci::Descriptor;
use crate::registry::{Blob, Repository};

/// What is read or written at once, in bytes; every follower holds one piece.
const PIECE: u64 = 256 << 10;

/// So many pieces stay in memory behind the writer: whoever keeps up needs no read.
const RECENT: usize = 2;

/// A blob up to this size, in bytes, is small: it stays in memory as long as there is room, and is uploaded in one
/// request. All configs, and no layer worth a file.
pub(super) const SMALL: u64 = 128 << 10;

/// One blob, filling or full.
pub(super) struct Spool {
    blob: Descriptor,
    room: Reservation,
    /// Made by the writer, before anything can be followed.
    store: OnceLock<Store>,
    state: watch::Sender<State>,
}

enum Store {
    Memory(Bytes),
    File(Arc<File>),
}

enum State {
    Filling(Written),
    Full,
    Failed(SourceError),
}

/// What can be followed so far.
#[derive(Default)]
struct Written {
    /// In bytes.
    length: u64,
    /// The last pieces, in their order.
    recent: VecDeque<Bytes>,
}

impl Written {
    fn push(&mut self, piece: Bytes) {
        self.length += piece.len() as u64;
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(piece);
    }

    /// The bytes from `position` to the end of their piece, if they are in memory.
    fn recent(&self, position: u64) -> Option<Bytes> {
        let mut start = self.length;
        self.recent.iter().rev().find_map(|piece| {
            start -= piece.len() as u64;
            let skip = position.checked_sub(start)?;
            Some(piece.slice(skip as usize..))
        })
    }
}

impl Spool {
    /// Begins to fetch `blob` from `source`. Fetching stops when nobody holds the spool any more.
    pub fn start(cache: Arc<BlobCache>, source: Repository, blob: Descriptor) -> Arc<Spool> {
        let spool = Arc::new(Spool {
            room: cache.reserve(blob.size),
            blob,
            store: OnceLock::new(),
            state: watch::Sender::new(State::Filling(Written::default())),
        });
        let weak = Arc::downgrade(&spool);
        let writer = Writer {
            spool: weak,
            blob: spool.blob.clone(),
            cache,
        };
        tokio::spawn(async move {
            let state = match writer.fill(&source).await {
                Ok(()) => State::Full,
                Err(error) => State::Failed(error),
            };
            writer.end(state);
        });
        spool
    }

    /// A blob that is there.
    pub fn of_file(blob: Descriptor, file: Arc<File>) -> Arc<Spool> {
        Spool::over(blob, Some(Store::File(file)), State::Full)
    }

    /// A small blob that is there.
    pub fn of_bytes(blob: Descriptor, bytes: Bytes) -> Arc<Spool> {
        Spool::over(blob, Some(Store::Memory(bytes)), State::Full)
    }

    /// A blob that cannot be had.
    pub fn missing(blob: Descriptor) -> Arc<Spool> {
        let error = SourceError::NoBlob(blob.digest.clone());
        Spool::over(blob, None, State::Failed(error))
    }

    fn over(blob: Descriptor, store: Option<Store>, state: State) -> Arc<Spool> {
        Arc::new(Spool {
            blob,
            room: Reservation::External,
            store: store.map_or_else(OnceLock::new, OnceLock::from),
            state: watch::Sender::new(state),
        })
    }

    pub fn blob(&self) -> &Descriptor {
        &self.blob
    }

    /// Whether it is worth keeping for places that have not come to it yet; see [`Reservation`].
    pub fn is_kept(&self) -> bool {
        !matches!(self.room, Reservation::Uncached)
    }

    /// Why nobody will ever get the blob from here, if that is so.
    pub fn failure(&self) -> Option<SourceError> {
        match &*self.state.borrow() {
            State::Failed(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// Why a stream of it ended with `reason`.
    pub fn why(&self, reason: String) -> SourceError {
        self.failure()
            .unwrap_or_else(|| no_spool(&self.blob, reason))
    }

    /// The blob from its first byte. What its error says, [`Spool::why`] tells better.
    pub fn follow(self: &Arc<Self>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let state = self.state.subscribe();
        stream::try_unfold(
            (Arc::clone(self), state, 0),
            async |(spool, mut state, position)| {
                let is_news =
                    |state: &State| !matches!(state, State::Filling(it) if it.length <= position);
                let (ready, recent) =
                    match &*state.wait_for(is_news).await.map_err(io::Error::other)? {
                        State::Filling(written) => (written.length, written.recent(position)),
                        State::Full => (spool.blob.size, None),
                        State::Failed(error) => return Err(io::Error::other(error.clone())),
                    };
                if ready == position {
                    return Ok(None);
                }
                let piece = match recent {
                    Some(piece) => piece,
                    None => spool.read(position, (ready - position).min(PIECE)).await?,
                };
                let next = position + piece.len() as u64;
                Ok(Some((piece, (spool, state, next))))
            },
        )
    }

    /// The whole of a small blob, once it is there.
    pub async fn whole(&self) -> Result<Bytes, SourceError> {
        let mut state = self.state.subscribe();
        let is_over = |state: &State| !matches!(state, State::Filling(_));
        // The sender is in `self`: it is not gone while this waits.
        let _ = state.wait_for(is_over).await;
        match self.failure() {
            Some(error) => Err(error),
            None => {
                let read = self.read(0, self.blob.size).await;
                read.map_err(|error| no_spool(&self.blob, error.to_string()))
            }
        }
    }

    /// `length` bytes at `position`, which are there.
    async fn read(&self, position: u64, length: u64) -> io::Result<Bytes> {
        match self.store.get() {
            Some(Store::File(file)) => {
                let file = Arc::clone(file);
                blocking(move || {
                    let mut piece = BytesMut::zeroed(length as usize);
                    file.read_exact_at(&mut piece, position)?;
                    Ok(piece.freeze())
                })
                .await
            }
            Some(Store::Memory(bytes)) => {
                Ok(bytes.slice(position as usize..(position + length) as usize))
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The writer of a spool, which does not keep it alive.
struct Writer {
    spool: Weak<Spool>,
    blob: Descriptor,
    cache: Arc<BlobCache>,
}

impl Writer {
    async fn fill(&self, source: &Repository) -> Result<(), SourceError> {
        let _permit = self.cache.read_limiter(self.blob.size).acquire().await;
        if self.spool.strong_count() == 0 {
            return Ok(());
        }
        let reader = source.get_blob(&self.blob).await?;
        let reader = reader.ok_or_else(|| SourceError::NoBlob(self.blob.digest.clone()))?;
        let room = self.spool.upgrade();
        match room.is_some_and(|spool| matches!(spool.room, Reservation::Memory(_))) {
            true => self.fill_memory(reader).await,
            false => self.fill_file(reader).await,
        }
    }

    async fn fill_memory(&self, mut reader: Blob) -> Result<(), SourceError> {
        let mut bytes = BytesMut::with_capacity(self.blob.size as usize);
        while let Some(chunk) = reader.chunk().await? {
            self.cache.read(chunk.len() as u64);
            bytes.extend_from_slice(&chunk);
        }
        self.keep(Store::Memory(bytes.freeze()));
        Ok(())
    }

    async fn fill_file(&self, reader: Blob) -> Result<(), SourceError> {
        let failed = |error: io::Error| no_spool(&self.blob, error.to_string());
        let file = Arc::new(blocking(tempfile::tempfile).await.map_err(failed)?);
        self.keep(Store::File(Arc::clone(&file)));
        let filled = self.pour(reader, &file).await;
        if filled.is_err() {
            // Others may need the space while this spool is still held.
            let _ = blocking(move || file.set_len(0)).await;
        }
        filled
    }

    async fn pour(&self, mut reader: Blob, file: &Arc<File>) -> Result<(), SourceError> {
        let mut position = 0;
        let mut buffer = BytesMut::new();
        let mut is_end = false;
        while !is_end && self.spool.strong_count() > 0 {
            let chunk = reader.chunk().await?;
            is_end = chunk.is_none();
            if buffer.is_empty() {
                buffer.reserve(2 * PIECE as usize);
            }
            buffer.extend_from_slice(&chunk.unwrap_or_default());
            if buffer.len() as u64 >= PIECE || is_end {
                let piece = buffer.split().freeze();
                let (file, written) = (Arc::clone(file), piece.clone());
                blocking(move || file.write_all_at(&written, position))
                    .await
                    .map_err(|error| no_spool(&self.blob, error.to_string()))?;
                position += piece.len() as u64;
                self.cache.read(piece.len() as u64);
                self.tell(piece);
            }
        }
        Ok(())
    }

    fn keep(&self, store: Store) {
        if let Some(spool) = self.spool.upgrade() {
            let _ = spool.store.set(store);
        }
    }

    fn tell(&self, piece: Bytes) {
        if let Some(spool) = self.spool.upgrade() {
            spool.state.send_modify(|state| {
                if let State::Filling(written) = state {
                    written.push(piece);
                }
            });
        }
    }

    fn end(&self, state: State) {
        if let Some(spool) = self.spool.upgrade() {
            spool.state.send_replace(state);
        }
    }
}

fn no_spool(blob: &Descriptor, reason: String) -> SourceError {
    SourceError::NoSpool {
        directory: tempfile::env::temp_dir().display().to_string(),
        size: blob.size,
        digest: blob.digest.clone(),
        reason,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
