//! A blob on its way: one writer, any number of followers, each at its own pace.
//!
//! The writer reads the source once, as fast as it can, into a temporary file that has no name; a follower streams what
//! is there, waits for more, and may begin again at byte 0, so that a retry at one destination costs the source nothing.
//! It refuses to know destinations. Invariant: a follower's stream ends well only after the blob's digest was verified.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::registry::{Descriptor, Repository};

/// What is read or written at once, in bytes; every follower holds one piece.
const PIECE: usize = 256 << 10;

/// A blob up to this size stays in memory, in bytes: most configs, and no layer worth a file.
const SMALL: u64 = 32 << 10;

/// One blob, filling or full.
pub(super) struct Spool {
    store: Store,
    state: watch::Sender<State>,
}

enum Store {
    Memory(std::sync::Mutex<Bytes>),
    File(File),
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// So many bytes can be followed.
    Filling(u64),
    Full,
    Failed(String),
}

impl Spool {
    /// Begins to fetch `blob` from `source`. Fetching stops when nobody holds the spool any more.
    pub fn start(
        source: Repository,
        blob: Descriptor,
        lane: Arc<Semaphore>,
        read: impl FnOnce(u64) + Send + 'static,
    ) -> io::Result<Arc<Spool>> {
        let store = match blob.size {
            ..=SMALL => Store::Memory(std::sync::Mutex::default()),
            _ => Store::File(tempfile::tempfile()?),
        };
        let spool = Arc::new(Spool {
            store,
            state: watch::Sender::new(State::Filling(0)),
        });
        let weak = Arc::downgrade(&spool);
        tokio::spawn(async move {
            let filled = fill(&weak, &source, &blob, lane).await;
            if let Some(spool) = weak.upgrade() {
                read(blob.size);
                spool.state.send_replace(match filled {
                    Ok(()) => State::Full,
                    Err(reason) => State::Failed(reason),
                });
            }
        });
        Ok(spool)
    }

    /// The blob from its first byte.
    pub fn follow(self: &Arc<Self>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let state = self.state.subscribe();
        stream::try_unfold(
            (Arc::clone(self), state, 0),
            async |(spool, mut state, position)| {
                loop {
                    let seen = state.borrow_and_update().clone();
                    let ready = match seen {
                        State::Filling(ready) => ready,
                        State::Full => u64::MAX,
                        State::Failed(reason) => return Err(io::Error::other(reason)),
                    };
                    if ready > position {
                        let piece = spool.read(position, ready - position).await?;
                        let next = position + piece.len() as u64;
                        return Ok((!piece.is_empty()).then_some((piece, (spool, state, next))));
                    }
                    // The spool itself holds the sender, so this only ends with news.
                    state.changed().await.map_err(io::Error::other)?;
                }
            },
        )
    }

    /// Whether nobody will ever get the blob from here.
    pub fn has_failed(&self) -> bool {
        matches!(&*self.state.borrow(), State::Failed(_))
    }

    /// A small blob, once it is there; `None` for one that is in a file.
    pub async fn small(&self) -> io::Result<Option<Bytes>> {
        let Store::Memory(bytes) = &self.store else {
            return Ok(None);
        };
        let mut state = self.state.subscribe();
        let ended = state
            .wait_for(|state| !matches!(state, State::Filling(_)))
            .await
            .map_err(io::Error::other)?;
        match &*ended {
            State::Failed(reason) => Err(io::Error::other(reason.clone())),
            _ => Ok(Some(bytes.lock().expect("no holder panics").clone())),
        }
    }

    /// Up to a [`PIECE`] and up to `most` bytes at `position`; nothing at the end.
    async fn read(self: &Arc<Self>, position: u64, most: u64) -> io::Result<Bytes> {
        let length = (PIECE as u64).min(most) as usize;
        match &self.store {
            Store::Memory(bytes) => {
                let bytes = bytes.lock().expect("no holder panics");
                let from = bytes.len().min(position as usize);
                Ok(bytes.slice(from..bytes.len().min(from + length)))
            }
            Store::File(_) => {
                let spool = Arc::clone(self);
                let read = tokio::task::spawn_blocking(move || {
                    let Store::File(file) = &spool.store else {
                        unreachable!("the store does not change")
                    };
                    let mut piece = BytesMut::zeroed(length);
                    let read = file.read_at(&mut piece, position)?;
                    piece.truncate(read);
                    Ok(piece.freeze())
                });
                read.await.map_err(io::Error::other)?
            }
        }
    }

    async fn write(self: &Arc<Self>, position: u64, piece: Bytes) -> io::Result<()> {
        match &self.store {
            Store::Memory(bytes) => {
                let mut bytes = bytes.lock().expect("no holder panics");
                *bytes = [&bytes[..], &piece[..]].concat().into();
                Ok(())
            }
            Store::File(_) => {
                let spool = Arc::clone(self);
                let write = tokio::task::spawn_blocking(move || {
                    let Store::File(file) = &spool.store else {
                        unreachable!("the store does not change")
                    };
                    file.write_all_at(&piece, position)
                });
                write.await.map_err(io::Error::other)?
            }
        }
    }
}

/// Reads the blob into the spool; the error is a sentence.
async fn fill(
    spool: &Weak<Spool>,
    source: &Repository,
    blob: &Descriptor,
    lane: Arc<Semaphore>,
) -> Result<(), String> {
    let _permit: OwnedSemaphorePermit = lane
        .acquire_owned()
        .await
        .map_err(|error| error.to_string())?;
    let opened = source
        .get_blob(blob)
        .await
        .map_err(|error| error.to_string())?;
    let mut reader =
        opened.ok_or_else(|| format!("the source does not have the blob {}", blob.digest))?;
    let mut buffer = BytesMut::with_capacity(PIECE);
    let mut position = 0;
    loop {
        let chunk = reader.chunk().await.map_err(|error| error.to_string())?;
        let is_end = chunk.is_none();
        buffer.extend_from_slice(&chunk.unwrap_or_default());
        if buffer.len() >= PIECE || is_end {
            let Some(spool) = spool.upgrade() else {
                return Err("nobody wants it any more".to_owned());
            };
            let piece = std::mem::replace(&mut buffer, BytesMut::with_capacity(PIECE)).freeze();
            let length = piece.len() as u64;
            spool.write(position, piece).await.map_err(|error| {
                format!(
                    "`{}` cannot take the {} bytes of {}: {error}",
                    std::env::temp_dir().display(),
                    blob.size,
                    blob.digest
                )
            })?;
            position += length;
            if is_end {
                return Ok(());
            }
            spool.state.send_replace(State::Filling(position));
        }
    }
}
