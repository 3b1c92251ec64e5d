//! The spools of a run, one for each blob of a source that any image or destination wants at the moment. What one
//! source lacks another may have.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, Weak};

use super::limits::Limits;
use super::result::Listener;
use super::spool::Spool;
use crate::machine;
use crate::oci::{Descriptor, Digest};
use crate::registry::Repository;

pub(super) struct BlobCache {
    /// By the source's repository and the digest.
    spools: Mutex<HashMap<(String, Digest), Weak<Spool>>>,
    /// Sources that are copied to one repository, by [`Repository::identity`].
    of_one: HashSet<String>,
    limits: Arc<Limits>,
    listener: Arc<dyn Listener>,
}

impl BlobCache {
    pub fn new(listener: Arc<dyn Listener>, of_one: HashSet<String>) -> Arc<Self> {
        Arc::new(BlobCache {
            spools: Mutex::default(),
            of_one,
            limits: Limits::new(machine::open_files(), machine::room()),
            listener,
        })
    }

    /// Whether every one of `blobs` fits on the disk beside what is kept.
    pub fn fit_beside_kept(&self, blobs: &[Descriptor]) -> bool {
        blobs.iter().all(|it| self.limits.fits_beside_kept(it.size))
    }

    /// The spool of `blob`; if there is none, a new one that reads from `source`, and may be kept.
    pub fn spool(&self, source: &Repository, blob: &Descriptor, is_kept: bool) -> Arc<Spool> {
        let mut spools = self.spools.lock().expect("no holder panics");
        let key = (source.identity(), blob.digest.clone());
        let found = spools.get(&key).and_then(Weak::upgrade);
        if let Some(spool) = found.filter(|spool| spool.is_usable()) {
            return spool;
        }
        if spools.len() == spools.capacity() {
            spools.retain(|_, spool| spool.strong_count() > 0);
        }
        let (limits, listener) = (Arc::clone(&self.limits), Arc::clone(&self.listener));
        let reservation = limits.reserve(blob.size, self.of_one.contains(&key.0), is_kept);
        let spool = Spool::start(blob.clone(), reservation, source.clone(), limits, listener);
        spools.insert(key, Arc::downgrade(&spool));
        spool
    }
}
