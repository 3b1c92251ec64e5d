//! What a run has learned of the blobs and manifests at one registry: which repositories have each.
//!
//! At most one upload of a blob runs at a time; another task that needs the blob waits, then finds or mounts it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::oci::Digest;

/// So many are remembered, at some hundred bytes each. Most belong to one image alone and are never asked for again.
const MOST: usize = 8192;

/// Forgets what was not asked for lately, so that it does not grow with the images of the run. What is forgotten is
/// asked of the registry again.
#[derive(Default)]
pub(super) struct KnownBlobs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<Arc<Digest>, Known>,
    /// The longest not asked for first, apart from those that were asked for again since they came here.
    order: VecDeque<Arc<Digest>>,
}

#[derive(Default)]
struct Known {
    locations: Arc<BlobLocations>,
    /// It was asked for again.
    is_wanted: bool,
}

impl KnownBlobs {
    pub fn of(&self, digest: &Digest) -> Arc<BlobLocations> {
        let mut state = lock(&self.state);
        if let Some(known) = state.known.get_mut(digest) {
            known.is_wanted = true;
            return Arc::clone(&known.locations);
        }
        if state.known.len() >= MOST {
            state.forget_one();
        }
        let digest = Arc::new(digest.clone());
        state.order.push_back(Arc::clone(&digest));
        Arc::clone(&state.known.entry(digest).or_default().locations)
    }
}

impl State {
    fn forget_one(&mut self) {
        for _ in 0..self.order.len() {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            match self.known.get_mut(&oldest) {
                Some(known) if known.is_wanted || known.is_in_use() => {
                    known.is_wanted = false;
                    self.order.push_back(oldest);
                }
                _ => {
                    self.known.remove(&oldest);
                    return;
                }
            }
        }
    }
}

impl Known {
    /// Somebody holds it, or what is held while the blob is brought somewhere.
    fn is_in_use(&self) -> bool {
        let is_on_its_way = || self.locations.ways().values().any(is_taken);
        Arc::strong_count(&self.locations) > 1 || is_on_its_way()
    }
}

/// The repositories of this registry that are known to have one blob.
#[derive(Default)]
pub(super) struct BlobLocations {
    repositories: Mutex<Vec<String>>,
    /// Held while the blob is uploaded.
    pub upload_lock: tokio::sync::Mutex<()>,
    /// Those to which the blob is on its way, with what is held meanwhile; also some where nobody holds it any more.
    on_its_way: Mutex<HashMap<String, Way>>,
}

impl BlobLocations {
    pub fn contains(&self, path: &str) -> bool {
        lock(&self.repositories).iter().any(|it| it == path)
    }

    /// Another repository than `path`, to mount the blob from.
    pub fn mount_source(&self, path: &str) -> Option<String> {
        lock(&self.repositories)
            .iter()
            .find(|it| *it != path)
            .cloned()
    }

    pub fn add(&self, path: &str) {
        if !self.contains(path) {
            lock(&self.repositories).push(path.to_owned());
        }
    }

    /// What is held while the blob is brought to the repository at `path`. A copy that is given up leaves it to those
    /// that wait.
    pub fn way_to(&self, path: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut ways = self.ways();
        if let Some(way) = ways.get(path).and_then(Weak::upgrade) {
            return way;
        }
        ways.retain(|_, way| is_taken(way));
        let way = Arc::default();
        ways.insert(path.to_owned(), Arc::downgrade(&way));
        way
    }

    fn ways(&self) -> MutexGuard<'_, HashMap<String, Way>> {
        lock(&self.on_its_way)
    }

    pub fn invalidate(&self) {
        lock(&self.repositories).clear();
    }
}

type Way = Weak<tokio::sync::Mutex<()>>;

fn is_taken(way: &Way) -> bool {
    way.strong_count() > 0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::sha256_of(&number.to_le_bytes())
    }

    #[test]
    fn what_is_in_use_or_asked_for_again_is_remembered() {
        let blobs = KnownBlobs::default();
        let shared = digest(0);
        blobs.of(&shared).add("a");
        let held = blobs.of(&digest(1));
        held.add("a");
        let way = blobs.of(&digest(2)).way_to("a");
        let given_up = digest(3 * MOST);
        drop(blobs.of(&given_up).way_to("a"));
        for number in 3..3 * MOST {
            blobs.of(&digest(number)).add("a");
            assert!(blobs.of(&shared).contains("a"));
        }
        assert_eq!(lock(&blobs.state).known.len(), MOST);
        assert_eq!(lock(&blobs.state).order.len(), MOST);
        assert!(!lock(&blobs.state).known.contains_key(&given_up));
        assert!(blobs.of(&digest(1)).contains("a"));
        assert!(Arc::ptr_eq(&way, &blobs.of(&digest(2)).way_to("a")));
        assert!(blobs.of(&digest(3 * MOST - 1)).contains("a"));
        assert!(!blobs.of(&digest(3)).contains("a"));
    }

    #[test]
    fn where_all_are_in_use_none_is_forgotten() {
        let blobs = KnownBlobs::default();
        let held: Vec<_> = (0..=MOST).map(|number| blobs.of(&digest(number))).collect();
        assert_eq!(lock(&blobs.state).known.len(), held.len());
    }
}
