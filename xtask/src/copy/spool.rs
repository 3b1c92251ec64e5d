//! The bytes of a blob while they are copied: one writer, any number of followers, each at its own pace.
//!
//! The writer reads the source once, as fast as it can, into a temporary file that has no name; a follower streams what
//! is there, waits for more, and may start again at byte 0: a retry at one destination costs the source nothing. Who
//! keeps up is served before the file, and reads nothing of it. A follower's stream ends without an error only after
//! the blob's digest was verified.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, OnceLock, Weak};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::sync::watch;

use super::error::SourceError;
use super::limits::{Limits, Reservation, SMALL_BLOB};
use super::result::{Event, Listener};
use super::written::Written;
use crate::buffer::{self, Buffer};
use crate::machine;
use crate::oci::Descriptor;
use crate::registry::{Blob, Repository};

/// Bytes that are read from the file at once; every follower holds one piece.
const PIECE: u64 = buffer::SIZE as u64;

/// Bytes of a piece, at least: what comes in smaller ones is gathered.
const SMALLEST: usize = 64 << 10;

/// Bytes that are written to the file at once, at least.
const STORED_AT_ONCE: u64 = 512 << 10;

/// One blob, filling or full.
pub(super) struct Spool {
    blob: Descriptor,
    reservation: Reservation,
    /// Set by the writer before there is anything to follow.
    store: OnceLock<Store>,
    state: watch::Sender<State>,
}

/// Where the bytes are.
pub(super) enum Store {
    Memory(Bytes),
    File(Arc<File>),
}

enum State {
    Filling(Written),
    Full,
    Failed(SourceError),
}

impl Spool {
    /// Starts to read `blob` from `source`. Reading stops when nobody holds the spool any more.
    pub fn start(
        blob: Descriptor,
        source: Repository,
        limits: Arc<Limits>,
        listener: Arc<dyn Listener>,
    ) -> Arc<Spool> {
        let spool = Arc::new(Spool {
            reservation: limits.reserve(blob.size),
            blob: blob.clone(),
            store: OnceLock::new(),
            state: watch::Sender::new(State::Filling(Written::default())),
        });
        let writer = Writer {
            spool: Arc::downgrade(&spool),
            blob,
            limits,
            listener,
        };
        tokio::spawn(async move {
            let state = match writer.fill(&source).await {
                Ok(()) => State::Full,
                Err(error) => State::Failed(error),
            };
            writer.update(|spool| drop(spool.state.send_replace(state)));
        });
        spool
    }

    /// A blob that was verified.
    pub fn verified(blob: Descriptor, store: Store) -> Arc<Spool> {
        Spool::new(blob, OnceLock::from(store), State::Full)
    }

    /// A blob that the source does not have.
    pub fn missing(blob: Descriptor) -> Arc<Spool> {
        let error = SourceError::NoBlob(blob.digest.clone());
        Spool::new(blob, OnceLock::new(), State::Failed(error))
    }

    fn new(blob: Descriptor, store: OnceLock<Store>, state: State) -> Arc<Spool> {
        Arc::new(Spool {
            blob,
            reservation: Reservation::External,
            store,
            state: watch::Sender::new(state),
        })
    }

    /// Whether it may be kept for destinations that have not asked for it yet.
    pub fn is_cached(&self) -> bool {
        !matches!(self.reservation, Reservation::Uncached)
    }

    fn is_in_memory(&self) -> bool {
        match self.reservation {
            Reservation::Memory(_) => true,
            Reservation::Uncached => self.blob.size <= SMALL_BLOB,
            Reservation::Disk(_) | Reservation::External => false,
        }
    }

    /// Why the blob could not be read, once that is known.
    pub fn failure(&self) -> Option<SourceError> {
        match &*self.state.borrow() {
            State::Failed(error) => Some(error.clone()),
            _ => None,
        }
    }

    /// The cause behind `reason`, the error that ended a stream of [`Spool::follow`].
    pub fn stream_error(&self, reason: String) -> SourceError {
        self.failure()
            .unwrap_or_else(|| no_spool(&self.blob, reason))
    }

    /// The blob from its first byte; [`Spool::stream_error`] explains an error.
    pub fn follow(self: &Arc<Self>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let state = self.state.subscribe();
        stream::try_unfold(
            (Arc::clone(self), state, 0),
            async |(spool, mut state, position)| {
                let has_more =
                    |state: &State| !matches!(state, State::Filling(it) if it.length <= position);
                let (ready, recent) =
                    match &*state.wait_for(has_more).await.map_err(io::Error::other)? {
                        State::Filling(written) => (written.stored, written.recent(position)),
                        State::Full => (spool.blob.size, None),
                        State::Failed(error) => return Err(io::Error::other(error.clone())),
                    };
                let piece = match recent {
                    Some(piece) => piece,
                    None if ready == position => return Ok(None),
                    None => spool.read(position, (ready - position).min(PIECE)).await?,
                };
                let next = position + piece.len() as u64;
                Ok(Some((piece, (spool, state, next))))
            },
        )
    }

    /// The whole of a small blob, once it was read.
    pub async fn whole(&self) -> Result<Bytes, SourceError> {
        let mut state = self.state.subscribe();
        let is_finished = |state: &State| !matches!(state, State::Filling(_));
        // Cannot fail: `self` holds the sender.
        let _ = state.wait_for(is_finished).await;
        match self.failure() {
            Some(error) => Err(error),
            None => {
                let read = self.read(0, self.blob.size).await;
                read.map_err(|error| no_spool(&self.blob, error.to_string()))
            }
        }
    }

