//! The one retry loop. What is worth another try, and how long to wait for it, is the caller's policy.

use std::hash::BuildHasher as _;
use std::time::Duration;

/// Calls `attempt`, with the number of failures so far, until it succeeds or `policy` lets its error stand.
///
/// `policy` gets each error and the number of failures including it; it returns the wait before the next try, or
/// `None`. It is also the place to report the wait.
pub async fn retry<T, E, F>(
    mut policy: impl FnMut(&E, u32) -> Option<Duration>,
    mut attempt: impl FnMut(u32) -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut failures = 0;
    loop {
        let error = match attempt(failures).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        failures += 1;
        match policy(&error, failures) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(error),
        }
    }
}

/// The first wait where nothing asks for another.
pub const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The usual policy: up to `retries` further tries after errors that `is_transient`, with the waits of [`backoff`].
pub fn transient<E>(
    retries: u32,
    first_wait: Duration,
    is_transient: impl Fn(&E) -> bool,
) -> impl FnMut(&E, u32) -> Option<Duration> {
    move |error, failures| {
        (failures <= retries && is_transient(error)).then(|| backoff(first_wait, failures))
    }
}

/// The wait after `failures` failed tries: doubling six times from `first_wait`, so from half a second to 32 s, less up
/// to a half at random, so that clients that failed together do not come back together.
pub fn backoff(first_wait: Duration, failures: u32) -> Duration {
    let longest = first_wait * (1 << failures.saturating_sub(1).min(6));
    // The standard library's hasher keys are the randomness that is at hand.
    let random = std::hash::RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
    longest.mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_somewhere() {
        for (failures, longest) in [(1, 500), (2, 1000), (3, 2000), (7, 32_000), (99, 32_000)] {
            let wait = backoff(FIRST_WAIT, failures).as_millis();
            assert!(
                (longest / 2..=longest).contains(&wait),
                "{failures}: {wait}"
            );
        }
    }

    #[tokio::test]
    async fn what_fails_for_good_is_tried_once_and_what_may_pass_as_often_as_allowed() {
        for (error, tries) in [("final", 1), ("passing", 3)] {
            let mut tried = 0;
            let mut policy = transient(2, FIRST_WAIT, |error: &&str| *error == "passing");
            let ended = retry(
                |error, failures| policy(error, failures).map(|_| Duration::ZERO),
                |failures| {
                    assert_eq!(failures, tried);
                    tried += 1;
                    async move { Err::<(), _>(error) }
                },
            );
            assert_eq!(ended.await, Err(error));
            assert_eq!(tried, tries, "{error}");
        }
    }

    #[tokio::test]
    async fn a_success_ends_the_tries() {
        let ended = retry(
            |_: &(), _| Some(Duration::ZERO),
            async |failures| if failures < 2 { Err(()) } else { Ok(failures) },
        );
        assert_eq!(ended.await, Ok(2));
    }
}
