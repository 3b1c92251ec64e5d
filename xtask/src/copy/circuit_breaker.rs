//! Whether a registry is worth asking. One that stops answering is waited for by all copies together: one of them at a
//! time tries again, the others go on when it has come through. What never comes back is given up, so that a run ends.

use std::time::{Duration, Instant};

use log::warn;
use tokio::sync::{Mutex, MutexGuard};

use crate::http;
use crate::registry::Error;

/// Moments of failure in a row after which a registry is given up: of one that has not been of any use in this run, and
/// of one that has. Between the latter lie waits of half a minute in all: registries restart, and are updated.
const MOMENTS: u32 = 3;
const MOMENTS_OF_A_GOOD_ONE: u32 = 6;

/// The wait before the first copy that tries again; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct CircuitBreaker {
    state: std::sync::Mutex<State>,
    /// Held by the one copy that tries again.
    turn: Mutex<()>,
}

#[derive(Default)]
struct State {
    last_success: Option<Instant>,
    /// When the last moment of the row was told.
    last_failure: Option<Instant>,
    /// Failures in a row, where copies that ran at the same time count as one: they met the same trouble.
    moments: u32,
    opened_by: Option<Error>,
}

/// The permission to try again, as long as it is held.
pub(super) enum Turn<'b> {
    /// The registry has come back.
    WithOthers,
    /// The others wait for how this one ends.
    Alone {
        wait: Duration,
        #[expect(dead_code, reason = "held, not read")]
        turn: MutexGuard<'b, ()>,
    },
}

impl Turn<'_> {
    /// Waits for its time, and says so: `error` of `host` is why.
    pub async fn wait(&self, host: &str, error: &Error) {
        if let Turn::Alone { wait, .. } = self {
            let seconds = wait.as_secs_f64();
            warn!("`{host}`: {error}; trying again in {seconds:.1} s, other images wait for that");
            tokio::time::sleep(*wait).await;
        }
    }
}

impl CircuitBreaker {
    /// The error for which the registry is asked no more.
    pub fn open(&self) -> Option<Error> {
        self.state().opened_by.clone()
    }

    /// Notes how a copy that began at `started` ended. `is_good` says that the registry has been of use before.
    pub fn record(&self, started: Instant, result: Result<(), &Error>, is_good: bool) {
        let mut state = self.state();
        match result {
            Err(error) if is_final(error) => state.opened_by = Some(error.clone()),
            Err(error) if may_pass(error) => {
                if state.last_failure.is_some_and(|at| started < at) {
                    return;
                }
                state.moments += 1;
                state.last_failure = Some(Instant::now());
                let is_good = is_good || state.last_success.is_some();
                if state.moments
                    >= if is_good {
                        MOMENTS_OF_A_GOOD_ONE
                    } else {
                        MOMENTS
                    }
                {
                    state.opened_by.get_or_insert_with(|| error.clone());
                }
            }
            // It answers.
            ended => {
                state.moments = 0;
                state.last_failure = None;
                if ended.is_ok() {
                    state.last_success = Some(Instant::now());
                }
            }
        }
    }

    /// Waits until a copy that has failed by `error` may try again; `None` if that is no use.
    pub async fn turn(&self, error: &Error, is_good: bool) -> Option<Turn<'_>> {
        let failed = Instant::now();
        if !may_pass(error) || !(is_good || self.state().last_success.is_some()) {
            return None;
        }
        let turn = self.turn.lock().await;
        let state = self.state();
        if state.opened_by.is_some() {
            return None;
        }
        Some(match state.last_success.is_some_and(|at| at > failed) {
            true => Turn::WithOthers,
            false => Turn::Alone {
                wait: http::backoff(FIRST_WAIT, state.moments),
                turn,
            },
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

/// Whether the next image would fail alike, and waiting does not help.
fn is_final(error: &Error) -> bool {
    match error {
        Error::Rejected { .. } => true,
        Error::UploadLost(cause) => is_final(cause),
        Error::RateLimited(_) => !error.is_worth_waiting(),
        _ => false,
    }
}

/// Whether it is about the registry as a whole, at this moment.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::UploadLost(cause) => may_pass(cause),
        Error::Unreachable { .. } | Error::RateLimited(_) => true,
        Error::Status(_) => error.is_transient(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> Error {
        Error::Unreachable {
            url: "https://r.io/v2/".to_owned(),
            reason: "connection refused".to_owned(),
        }
    }

    #[test]
    fn copies_that_fail_together_are_one_moment() {
        let breaker = CircuitBreaker::default();
        let begun = Instant::now();
        for _ in 0..99 {
            breaker.record(begun, Err(&unreachable()), false);
        }
        assert!(breaker.open().is_none());
        for _ in 1..MOMENTS {
            assert!(breaker.open().is_none());
            breaker.record(later(), Err(&unreachable()), false);
        }
        assert!(breaker.open().is_some());
    }

    #[tokio::test]
    async fn a_success_lets_everybody_go_on() {
        let breaker = CircuitBreaker::default();
        assert!(breaker.turn(&unreachable(), false).await.is_none());
        breaker.record(later(), Ok(()), false);
        breaker.record(later(), Err(&unreachable()), false);
        let first = breaker.turn(&unreachable(), false).await;
        assert!(matches!(first, Some(Turn::Alone { .. })));
        let second = async {
            let error = unreachable();
            let turn = breaker.turn(&error, false);
            matches!(turn.await, Some(Turn::WithOthers))
        };
        let success = async {
            breaker.record(later(), Ok(()), false);
            drop(first);
        };
        assert!(tokio::join!(second, success).0);
    }

    /// A moment after everything that was recorded.
    fn later() -> Instant {
        let now = Instant::now();
        while Instant::now() == now {}
        Instant::now()
    }
}
