//! What a run has learned about referrers at one registry.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::OnceCell;

use crate::oci::Tag;

/// What is known of each repository, by its path.
#[derive(Default)]
pub(super) struct ReferrerSupport(Mutex<HashMap<Arc<str>, Arc<Known>>>);

/// What is known of one repository.
#[derive(Default)]
pub(super) struct Known {
    pub has_api: OnceCell<bool>,
    /// Held by the first that asks it.
    pub probe: tokio::sync::Mutex<()>,
    /// The tags that are named after a digest; `None` where they cannot be listed.
    pub digest_tags: OnceCell<Option<BTreeSet<Tag>>>,
}

impl ReferrerSupport {
    pub fn of(&self, path: &Arc<str>) -> Arc<Known> {
        Arc::clone(self.lock().entry(Arc::clone(path)).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Known>>> {
        self.0.lock().expect("no holder panics")
    }
}
