//! One registry that images go to, with everything that is its own: lanes, what it is known to hold, its status.
//!
//! It refuses to know other destinations. Invariant: of one blob, one upload is under way at a time; whoever else wants
//! it there waits, and finds it or mounts it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tokio::sync::{OnceCell, Semaphore};

use crate::oci::Digest;
use crate::registry::{Error, Registry, Repository};

/// Uploads of large blobs that run at once to one registry. On one machine more only cost the registries time: with 6 the
/// large image of `xtask/benches/sync` took 4.8 s instead of 4.3 s.
const BULK: usize = 4;

/// Small requests that run at once to one registry.
const SMALL: usize = 32;

/// Failures to reach a registry, with no success between, after which it is not asked any more.
const PATIENCE: u32 = 3;

/// A registry as the target of copies.
pub struct RegistryHost {
    pub name: String,
    registry: Registry,
    upload_limiter: Semaphore,
    request_limiter: Semaphore,
    /// For each repository that was asked: whether it had no tags.
    empty: Mutex<HashMap<String, Arc<OnceCell<bool>>>>,
    blobs: Mutex<HashMap<Digest, Arc<BlobLocations>>>,
    unreachable: AtomicU32,
    down: OnceLock<Error>,
}

/// Where on this registry one blob is.
#[derive(Default)]
pub(super) struct BlobLocations {
    repositories: Mutex<Vec<String>>,
    /// Held by whoever brings the blob to a repository.
    pub upload_lock: tokio::sync::Mutex<()>,
}

impl RegistryHost {
    pub fn new(name: &str, registry: Registry) -> Arc<Self> {
        Arc::new(RegistryHost {
            name: name.to_owned(),
            registry,
            upload_limiter: Semaphore::new(BULK),
            request_limiter: Semaphore::new(SMALL),
            empty: Mutex::default(),
            blobs: Mutex::default(),
            unreachable: AtomicU32::new(0),
            down: OnceLock::new(),
        })
    }

    pub fn repository(&self, path: &str) -> Repository {
        self.registry.repository(path)
    }

    /// A small request, in its own lane, so that it never waits behind large ones.
    pub(super) async fn small<T>(&self, request: impl Future<Output = T>) -> T {
        let _permit = self.request_limiter.acquire().await;
        request.await
    }

    /// The upload of a large blob, in its lane.
    pub(super) async fn bulk<T>(&self, upload: impl Future<Output = T>) -> T {
        let _permit = self.upload_limiter.acquire().await;
        upload.await
    }

    /// Whether the repository at `path` was seen to have no tags: then there is nothing that has to be asked for. It is
    /// listed once; a registry that does not list counts as one that may have something.
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

    /// Whether [`Self::is_empty`] has said so already.
    pub(super) fn is_known_empty(&self, path: &str) -> bool {
        let empty = lock(&self.empty);
        empty.get(path).and_then(|cell| cell.get()) == Some(&true)
    }

    pub(super) fn blob(&self, digest: &Digest) -> Arc<BlobLocations> {
        Arc::clone(lock(&self.blobs).entry(digest.clone()).or_default())
    }

    /// Whether the repository at `path` has the blob.
    pub(super) async fn has_blob(&self, path: &str, digest: &Digest) -> Result<bool, Error> {
        let known = self.blob(digest);
        if known.is_at(path) {
            return Ok(true);
        }
        let has_it = self.small(self.repository(path).has_blob(digest)).await?;
        if has_it {
            known.add(path);
        }
        Ok(has_it)
    }

    /// Why this registry is not asked any more, if it is not.
    pub fn down(&self) -> Option<&Error> {
        self.down.get()
    }

    /// Learns from how something ended whether there is any use in asking again.
    pub(super) fn record(&self, ended: Result<(), &Error>) {
        match ended {
            Err(Error::UploadLost(cause)) => self.record(Err(cause)),
            Err(error @ Error::Unreachable { .. }) => {
                if self.unreachable.fetch_add(1, Ordering::Relaxed) + 1 >= PATIENCE {
                    let _ = self.down.set(error.clone());
                }
            }
            Err(error @ Error::Rejected { .. }) => {
                let _ = self.down.set(error.clone());
            }
            _ => self.unreachable.store(0, Ordering::Relaxed),
        }
    }
}

impl BlobLocations {
    /// Whether the blob is known to be in the repository at `path`.
    pub fn is_at(&self, path: &str) -> bool {
        lock(&self.repositories).iter().any(|it| it == path)
    }

    /// Another repository that holds it.
    pub fn elsewhere(&self, path: &str) -> Option<String> {
        lock(&self.repositories)
            .iter()
            .find(|it| *it != path)
            .cloned()
    }

    pub fn add(&self, path: &str) {
        if !self.is_at(path) {
            lock(&self.repositories).push(path.to_owned());
        }
    }

    /// Believes nothing any more.
    pub fn invalidate(&self) {
        lock(&self.repositories).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}
