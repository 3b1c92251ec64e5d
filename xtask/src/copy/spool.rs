//! The bytes of a blob while they are copied: one writer, any number of followers, each at its own pace.
//!
//! The writer reads the source once, as fast as it can, into a temporary file that has no name; a follower streams what
//! is there, waits for more, and may start again at byte 0: a retry at one destination costs the source nothing. Who
//! keeps up is served before the file, and reads nothing of it. A follower's stream ends without an error only after
//! the blob's digest was verified.
//!
//! A large blob that goes to one repository has no file, which would cost more than all else here: the writer waits
//! for its one follower, and a retry is another spool.

use std::io;
use std::sync::{Arc, OnceLock, Weak};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::error::SourceError;
use super::limits::{Limits, Reservation, SMALL_BLOB};
use super::pieces::Pieces;
use super::result::{Event, Listener};
use super::spool_file::{MOST_AT_ONCE, SpoolFile};
use super::written::Written;
use crate::machine;
use crate::oci::Descriptor;
use crate::registry::{Blob, Repository};

/// Bytes that a blob without a file is read ahead of its follower, at most, and a piece.
const AHEAD: u64 = 2 << 20;

/// Bytes that are written to the file at once, at least.
const STORED_AT_ONCE: u64 = 512 << 10;

/// One blob, filling or full.
pub(super) struct Spool {
    blob: Descriptor,
    reservation: Reservation,
    /// Set by the writer of an uncached one.
    room: OnceLock<OwnedSemaphorePermit>,
    /// Set by the writer before there is anything to follow.
    store: OnceLock<Store>,
    state: watch::Sender<State>,
    /// What the follower of a blob without a file has taken, in bytes.
    taken: watch::Sender<u64>,
}

/// Where the bytes are.
pub(super) enum Store {
    Memory(Bytes),
    File(SpoolFile),
}

#[derive(Default)]
struct State {
    written: Written,
    end: Option<Result<(), SourceError>>,
}

impl Spool {
    /// Starts to read `blob` from `source`. Reading stops when nobody holds the spool any more.
    pub fn start(
        blob: Descriptor,
        reservation: Reservation,
        source: Repository,
        limits: Arc<Limits>,
        listener: Arc<dyn Listener>,
    ) -> Arc<Spool> {
        let way = match reservation {
            Reservation::Memory(_) => Way::Memory,
            Reservation::Uncached if blob.size <= SMALL_BLOB => Way::Memory,
            Reservation::Uncached => Way::File { is_cached: false },
            Reservation::Disk(_) | Reservation::External => Way::File { is_cached: true },
            Reservation::Passing => Way::Passing,
        };
        let spool = Spool::new(blob.clone(), reservation, OnceLock::new(), State::default());
        let writer = Writer {
            spool: Arc::downgrade(&spool),
            taken: spool.taken.subscribe(),
            way,
            blob,
            limits,
            listener,
        };
        tokio::spawn(async move {
            let mut writer = writer;
            let end = writer.fill(&source).await;
            writer.end(end);
        });
        spool
    }

    /// A blob that was verified.
    pub fn verified(blob: Descriptor, store: Store) -> Arc<Spool> {
        Spool::ended(blob, OnceLock::from(store), Ok(()))
    }

    /// A blob that the source does not have.
    pub fn missing(blob: Descriptor) -> Arc<Spool> {
        let error = SourceError::NoBlob(blob.digest.clone());
        Spool::ended(blob, OnceLock::new(), Err(error))
    }

    fn ended(blob: Descriptor, store: OnceLock<Store>, end: Result<(), SourceError>) -> Arc<Spool> {
        let state = State {
            end: Some(end),
            ..State::default()
        };
        Spool::new(blob, Reservation::External, store, state)
    }

    fn new(
        blob: Descriptor,
        reservation: Reservation,
        store: OnceLock<Store>,
        state: State,
    ) -> Arc<Spool> {
        Arc::new(Spool {
            blob,
            reservation,
            room: OnceLock::new(),
            store,
            state: watch::Sender::new(state),
            taken: watch::Sender::default(),
        })
    }