    /// `length` bytes at `position`, which were written before.
    async fn read(&self, position: u64, length: u64) -> io::Result<Bytes> {
        match self.store.get() {
            Some(Store::File(file)) => {
                let file = Arc::clone(file);
                blocking(move || {
                    let mut piece = Buffer::take();
                    file.read_exact_at(&mut piece.bytes()[..length as usize], position)?;
                    Ok(piece.freeze(length as usize))
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

/// Fills a spool without keeping it alive.
struct Writer {
    spool: Weak<Spool>,
    blob: Descriptor,
    limits: Arc<Limits>,
    listener: Arc<dyn Listener>,
}

impl Writer {
    async fn fill(&self, source: &Repository) -> Result<(), SourceError> {
        let _permit = self.limits.read_limiter(self.blob.size).acquire().await;
        if self.spool.strong_count() == 0 {
            return Ok(());
        }
        let is_in_memory = self
            .spool
            .upgrade()
            .is_some_and(|spool| spool.is_in_memory());
        // Before anything is read of it.
        if let (false, Some(room)) = (is_in_memory, machine::room())
            && room < self.blob.size
        {
            let reason = format!("it has room for {room}; hint: `TMPDIR` names another folder");
            return Err(no_spool(&self.blob, reason));
        }
        let reader = source.get_blob(&self.blob).await?;
        let reader = reader.ok_or_else(|| SourceError::NoBlob(self.blob.digest.clone()))?;
        match is_in_memory {
            true => self.fill_memory(reader).await,
            false => self.fill_file(reader).await,
        }
    }

    async fn fill_memory(&self, mut reader: Blob) -> Result<(), SourceError> {
        let mut bytes = BytesMut::with_capacity(self.blob.size as usize);
        while let Some(chunk) = reader.chunk().await? {
            self.report_read(&chunk);
            bytes.extend_from_slice(&chunk);
        }
        self.set_store(Store::Memory(bytes.freeze()));
        Ok(())
    }

    async fn fill_file(&self, reader: Blob) -> Result<(), SourceError> {
        let failed = |error: io::Error| no_spool(&self.blob, error.to_string());
        let file = Arc::new(blocking(tempfile::tempfile).await.map_err(failed)?);
        self.set_store(Store::File(Arc::clone(&file)));
        let filled = self.copy_to_file(reader, &file).await;
        if let Err(error) = &filled {
            // First, so that a follower that meets the end of the file knows why.
            let failed = State::Failed(error.clone());
            self.update(|spool| drop(spool.state.send_replace(failed)));
            // Others may need the space while this spool is still held.
            let _ = blocking(move || file.set_len(0)).await;
        }
        filled
    }

    async fn copy_to_file(&self, mut reader: Blob, file: &Arc<File>) -> Result<(), SourceError> {
        let mut gathered = BytesMut::new();
        let mut waiting = Vec::new();
        let mut bytes = 0;
        let mut last: Option<Bytes> = None;
        let mut is_end = false;
        while !is_end && self.spool.strong_count() > 0 {
            let chunk = reader.chunk().await?;
            is_end = chunk.is_none();
            let chunk = chunk.unwrap_or_default();
            self.report_read(&chunk);
            let piece = match gathered.is_empty() && chunk.len() >= SMALLEST {
                true => chunk,
                false => {
                    gathered.extend_from_slice(&chunk);
                    match gathered.len() >= SMALLEST || is_end {
                        true => gathered.split().freeze(),
                        false => continue,
                    }
                }
            };
            bytes += piece.len() as u64;
            waiting.push(piece.clone());
            // The last piece is told when the digest was checked: with all its bytes an upload has ended.
            let told = match piece.is_empty() {
                true => None,
                false => last.replace(piece),
            };
            let told = told.into_iter().chain(last.take_if(|_| is_end));
            self.written(|written| told.for_each(|piece| written.push(piece)));
            if bytes >= STORED_AT_ONCE || is_end {
                let (file, pieces) = (Arc::clone(file), std::mem::take(&mut waiting));
                blocking(move || write_all(&file, &pieces))
                    .await
                    .map_err(|error| no_spool(&self.blob, error.to_string()))?;
                bytes = 0;
                self.written(Written::store);
            }
        }
        Ok(())
    }

    /// Changes what followers can read.
    fn written(&self, change: impl FnOnce(&mut Written)) {
        self.update(|spool| {
            spool.state.send_modify(|state| {
                if let State::Filling(written) = state {
                    change(written);
                }
            });
        });
    }

    fn report_read(&self, piece: &Bytes) {
        let bytes = piece.len() as u64;
        self.listener.on_event(Event::Read { bytes });
    }

    /// Changes the spool, unless nobody holds it any more.
    fn update(&self, change: impl FnOnce(&Spool)) {
        if let Some(spool) = self.spool.upgrade() {
            change(&spool);
        }
    }

    fn set_store(&self, store: Store) {
        self.update(|spool| drop(spool.store.set(store)));
    }
}

/// Appends the pieces to the file.
fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice> = pieces.iter().map(|it| IoSlice::new(it)).collect();
    let mut left = &mut slices[..];
    // Without those that are empty, which would look like a full disk.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_every_piece() {
        let file = tempfile::tempfile().unwrap();
        let piece = |length: u8| Bytes::from(vec![length; length.into()]);
        let many: Vec<Bytes> = (0..3000).map(|_| piece(3)).collect();
        write_all(&file, &many).unwrap();
        write_all(&file, &[piece(0), piece(2), piece(0)]).unwrap();
        write_all(&file, &[]).unwrap();
        let mut read = vec![0; 9002];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read[..9000], many.concat());
        assert_eq!(read[9000..], [2, 2]);
        assert_eq!(file.metadata().unwrap().len(), 9002);
    }
}
