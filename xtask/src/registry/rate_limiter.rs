//! When a request may go out: after the pause that a registry asks for, and below Docker Hub's ceiling. A pause holds
//! back every request of this client that has not gone out yet, not only the one that met the limit.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The longest pause that is waited out; a request that meets a longer one fails.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The pause when a registry limits the rate and names no time.
const DEFAULT_PAUSE: Duration = Duration::from_secs(1);

/// The rate limiter of one registry.
pub(super) struct RateLimiter {
    /// The time between requests in the long run, if there is a ceiling.
    interval: Option<Duration>,
    /// Requests that may go out at once before that.
    burst: u32,
    times: Mutex<Times>,
}

struct Times {
    resume: Instant,
    /// When the next request would go out if all were spread evenly.
    due: Instant,
}

/// Requests that may go out at once before the ceiling spreads them.
const BURST: u32 = 100;

impl RateLimiter {
    pub(super) fn unlimited() -> RateLimiter {
        let now = Instant::now();
        RateLimiter {
            interval: None,
            burst: 0,
            times: Mutex::new(Times {
                resume: now,
                due: now,
            }),
        }
    }

    /// At most 1000 requests in any minute: Docker Hub's abuse limit trips at 2000 to 3000 from one address
    /// (jenkins-infra/helpdesk#4029). Of those [`BURST`] may come at once, the rest evenly.
    /// `share` clients keep to it together.
    pub(super) fn docker_hub(share: u32) -> RateLimiter {
        RateLimiter {
            interval: Some((Duration::from_secs(60) / (1000 - BURST)).saturating_mul(share)),
            burst: BURST / share,
            ..RateLimiter::unlimited()
        }
    }

    /// Waits until a request may go out.
    pub(super) async fn acquire(&self) {
        if let Some(interval) = self.interval {
            let wait = self.times().reserve(Instant::now(), interval, self.burst);
            tokio::time::sleep(wait).await;
        }
        self.wait_out_pause().await;
    }

    /// Waits for as long as the registry asked to be left alone.
    pub(super) async fn wait_out_pause(&self) {
        loop {
            let resume = self.times().resume;
            let pause = resume.saturating_duration_since(Instant::now());
            if pause.is_zero() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Holds back every request for as long as the registry asked. Returns how long that is, unless the pause had begun
    /// before: requests that were under way meet one limit together.
    pub(super) fn pause(&self, retry_after: Option<Duration>) -> Option<Duration> {
        let pause = retry_after.unwrap_or(DEFAULT_PAUSE);
        if pause > LONGEST_PAUSE {
            return None;
        }
        let now = Instant::now();
        let mut times = self.times();
        let is_new = times.resume <= now && !pause.is_zero();
        times.resume = times.resume.max(now + pause);
        is_new.then_some(pause)
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().expect("no holder panics")
    }
}

impl Times {
    /// Reserves the next slot; returns how long it is from `now`.
    fn reserve(&mut self, now: Instant, interval: Duration, burst: u32) -> Duration {
        let due = self.due.max(now);
        self.due = due + interval;
        due.saturating_duration_since(now + interval * burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_gets_at_most_a_thousand_requests_a_minute() {
        for share in [1, 4] {
            most_in_a_minute(share);
        }
    }

    fn most_in_a_minute(share: u32) {
        let rate_limiter = RateLimiter::docker_hub(share);
        let (interval, burst) = (rate_limiter.interval.unwrap(), rate_limiter.burst);
        let start = Instant::now();
        let mut now = start;
        let mut times = Times {
            resume: start,
            due: start,
        };
        let mut sent = Vec::new();
        for _ in 0..3000 {
            now += times.reserve(now, interval, burst);
            sent.push(now - start);
        }
        assert!(sent[burst as usize].is_zero(), "the first go out at once");
        let most = 1000 / share as usize;
        for window in sent.windows(most + 2) {
            let span = window[most + 1] - window[0];
            assert!(span >= Duration::from_secs(60), "{span:?}");
        }
    }

    #[tokio::test]
    async fn a_pause_holds_back_every_request() {
        let rate_limiter = RateLimiter::unlimited();
        let asked = Duration::from_millis(50);
        let start = Instant::now();
        rate_limiter.pause(Some(asked));
        rate_limiter.pause(Some(Duration::ZERO));
        rate_limiter.pause(Some(LONGEST_PAUSE * 2));
        tokio::join!(rate_limiter.acquire(), rate_limiter.acquire());
        assert!(start.elapsed() >= asked);
        assert!(start.elapsed() < LONGEST_PAUSE);
    }
}
