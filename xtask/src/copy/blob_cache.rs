//! The spools of a run: one for each blob that is wanted at the moment, whichever images and places want it.
//!
//! It refuses to know who wants what. Invariant: of one blob there is one spool at a time, and what is kept for places
//! that have not come to it yet has an upper bound, so that a slow destination fills neither disk nor memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::result::{Event, Listener};
use super::spool::{SMALL, Spool};
use crate::oci::{Descriptor, Digest};
use crate::registry::Repository;

/// Large blobs that are read from the sources at once.
const READS: usize = 8;

/// Small blobs that are read from the sources at once.
const SMALL_READS: usize = 32;

/// The room for small blobs in memory, in units of [`UNIT`] bytes: 8 MiB.
const MEMORY: u32 = 8 << 10;
const UNIT: u64 = 1 << 10;

/// The room for kept files, in slots of [`SLOT`] bytes: 8 GiB or 256 files, for each is an open one.
const SLOTS: u32 = 256;
const SLOT: u64 = 32 << 20;

pub(super) struct BlobCache {
    spools: Mutex<HashMap<Digest, Weak<Spool>>>,
    memory: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    reads: Semaphore,
    small_reads: Semaphore,
    listener: Arc<dyn Listener>,
}

/// Where a blob is kept while it is on its way.
pub(super) enum Reservation {
    Memory(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    Disk(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    /// Whoever made the blob keeps it.
    External,
    /// There is no room left: in a file, and only as long as somebody reads it.
    Uncached,
}

impl BlobCache {
    pub fn new(listener: Arc<dyn Listener>) -> Arc<Self> {
        Arc::new(BlobCache {
            spools: Mutex::default(),
            memory: Arc::new(Semaphore::new(MEMORY as usize)),
            slots: Arc::new(Semaphore::new(SLOTS as usize)),
            reads: Semaphore::new(READS),
            small_reads: Semaphore::new(SMALL_READS),
            listener,
        })
    }

    /// The spool of `blob`, begun to be read from `source` if there is none.
    pub fn spool(self: &Arc<Self>, source: &Repository, blob: &Descriptor) -> Arc<Spool> {
        let mut spools = self.spools.lock().expect("no holder panics");
        let found = spools.get(&blob.digest).and_then(Weak::upgrade);
        if let Some(spool) = found.filter(|spool| spool.failure().is_none()) {
            return spool;
        }
        let spool = Spool::start(Arc::clone(self), source.clone(), blob.clone());
        spools.insert(blob.digest.clone(), Arc::downgrade(&spool));
        spool
    }

    /// Reservation for a blob of `size` bytes.
    pub fn reserve(&self, size: u64) -> Reservation {
        let take = |room: &Arc<Semaphore>, units: u64, all: u32| {
            // What is larger than all the room may have all of it.
            let units = u32::try_from(units).unwrap_or(all).clamp(1, all);
            Arc::clone(room).try_acquire_many_owned(units)
        };
        if size <= SMALL
            && let Ok(room) = take(&self.memory, size.div_ceil(UNIT), MEMORY)
        {
            return Reservation::Memory(room);
        }
        take(&self.slots, size.div_ceil(SLOT), SLOTS)
            .map_or(Reservation::Uncached, Reservation::Disk)
    }

    /// The lane that reads blobs of `size` bytes.
    pub fn read_limiter(&self, size: u64) -> &Semaphore {
        match size {
            ..=SMALL => &self.small_reads,
            _ => &self.reads,
        }
    }

    /// Tells that so many bytes were read from a source.
    pub fn read(&self, bytes: u64) {
        self.listener.event(Event::Read { bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NullListener;

    impl Listener for NullListener {
        fn event(&self, _: Event<'_>) {}
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_given_back_can_be_had_again() {
        let cache = BlobCache::new(Arc::new(NullListener));
        let small: Vec<Reservation> = (0..64).map(|_| cache.reserve(SMALL)).collect();
        assert!(
            small
                .iter()
                .all(|room| matches!(room, Reservation::Memory(_)))
        );
        // Memory is used up; small blobs go to files now.
        let files: Vec<Reservation> = (0..SLOTS).map(|_| cache.reserve(1)).collect();
        assert!(
            files
                .iter()
                .all(|room| matches!(room, Reservation::Disk(_)))
        );
        assert!(matches!(cache.reserve(SLOT), Reservation::Uncached));
        drop(files);
        let huge = cache.reserve(u64::MAX);
        assert!(matches!(huge, Reservation::Disk(_)));
        assert!(matches!(cache.reserve(SLOT), Reservation::Uncached));
    }
}