    /// Whether it may be kept for destinations that have not asked for it yet.
    pub fn is_cached(&self) -> bool {
        !matches!(
            self.reservation,
            Reservation::Uncached | Reservation::Passing
        )
    }

    fn is_passing(&self) -> bool {
        matches!(self.reservation, Reservation::Passing)
    }

    /// Whether it can be followed once more.
    pub fn is_usable(&self) -> bool {
        !self.is_passing() && self.failure().is_none()
    }

    /// Why the blob could not be read, once that is known.
    fn failure(&self) -> Option<SourceError> {
        self.state.borrow().end.clone()?.err()
    }

    /// The cause behind `reason`, the error that ended a stream of [`Spool::follow`].
    pub fn stream_error(&self, reason: String) -> SourceError {
        self.failure()
            .unwrap_or_else(|| no_spool(&self.blob, reason))
    }

    /// The blob from its first byte; [`Spool::stream_error`] explains an error.
    pub fn follow(self: &Arc<Self>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let start = (Arc::clone(self), self.state.subscribe(), 0);
        stream::try_unfold(start, move |(spool, mut state, position)| async move {
            if spool.is_passing() {
                spool.taken.send_replace(position);
            }
            let piece = spool.piece(&mut state, position).await?;
            Ok(piece.map(|piece| {
                let next = position + piece.len() as u64;
                (piece, (spool, state, next))
            }))
        })
    }

    /// The piece at `position`, once it is there; `None` at the end.
    async fn piece(
        &self,
        state: &mut watch::Receiver<State>,
        position: u64,
    ) -> io::Result<Option<Bytes>> {
        let has_more = |it: &State| it.end.is_some() || it.written.length > position;
        let (ready, recent) = {
            let state = state.wait_for(has_more).await.map_err(io::Error::other)?;
            let ready = match &state.end {
                Some(Err(error)) => return Err(io::Error::other(error.clone())),
                Some(Ok(())) => self.blob.size,
                None => state.written.stored,
            };
            (ready, state.written.recent(position))
        };
        match recent {
            Some(piece) => Ok(Some(piece)),
            None if ready == position => Ok(None),
            None => {
                let length = (ready - position).min(MOST_AT_ONCE);
                self.read(position, length).await.map(Some)
            }
        }
    }

    /// The whole of a small blob, once it was read.
    pub async fn whole(self: &Arc<Self>) -> Result<Bytes, SourceError> {
        let pieces: Result<Vec<Bytes>, _> = self.follow().try_collect().await;
        let pieces = pieces.map_err(|error| self.stream_error(error.to_string()))?;
        Ok(match <[Bytes; 1]>::try_from(pieces) {
            Ok([whole]) => whole,
            Err(pieces) => pieces.concat().into(),
        })
    }

