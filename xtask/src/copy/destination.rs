//! One registry that images go to, with everything that is its own: lanes, what it is known to hold, its verdict.
//!
//! It refuses to know other destinations. Invariant: of one blob, one upload to a repository is under way at a time;
//! whoever else wants it there waits for that one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tokio::sync::{OnceCell, Semaphore};

use crate::registry::{Digest, Error, Registry, Repository, Tag};

/// Uploads of large blobs that run at once to one registry.
const BULK: usize = 6;

/// Small requests that run at once to one registry.
const SMALL: usize = 32;

/// Failures to reach a registry, with no success between, after which it is not asked any more.
const PATIENCE: u32 = 3;

/// A registry as the target of copies.
pub struct Destination {
    pub host: String,
    registry: Registry,
    pub(super) bulk: Semaphore,
    pub(super) small: Semaphore,
    repositories: Mutex<HashMap<String, Arc<Known>>>,
    /// A repository of this registry that holds the blob, to mount it from.
    homes: Mutex<HashMap<Digest, String>>,
    unreachable: Mutex<u32>,
    down: OnceLock<Error>,
}

/// What is known of one repository.
#[derive(Default)]
pub(super) struct Known {
    /// The tags at the beginning of the run, where they were listed.
    tags: OnceCell<Option<HashSet<Tag>>>,
    /// One cell for each blob: filled once it is there.
    blobs: Mutex<HashMap<Digest, Arc<OnceCell<()>>>>,
}

impl Destination {
    pub fn new(host: &str, registry: Registry) -> Arc<Self> {
        Arc::new(Destination {
            host: host.to_owned(),
            registry,
            bulk: Semaphore::new(BULK),
            small: Semaphore::new(SMALL),
            repositories: Mutex::default(),
            homes: Mutex::default(),
            unreachable: Mutex::new(0),
            down: OnceLock::new(),
        })
    }

    pub fn repository(&self, path: &str) -> Repository {
        self.registry.repository(path)
    }

    pub(super) fn known(&self, path: &str) -> Arc<Known> {
        Arc::clone(lock(&self.repositories).entry(path.to_owned()).or_default())
    }

    /// Why this registry is not asked any more, if it is not.
    pub(super) fn down(&self) -> Option<&Error> {
        self.down.get()
    }

    /// Learns from how something ended whether there is any use in asking again.
    pub(super) fn learn(&self, ended: Result<(), &Error>) {
        let mut unreachable = lock(&self.unreachable);
        match ended {
            Err(error @ Error::Unreachable { .. }) => {
                *unreachable += 1;
                if *unreachable >= PATIENCE {
                    let _ = self.down.set(error.clone());
                }
            }
            Err(error @ Error::Rejected { .. }) => {
                let _ = self.down.set(error.clone());
            }
            _ => *unreachable = 0,
        }
    }

    /// Where else on this registry the blob is.
    pub(super) fn home(&self, digest: &Digest) -> Option<String> {
        lock(&self.homes).get(digest).cloned()
    }

    pub(super) fn settle(&self, digest: &Digest, path: &str) {
        lock(&self.homes)
            .entry(digest.clone())
            .or_insert_with(|| path.to_owned());
    }
}

impl Known {
    /// The tags of `repository`, listed once; `None` when it has none, and so holds nothing that could be relied on.
    pub async fn tags(&self, repository: &Repository) -> Result<Option<&HashSet<Tag>>, Error> {
        let list = || async {
            match repository.tags().await {
                Ok(tags) if tags.is_empty() => Ok(None),
                Ok(tags) => Ok(Some(tags.into_iter().collect())),
                Err(Error::NotFound(_)) => Ok(None),
                Err(error) => Err(error),
            }
        };
        Ok(self.tags.get_or_try_init(list).await?.as_ref())
    }

    /// Whether the repository was seen to be empty when the run began: then nothing has to be asked for.
    pub fn is_new(&self) -> bool {
        matches!(self.tags.get(), Some(None))
    }

    pub fn blob(&self, digest: &Digest) -> Arc<OnceCell<()>> {
        Arc::clone(lock(&self.blobs).entry(digest.clone()).or_default())
    }

    pub fn has_blob(&self, digest: &Digest) -> bool {
        lock(&self.blobs)
            .get(digest)
            .is_some_and(|cell| cell.initialized())
    }

    /// Believes no more that the blob is there.
    pub fn forget_blob(&self, digest: &Digest) {
        lock(&self.blobs).remove(digest);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}
