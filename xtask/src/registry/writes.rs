//! Small requests of one kind that write: few at once at first, more with each that goes well. When some in a row were
//! refused, each after all its tries, those that waited for a place meanwhile are told the same without asking, and
//! those that come later have one try: a registry that takes nothing is not asked by everybody, time and again.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::error::Error;
use super::window::Window;
use crate::http;

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

impl Writes {
    /// So many begin.
    pub(super) fn starting(first: usize) -> Writes {
        Writes {
            window: Window::starting(first),
            refused: Mutex::default(),
        }
    }

    /// Runs `attempt` when there is a place for it, and again as `policy` has it.
    pub(super) async fn run<T, F>(
        &self,
        policy: impl FnMut(&Error, u32) -> Option<Duration>,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let asked = Instant::now();
        let _place = self.window.enter().await;
        let outcome = match self.last_of_enough() {
            Some((at, error)) if at > asked => return Err(error),
            Some(_) => attempt().await,
            None => http::retry(policy, |_| attempt()).await,
        };
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

    /// The last refusal, if there were enough in a row.
    fn last_of_enough(&self) -> Option<(Instant, Error)> {
        let refused = self.refused();
        let last = refused.last.as_ref();
        last.filter(|_| refused.count >= ENOUGH).cloned()
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().expect("no holder panics")
    }
}
