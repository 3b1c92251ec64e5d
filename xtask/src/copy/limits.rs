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

/// Images of one registry that are looked at at once, at most, while they turn out to be in place.
pub(super) const LOOKS: usize = 128;

/// A blob up to this size, in bytes, is small: it stays in memory if there is room, and is uploaded in one request. All
/// configs, and no layer worth a file.
pub(super) const SMALL_BLOB: u64 = 128 << 10;

/// A blob up to this size, in bytes, is kept also for a single repository: to read it again costs more than its file.
const KEPT: u64 = 4 << 20;

/// Large blobs that are read from the sources at once.
const READS: usize = 8;

/// Small blobs that are read at once, and small requests to one registry.
const REQUESTS: usize = 128;

/// Memory for small blobs, in units of [`MEMORY_UNIT`] bytes: 8 MiB.
const MEMORY: u32 = 8 << 10;
const MEMORY_UNIT: u64 = 1 << 10;

/// Disk for spooled files, in units of [`DISK_UNIT`] bytes: 8 GiB or 256 files, as each is an open one. Less where few
/// files may be open, most of which are connections, or the disk has less than twice as much room. Half of the room, in
/// units of [`ROOM_UNIT`] bytes, is for files that are not kept.
const DISK: u32 = 256;
const DISK_UNIT: u64 = 32 << 20;
const ROOM_UNIT: u64 = 1 << 20;

pub(super) struct Limits {
    memory: Arc<Semaphore>,
    disk: Arc<Semaphore>,
    disk_units: u32,
    room: Arc<Semaphore>,
    room_units: u32,
    reads: Semaphore,
    small_reads: Semaphore,
}