    /// `length` bytes at `position`, which were written before.
    async fn read(&self, position: u64, length: u64) -> io::Result<Bytes> {
        match self.store.get() {
            Some(Store::File(file)) => file.read(position, length).await,
            Some(Store::Memory(bytes)) => {
                Ok(bytes.slice(position as usize..(position + length) as usize))
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Where the writer puts the bytes.
enum Way {
    Memory,
    File {
        is_cached: bool,
    },
    /// Nowhere but to the follower.
    Passing,
}

/// Fills a spool without keeping it alive.
struct Writer {
    spool: Weak<Spool>,
    taken: watch::Receiver<u64>,
    way: Way,
    blob: Descriptor,
    limits: Arc<Limits>,
    listener: Arc<dyn Listener>,
}

impl Writer {
    async fn fill(&mut self, source: &Repository) -> Result<(), SourceError> {
        let limits = Arc::clone(&self.limits);
        if let Way::File { is_cached: false } = self.way
            && let Some(room) = limits.room(self.blob.size).await
        {
            self.update(|spool| drop(spool.room.set(room)));
        }
        let _permit = match self.way {
            // Its follower may be slow, and others wait for a permit.
            Way::Passing => None,
            _ => limits.read_limiter(self.blob.size).acquire().await.ok(),
        };
        if self.spool.strong_count() == 0 {
            return Ok(());
        }
        // Before anything is read of it.
        if let (Way::File { .. }, Some(room)) = (&self.way, machine::room())
            && room < self.blob.size
        {
            let reason = format!("it has room for {room}; hint: `TMPDIR` names another folder");
            return Err(no_spool(&self.blob, reason));
        }
        let reader = source.get_blob(&self.blob).await?;
        let reader = reader.ok_or_else(|| SourceError::NoBlob(self.blob.digest.clone()))?;
        match self.way {
            Way::Memory => self.fill_memory(reader).await,
            Way::File { .. } => self.fill_file(reader).await,
            Way::Passing => self.pass(reader).await,
        }
    }

    async fn fill_memory(&self, mut reader: Blob) -> Result<(), SourceError> {
        let mut bytes = BytesMut::with_capacity(self.blob.size as usize);
        while let Some(chunk) = reader.chunk().await? {
            self.report_read(chunk.len());
            bytes.extend_from_slice(&chunk);
        }
        self.set_store(Store::Memory(bytes.freeze()));
        Ok(())
    }

    /// Reads [`AHEAD`] of the follower.
    async fn pass(&mut self, reader: Blob) -> Result<(), SourceError> {
        let mut pieces = Pieces::of(reader);
        let mut length = 0;
        while let Some(piece) = pieces.next(|bytes| self.report_read(bytes)).await? {
            length += piece.len() as u64;
            self.write(|written| written.push(piece));
            let has_space = |taken: &u64| length - taken <= AHEAD;
            let Ok(taken) = self.taken.wait_for(has_space).await.map(|taken| *taken) else {
                return Ok(()); // Nobody holds the spool.
            };
            self.write(|written| written.forget(taken));
        }
        Ok(())
    }

    async fn fill_file(&self, reader: Blob) -> Result<(), SourceError> {
        let failed = |error: io::Error| no_spool(&self.blob, error.to_string());
        let file = SpoolFile::create().await.map_err(failed)?;
        self.set_store(Store::File(file.clone()));
        let filled = self.copy_to_file(reader, &file).await;
        if filled.is_err() {
            // First, so that a follower that meets the end of the file knows why.
            self.end(filled.clone());
            // Others may need the space while this spool is still held.
            let _ = file.clear().await;
        }
        filled
    }

    async fn copy_to_file(&self, reader: Blob, file: &SpoolFile) -> Result<(), SourceError> {
        let mut pieces = Pieces::of(reader);
        let mut waiting = Vec::new();
        let mut bytes = 0;
        let mut is_end = false;
        while !is_end && self.spool.strong_count() > 0 {
            match pieces.next(|bytes| self.report_read(bytes)).await? {
                Some(piece) => {
                    bytes += piece.len() as u64;
                    waiting.push(piece.clone());
                    self.write(|written| written.push(piece));
                }
                None => is_end = true,
            }
            if bytes >= STORED_AT_ONCE || is_end {
                let stored = file.append(std::mem::take(&mut waiting)).await;
                stored.map_err(|error| no_spool(&self.blob, error.to_string()))?;
                bytes = 0;
                self.write(Written::store);
            }
        }
        Ok(())
    }

    /// Changes what followers can read.
    fn write(&self, change: impl FnOnce(&mut Written)) {
        self.update(|spool| spool.state.send_modify(|state| change(&mut state.written)));
    }

    /// Tells followers how it ended. What is stored is not held in memory any longer.
    fn end(&self, end: Result<(), SourceError>) {
        self.update(|spool| {
            spool.state.send_modify(|state| {
                state.end = Some(end);
                if spool.store.get().is_some() {
                    state.written = Written::default();
                }
            });
        });
    }

    fn report_read(&self, bytes: usize) {
        let bytes = bytes as u64;
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

fn no_spool(blob: &Descriptor, reason: String) -> SourceError {
    SourceError::NoSpool {
        directory: tempfile::env::temp_dir().display().to_string(),
        size: blob.size,
        digest: blob.digest.clone(),
        reason,
    }
}
