//! The table of limits: on what a run reads at once and keeps of it, so that a slow destination fills neither memory
//! nor disk, and on one image, so that what a source makes up fills them neither.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::LimitError;
use crate::oci::{Content, Manifest};

/// Indexes inside each other; real ones have two.
pub(super) const DEPTH: usize = 32;

/// What one index lists, and the layers of one image. Engines take 127 layers; artifacts and build caches have more.
const CHILDREN: usize = 10_000;
const LAYERS: usize = 10_000;

/// Manifests of one image with everything below it, what all of them list, and their bytes.
const MANIFESTS: usize = 10_000;
const ENTRIES: usize = 50_000;
const MANIFEST_BYTES: usize = 32 << 20;

/// Bytes that a blob may claim to have: 16 TiB, more than any registry takes, so that no sum of them overflows.
const BLOB: u64 = 1 << 44;

/// Manifests that are read, and blobs and manifests that are asked for or sent, at once for one image.
pub(super) const MANIFEST_READS: usize = 8;
pub(super) const FAN_OUT: usize = 32;

/// A blob up to this size, in bytes, is small: it stays in memory if there is room, and is uploaded in one request. All
/// configs, and no layer worth a file.
pub(super) const SMALL_BLOB: u64 = 128 << 10;

/// Large and small blobs that are read from the sources at once.
const READS: usize = 8;
const SMALL_READS: usize = 32;

/// Memory for small blobs, in units of [`MEMORY_UNIT`] bytes: 8 MiB.
const MEMORY: u32 = 8 << 10;
const MEMORY_UNIT: u64 = 1 << 10;

/// Disk for spooled files, in units of [`DISK_UNIT`] bytes: 8 GiB or 256 files, as each is an open one.
const DISK: u32 = 256;
const DISK_UNIT: u64 = 32 << 20;

pub(super) struct Limits {
    memory: Arc<Semaphore>,
    disk: Arc<Semaphore>,
    reads: Semaphore,
    small_reads: Semaphore,
}

/// Where a spool may keep its blob.
pub(super) enum Reservation {
    Memory(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    Disk(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    /// The blob belongs to a pending image, which keeps it anyway.
    External,
    /// The disk limit is reached: in a file that is dropped with its last reader.
    Uncached,
}

impl Limits {
    pub fn new() -> Arc<Self> {
        Arc::new(Limits {
            memory: Arc::new(Semaphore::new(MEMORY as usize)),
            disk: Arc::new(Semaphore::new(DISK as usize)),
            reads: Semaphore::new(READS),
            small_reads: Semaphore::new(SMALL_READS),
        })
    }

    /// A reservation for a blob of `size` bytes.
    pub fn reserve(&self, size: u64) -> Reservation {
        let take = |limit: &Arc<Semaphore>, units: u64, all: u32| {
            // A blob larger than the whole limit takes all of it.
            let units = u32::try_from(units).unwrap_or(all).clamp(1, all);
            Arc::clone(limit).try_acquire_many_owned(units)
        };
        if size <= SMALL_BLOB
            && let Ok(permit) = take(&self.memory, size.div_ceil(MEMORY_UNIT), MEMORY)
        {
            return Reservation::Memory(permit);
        }
        take(&self.disk, size.div_ceil(DISK_UNIT), DISK)
            .map_or(Reservation::Uncached, Reservation::Disk)
    }

    /// Limits the concurrent reads of blobs of `size` bytes.
    pub fn read_limiter(&self, size: u64) -> &Semaphore {
        match size {
            ..=SMALL_BLOB => &self.small_reads,
            _ => &self.reads,
        }
    }
}

/// Counts what is read of one image.
#[derive(Default)]
pub(super) struct ImageCount {
    manifests: usize,
    entries: usize,
    bytes: usize,
}

impl ImageCount {
    /// One more manifest, before it is parsed.
    pub fn add(&mut self, manifest: &Manifest) -> Result<(), LimitError> {
        self.manifests += 1;
        self.bytes += manifest.bytes().len();
        within("manifests", self.manifests, MANIFESTS)?;
        within("bytes of manifests", self.bytes, MANIFEST_BYTES)
    }

    /// What it lists.
    pub fn add_content(&mut self, content: &Content) -> Result<(), LimitError> {
        let (blobs, config) = match content {
            Content::Index(index) => {
                within("manifests in one index", index.manifests.len(), CHILDREN)?;
                (&index.manifests, None)
            }
            Content::Image(image) => {
                within("layers", image.layers.len(), LAYERS)?;
                (&image.layers, Some(&image.config))
            }
        };
        self.entries += blobs.len();
        within("layers and manifests in all", self.entries, ENTRIES)?;
        match blobs.iter().chain(config).find(|blob| blob.size > BLOB) {
            Some(blob) => Err(LimitError::Blob {
                digest: blob.digest.clone(),
                size: blob.size,
                limit: BLOB,
            }),
            None => Ok(()),
        }
    }
}

/// Whether manifests may be met that often by somebody who follows every entry.
pub(super) fn within_visits(visits: usize) -> Result<(), LimitError> {
    within(
        "manifests, one for each entry that leads to it",
        visits,
        MANIFESTS,
    )
}

/// Whether `count` of `what` is allowed.
pub(super) fn within(what: &'static str, count: usize, limit: usize) -> Result<(), LimitError> {
    match count > limit {
        true => Err(LimitError::Image { what, limit }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_are_bounded_and_returned_ones_can_be_had_again() {
        let limits = Limits::new();
        let small: Vec<Reservation> = (0..64).map(|_| limits.reserve(SMALL_BLOB)).collect();
        let is_memory = |it: &Reservation| matches!(it, Reservation::Memory(_));
        assert!(small.iter().all(is_memory));
        // Memory is used up; small blobs go to files now.
        let files: Vec<Reservation> = (0..DISK).map(|_| limits.reserve(1)).collect();
        let is_disk = |it: &Reservation| matches!(it, Reservation::Disk(_));
        assert!(files.iter().all(is_disk));
        assert!(matches!(limits.reserve(DISK_UNIT), Reservation::Uncached));
        drop(files);
        let huge = limits.reserve(u64::MAX);
        assert!(matches!(huge, Reservation::Disk(_)));
        assert!(matches!(limits.reserve(DISK_UNIT), Reservation::Uncached));
    }
}
