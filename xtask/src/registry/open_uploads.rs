//! The uploads that a registry has open for this run, by number, each with where it goes on. It does not know who sends
//! them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use url::Url;

use super::auth::Scope;

/// The most that are known; a registry lets the others expire.
const MOST: usize = 1000;

#[derive(Default)]
pub(super) struct OpenUploads(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    open: BTreeMap<u64, (Url, Scope)>,
}

impl OpenUploads {
    /// One more; returns its number.
    pub fn add(&self, url: Url, scope: Scope) -> u64 {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        if state.open.len() < MOST {
            state.open.insert(number, (url, scope));
        }
        number
    }

    pub fn move_to(&self, number: u64, url: &Url) {
        if let Some((known, _)) = self.state().open.get_mut(&number) {
            known.clone_from(url);
        }
    }

    pub fn remove(&self, number: u64) {
        self.state().open.remove(&number);
    }

    /// All of them, which are not known any more.
    pub fn take(&self) -> Vec<(Url, Scope)> {
        std::mem::take(&mut self.state().open)
            .into_values()
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }
}