/// Where a spool may keep its blob.
pub(super) enum Reservation {
    Memory(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    Disk(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    /// The blob belongs to a pending image, which keeps it anyway.
    External,
    /// It goes to one repository, and nothing of it is kept.
    Passing,
    /// The disk limit is reached: in a file, or if it is small in memory, that is dropped with its last reader.
    Uncached,
}

/// Small requests that may be sent at once to one registry, or small blobs read, where so many files may be open.
pub(super) fn requests(open_files: u64) -> usize {
    usize::try_from(open_files / 32)
        .unwrap_or(REQUESTS)
        .clamp(4, REQUESTS)
}

impl Limits {
    /// For a process that may have so many files open, and a disk with so much room, if that is known.
    pub fn new(open_files: u64, room: Option<u64>) -> Arc<Self> {
        let half = room.unwrap_or(u64::MAX) / 2;
        let units = (open_files / 4).min(half / DISK_UNIT);
        let disk_units = u32::try_from(units).unwrap_or(DISK).clamp(1, DISK);
        let room_units = u32::try_from(half / ROOM_UNIT).unwrap_or(u32::MAX).max(1);
        Arc::new(Limits {
            memory: Arc::new(Semaphore::new(MEMORY as usize)),
            disk: Arc::new(Semaphore::new(disk_units as usize)),
            disk_units,
            room: Arc::new(Semaphore::new(room_units as usize)),
            room_units,
            reads: Semaphore::new(READS),
            small_reads: Semaphore::new(requests(open_files)),
        })
    }

    /// Whether a file of `size` bytes fits beside those that are kept.
    pub fn fits_beside_kept(&self, size: u64) -> bool {
        size.div_ceil(ROOM_UNIT) <= self.room_units.into()
    }

    /// A reservation for a blob of `size` bytes, which may go to one repository alone, or be no use to later readers.
    pub fn reserve(&self, size: u64, is_of_one: bool, is_kept: bool) -> Reservation {
        if is_of_one && size > KEPT {
            return Reservation::Passing;
        }
        if size <= SMALL_BLOB {
            let units = units(size, MEMORY_UNIT, MEMORY);
            if let Ok(permit) = Arc::clone(&self.memory).try_acquire_many_owned(units) {
                return Reservation::Memory(permit);
            }
        }
        if !is_kept {
            return Reservation::Uncached;
        }
        Arc::clone(&self.disk)
            .try_acquire_many_owned(units(size, DISK_UNIT, self.disk_units))
            .map_or(Reservation::Uncached, Reservation::Disk)
    }

    /// Waits until there is room for a file of `size` bytes that is [`Reservation::Uncached`]; others are dropped with
    /// their last readers, which wait for nothing.
    pub async fn room(&self, size: u64) -> Option<OwnedSemaphorePermit> {
        let units = units(size, ROOM_UNIT, self.room_units);
        Arc::clone(&self.room).acquire_many_owned(units).await.ok()
    }

    /// Limits the concurrent reads of blobs of `size` bytes.
    pub fn read_limiter(&self, size: u64) -> &Semaphore {
        match size {
            ..=SMALL_BLOB => &self.small_reads,
            _ => &self.reads,
        }
    }
}

/// A blob that is larger than the whole limit takes all of it.
fn units(size: u64, unit: u64, all: u32) -> u32 {
    let units = u32::try_from(size.div_ceil(unit)).unwrap_or(all);
    units.clamp(1, all)
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
            Content::Artifact(artifact) => {
                within("blobs", artifact.blobs.len(), LAYERS)?;
                (&artifact.blobs, None)
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
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn reservations_are_bounded_and_returned_ones_can_be_had_again() {
        let limits = Limits::new(u64::MAX, None);
        let small: Vec<Reservation> = (0..64)
            .map(|_| limits.reserve(SMALL_BLOB, false, true))
            .collect();
        let is_memory = |it: &Reservation| matches!(it, Reservation::Memory(_));
        assert!(small.iter().all(is_memory));
        // Memory is used up; small blobs go to files now.
        let files: Vec<Reservation> = (0..DISK).map(|_| limits.reserve(1, false, true)).collect();
        let is_disk = |it: &Reservation| matches!(it, Reservation::Disk(_));
        assert!(files.iter().all(is_disk));
        assert!(matches!(
            limits.reserve(DISK_UNIT, false, true),
            Reservation::Uncached
        ));
        drop(files);
        let huge = limits.reserve(u64::MAX, false, true);
        assert!(matches!(huge, Reservation::Disk(_)));
        assert!(matches!(
            limits.reserve(DISK_UNIT, false, true),
            Reservation::Uncached
        ));
    }

    #[tokio::test]
    async fn what_is_not_kept_waits_for_room() {
        let limits = Limits::new(u64::MAX, Some(2 * 4 * ROOM_UNIT));
        let first = limits.room(3 * ROOM_UNIT).await;
        let mut larger = std::pin::pin!(limits.room(9 * ROOM_UNIT));
        assert!(larger.as_mut().now_or_never().is_none());
        drop(first);
        let larger = larger.await;
        assert!(limits.room(1).now_or_never().is_none());
        drop(larger);
        assert!(limits.room(1).now_or_never().is_some());
        assert!(
            limits.fits_beside_kept(4 * ROOM_UNIT) && !limits.fits_beside_kept(4 * ROOM_UNIT + 1)
        );
        // So that it has all the room, once it has waited.
        let beside_large = limits.reserve(DISK_UNIT, false, false);
        assert!(matches!(beside_large, Reservation::Uncached));
        // Nobody waits where nothing is known of the room.
        let unknown = Limits::new(u64::MAX, None);
        let many: Vec<_> = (0..9)
            .map(|_| unknown.room(1 << 40).now_or_never())
            .collect();
        assert!(many.iter().all(Option::is_some));
    }

    #[test]
    fn few_open_files_and_little_room_are_few_spools() {
        let is_disk = |it: &Reservation| matches!(it, Reservation::Disk(_));
        for (open_files, room) in [(256, None), (u64::MAX, Some(2 * 64 * DISK_UNIT))] {
            let limits = Limits::new(open_files, room);
            let files: Vec<Reservation> = (0..64)
                .map(|_| limits.reserve(DISK_UNIT, false, true))
                .collect();
            assert!(files.iter().all(is_disk));
            assert!(matches!(
                limits.reserve(DISK_UNIT, false, true),
                Reservation::Uncached
            ));
        }
        // One at a time still travels.
        assert!(is_disk(
            &Limits::new(0, Some(0)).reserve(DISK_UNIT, false, true)
        ));
        assert_eq!(requests(256), 8);
        assert_eq!(requests(1 << 20), REQUESTS);
    }
}
