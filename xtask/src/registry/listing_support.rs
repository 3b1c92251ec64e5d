//! What a run has learned of a registry's listings with digests.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use tokio::sync::{OnceCell, Semaphore};

use crate::oci::{Digest, Tag};

/// Listings of one registry that are read at a time.
const AT_A_TIME: usize = 4;

/// What is known of the listings of one registry.
pub(super) struct ListingSupport {
    repositories: Mutex<HashMap<Arc<str>, Arc<Listed>>>,
    pub places: Semaphore,
    /// Those in a row that were of no use.
    pub failures: AtomicU32,
}

/// The listing of one repository.
#[derive(Default)]
pub(super) struct Listed {
    pub wanted: Mutex<HashSet<Tag>>,
    pub digests: OnceCell<Option<HashMap<Tag, Digest>>>,
}

impl Default for ListingSupport {
    fn default() -> Self {
        ListingSupport {
            repositories: Mutex::default(),
            places: Semaphore::new(AT_A_TIME),
            failures: AtomicU32::new(0),
        }
    }
}

impl ListingSupport {
    pub fn of(&self, path: &Arc<str>) -> Arc<Listed> {
        let mut repositories = self.repositories.lock().expect("no holder panics");
        Arc::clone(repositories.entry(Arc::clone(path)).or_default())
    }
}
