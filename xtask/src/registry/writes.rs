//! Small requests of one kind that write: few at once at first, more with each that goes well. Those that waited for a
//! place while others were refused, each after all its tries, are told the same without asking: a registry that takes
//! nothing is not asked by everybody, each time and again.

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::error::Error;
use super::window::Window;

/// How many begin.
const FIRST: usize = 16;

/// Refusals in a row that are taken for the registry's mood, and not for one request's luck.
const ENOUGH: u32 = 3;

pub(super) struct Writes {
    window: Window,
    refused: Mutex<Refused>,
}

/// The refusals in a row.
#[derive(Default)]
struct Refused {
    count: u32,
    last: Option<(Instant, Error)>,
}

impl Default for Writes {
    fn default() -> Writes {
        Writes {
            window: Window::starting(FIRST),
            refused: Mutex::default(),
        }
    }
}

impl Writes {
    /// Runs `request`, with all its tries, when there is a place for it.
    pub(super) async fn run<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let asked = Instant::now();
        let _place = self.window.enter().await;
        if let Some(error) = self.refused_since(asked) {
            return Err(error);
        }
        let outcome = request.await;
        let mut refused = self.refused();
        match &outcome {
            Err(error) if error.status().is_some() && error.is_transient() => {
                refused.count += 1;
                refused.last = Some((Instant::now(), error.clone()));
                self.window.halve();
            }
            _ => {
                *refused = Refused::default();
                self.window.grow();
            }
        }
        outcome
    }

    fn refused_since(&self, asked: Instant) -> Option<Error> {
        let refused = self.refused();
        let last = refused.last.as_ref().filter(|(at, _)| *at > asked);
        last.filter(|_| refused.count >= ENOUGH)
            .map(|(_, error)| error.clone())
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().expect("no holder panics")
    }
}
