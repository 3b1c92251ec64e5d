//! Whether a registry is asked at all: after failures at several moments it is left alone, and tried again later.
//!
//! Copies that ran at the same time and failed are one moment, because one short outage fails all of them.

use std::time::{Duration, Instant};

use crate::registry::Error;

/// Moments of failure, one after another, that open the circuit.
const MOMENTS_TO_OPEN: u32 = 3;

/// How long an open circuit lets nothing through. Then one copy tries, and closes it if the registry answers.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct Breaker {
    moments: u32,
    last_failure: Option<Instant>,
    /// The failure that opened the circuit, and when the next copy may try.
    open: Option<(Error, Instant)>,
    /// The login was refused: nothing is tried again.
    refused: Option<Error>,
}

impl Breaker {
    /// Why no copy may start now. With an open circuit, one copy may in every [`PAUSE`].
    pub fn refusal(&mut self, now: Instant) -> Option<Error> {
        if let Some(error) = &self.refused {
            return Some(error.clone());
        }
        let (error, next) = self.open.as_mut()?;
        if now < *next {
            return Some(error.clone());
        }
        *next = now + PAUSE;
        None
    }

    pub fn is_login_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// How a copy that began at `started` ended.
    pub fn record(&mut self, started: Instant, now: Instant, result: Result<(), &Error>) {
        match result {
            Err(Error::UploadLost(cause)) => self.record(started, now, Err(cause)),
            Err(error @ Error::Unreachable { .. }) => {
                if self.last_failure.is_some_and(|last| started < last) {
                    return;
                }
                self.last_failure = Some(now);
                self.moments += 1;
                if self.moments >= MOMENTS_TO_OPEN {
                    self.open = Some((error.clone(), now + PAUSE));
                }
            }
            Err(error @ Error::Rejected { .. }) => self.refused = Some(error.clone()),
            _ => {
                self.moments = 0;
                self.open = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down() -> Error {
        Error::Unreachable {
            url: "http://localhost:1/v2/".to_owned(),
            reason: "refused".to_owned(),
        }
    }

    /// A breaker that failed at the given seconds, by copies that began one second before.
    fn failed_at(start: Instant, seconds: &[u64]) -> Breaker {
        let mut breaker = Breaker::default();
        for second in seconds {
            let now = start + Duration::from_secs(*second);
            breaker.record(now - Duration::from_secs(1), now, Err(&down()));
        }
        breaker
    }

    #[test]
    fn copies_that_fail_together_are_one_moment() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for second in 1..100 {
            let now = start + Duration::from_secs(second);
            breaker.record(start, now, Err(&down()));
        }
        assert!(breaker.refusal(start + Duration::from_secs(100)).is_none());
    }

    #[test]
    fn opens_after_three_moments_and_a_success_forgets_them() {
        let start = Instant::now();
        let now = start + Duration::from_secs(6);
        assert!(failed_at(start, &[2, 4]).refusal(now).is_none());
        let mut breaker = failed_at(start, &[2, 4, 6]);
        assert!(breaker.refusal(now).is_some());
        let mut recovered = failed_at(start, &[2, 4]);
        recovered.record(start, now, Ok(()));
        recovered.record(now, now, Err(&down()));
        assert!(recovered.refusal(now).is_none());
        breaker.record(now, now, Ok(()));
        assert!(breaker.refusal(now).is_none());
    }

    #[test]
    fn an_open_circuit_lets_one_copy_try_in_each_pause() {
        let start = Instant::now();
        let mut breaker = failed_at(start, &[2, 4, 6]);
        let later = start + Duration::from_secs(6) + PAUSE;
        assert!(breaker.refusal(later).is_none(), "the one that tries");
        assert!(breaker.refusal(later).is_some(), "another meanwhile");
        breaker.record(later, later + PAUSE / 2, Err(&down()));
        assert!(breaker.refusal(later + PAUSE).is_some(), "failed again");
        assert!(breaker.refusal(later + PAUSE * 2).is_none());
    }
}
