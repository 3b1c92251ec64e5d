//! How many small requests one registry gets at once: fewer when it limits the rate, slowly more while it does not. The
//! bodies of blobs are not among them; their readers and writers have limits of their own.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The beginning.
pub(super) const FIRST: usize = 64;

/// The most.
const WIDEST: usize = 128;

pub(super) struct Window {
    places: Semaphore,
    state: Mutex<State>,
}

struct State {
    size: usize,
    /// Places that are taken now, and will not be free afterwards.
    owed: usize,
    /// Requests that went well since the size has changed.
    good: usize,
    /// The registry has limited the rate once.
    is_limited: bool,
}

/// A place in the window.
pub(super) struct Place<'w> {
    window: &'w Window,
    permit: Option<SemaphorePermit<'w>>,
}

impl Window {
    /// One with so many places.
    pub(super) fn starting(size: usize) -> Window {
        Window {
            places: Semaphore::new(size),
            state: Mutex::new(State {
                size,
                owed: 0,
                good: 0,
                is_limited: false,
            }),
        }
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> Place<'_> {
        Place {
            window: self,
            permit: self.places.acquire().await.ok(),
        }
    }

    /// The registry limits the rate: half as many from now on, and at least one.
    pub(super) fn halve(&self) {
        let mut state = self.state();
        let gone = state.size / 2;
        state.size -= gone;
        state.good = 0;
        state.is_limited = true;
        state.owed += gone - self.places.forget_permits(gone);
    }

    /// A request went well: one place more; once the registry has limited the rate, after as many as there are places.
    pub(super) fn grow(&self) {
        let mut state = self.state();
        state.good += 1;
        if state.size == WIDEST || state.is_limited && state.good < state.size {
            return;
        }
        state.good = 0;
        state.size += 1;
        match state.owed {
            0 => self.places.add_permits(1),
            _ => state.owed -= 1,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.window.state();
        if let Some(permit) = self.permit.take()
            && state.owed > 0
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_narrows_at_once_and_widens_slowly() {
        let window = Window::starting(FIRST);
        for _ in FIRST..WIDEST {
            window.grow();
        }
        let taken = futures_util::future::join_all((0..WIDEST).map(|_| window.enter())).await;
        window.halve();
        window.halve();
        assert_eq!(window.places.available_permits(), 0);
        drop(taken);
        assert_eq!(window.places.available_permits(), WIDEST / 4);
        for _ in 0..WIDEST / 4 {
            window.grow();
        }
        assert_eq!(window.places.available_permits(), WIDEST / 4 + 1);
        for _ in 0..WIDEST {
            window.halve();
        }
        assert_eq!(window.places.available_permits(), 1);
        for _ in 0..WIDEST * WIDEST {
            window.grow();
        }
        assert_eq!(window.places.available_permits(), WIDEST);
    }
}
