//! A registry as the target of copies: its limits, the blobs it is known to have, and its circuit breaker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use super::circuit_breaker::{CircuitBreaker, Turn};
use super::known_blobs::{BlobLocations, KnownBlobs};
use super::limits::{SMALL_BLOB, requests};
use crate::machine;
use crate::oci::{Descriptor, Digest};
use crate::registry::{Error, Registry, Repository};

/// Concurrent uploads of large blobs. More are slower where the registries share a machine: with 6, the large image of
/// `xtask/benches/sync` took 4.8 s instead of 4.3 s.
const UPLOADS: usize = 4;

/// A registry with its limits and health, as the target of copies.
pub struct RegistryHost {
    pub name: String,
    registry: Registry,
    upload_limiter: Semaphore,
    request_limiter: Semaphore,
    /// Small blobs on their way.
    small_blobs: Semaphore,
    /// For each repository that was listed: whether it had no tags.
    empty: Mutex<HashMap<String, Arc<OnceCell<bool>>>>,
    blobs: KnownBlobs,
    breaker: CircuitBreaker,
}

impl RegistryHost {
    pub fn new(name: &str, registry: Registry) -> Arc<Self> {
        Arc::new(RegistryHost {
            name: name.to_owned(),
            registry,
            upload_limiter: Semaphore::new(UPLOADS),
            request_limiter: Semaphore::new(requests(machine::open_files())),
            small_blobs: Semaphore::new(requests(machine::open_files())),
            empty: Mutex::default(),
            blobs: KnownBlobs::default(),
            breaker: CircuitBreaker::default(),
        })
    }

    pub fn repository(&self, path: &str) -> Repository {
        self.registry.repository(path)
    }

    /// Cancels the uploads that this run has begun and not ended.
    pub(super) async fn cancel_uploads(&self) {
        self.registry.cancel_uploads().await;
    }

    /// Runs a small request. It has a limit of its own, so that it never waits behind large uploads.
    pub(super) async fn request<T>(&self, request: impl Future<Output = T>) -> T {
        let _permit = self.request_limiter.acquire().await;
        request.await
    }

    /// Waits until `blob` may be on its way; large ones have [`Self::upload`].
    pub(super) async fn place_of(&self, blob: &Descriptor) -> Option<SemaphorePermit<'_>> {
        match blob.size {
            ..=SMALL_BLOB => self.small_blobs.acquire().await.ok(),
            _ => None,
        }
    }

    /// Runs the upload of a large blob.
    pub(super) async fn upload<T>(&self, upload: impl Future<Output = T>) -> T {
        let _permit = self.upload_limiter.acquire().await;
        upload.await
    }

    /// Whether the repository at `path` has no tags, so that asking for single ones is needless. It is listed once; a
    /// repository that cannot be listed counts as not empty.
    pub(super) async fn is_empty(&self, path: &str) -> bool {
        let cell = Arc::clone(lock(&self.empty).entry(path.to_owned()).or_default());
        let list = || async {
            match self.repository(path).tags().await {
                Ok(tags) => tags.is_empty(),
                Err(error) => matches!(error, Error::NotFound(_)),
            }
        };
        *cell.get_or_init(list).await
    }

    /// Whether [`Self::is_empty`] was asked before, and true.
    pub(super) fn is_known_empty(&self, path: &str) -> bool {
        let empty = lock(&self.empty);
        empty.get(path).and_then(|cell| cell.get()) == Some(&true)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Arc<BlobLocations> {
        self.blobs.of(digest)
    }

    /// Whether the repository at `path` has the blob.
    pub(super) async fn has_blob(&self, path: &str, blob: &Descriptor) -> Result<bool, Error> {
        let locations = self.blob(&blob.digest);
        if locations.contains(path) {
            return Ok(true);
        }
        let has_it = self.request(self.repository(path).has_blob(blob)).await?;
        if has_it {
            locations.add(path);
        }
        Ok(has_it)
    }

    /// Why the circuit breaker lets no copy start now.
    pub(super) fn circuit_open(&self) -> Option<Error> {
        self.breaker.open()
    }

    /// Whether the registry refused the login of a copy.
    pub fn is_login_refused(&self) -> bool {
        matches!(self.breaker.open(), Some(Error::Rejected { .. }))
    }

    /// Tells the circuit breaker how a copy that began at `started` ended.
    pub(super) fn record(&self, started: Instant, result: Result<(), &Error>) {
        let is_good = result.is_err_and(|error| self.is_good(error));
        self.breaker.record(started, result, is_good);
    }

    /// Waits until a copy that has failed by `error` may try again; `None` if that is no use.
    pub(super) async fn turn(&self, error: &Error) -> Option<Turn<'_>> {
        self.breaker.turn(error, self.is_good(error)).await
    }

    /// Whether a registry that cannot be reached now has answered before.
    fn is_good(&self, error: &Error) -> bool {
        error.is_unreachable() && self.registry.has_answered()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}
