//! Whether trying again may help, and when. A refused token and a final refusal are never tried again, and every wait
//! is bounded.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::error::Error;
use crate::http;

/// How often a request is made before its error stands.
pub(super) const TRIES: u32 = 4;

/// The longest rate limit that is waited for; the primary one can take an hour.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// What GitHub asks for when a secondary limit comes without a time.
const UNTIMED: Duration = Duration::from_secs(60);

impl Error {
    /// How long to wait after this many failures, or `None` if this error stands.
    pub(super) fn wait(&self, failures: u32) -> Option<Duration> {
        match self {
            _ if failures >= TRIES => None,
            Error::RateLimited { wait, .. } => (*wait <= LONGEST).then_some(*wait),
            // Something may be there that was not seen before: looking again helps.
            Error::Exists { .. }
            | Error::Unreachable { .. }
            | Error::Unexpected { .. }
            | Error::Refused { status: 500.., .. } => {
                Some(http::backoff(http::FIRST_WAIT, failures))
            }
            _ => None,
        }
    }
}

/// The wait that a rate limit asks for; `None` if the response is none. The secondary limit is a 403 like a
/// missing permission, told apart by its headers and its message.
pub(super) fn rate_limit(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: SystemTime,
) -> Option<Duration> {
    if !matches!(
        status,
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    ) {
        return None;
    }
    let header = |name: &str| headers.get(name)?.to_str().ok();
    if headers.contains_key(RETRY_AFTER) {
        return Some(http::retry_after(headers, now).unwrap_or(UNTIMED));
    }
    if header("x-ratelimit-remaining") == Some("0") {
        let reset = header("x-ratelimit-reset").and_then(|reset| reset.parse().ok());
        let until = reset.and_then(|reset| UNIX_EPOCH.checked_add(Duration::from_secs(reset)));
        return Some(match until {
            // One second more, because the clocks differ.
            Some(until) => until.duration_since(now).unwrap_or_default() + Duration::from_secs(1),
            None => UNTIMED,
        });
    }
    let said = message.to_lowercase().contains("rate limit");
    (said || status == StatusCode::TOO_MANY_REQUESTS).then_some(UNTIMED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(status: u16, headers: &[(&'static str, &str)], message: &str) -> Option<u64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let status = StatusCode::from_u16(status).unwrap();
        rate_limit(status, &headers, message, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_rate_limit_says_when_in_three_ways() {
        assert_eq!(limit(403, &[("retry-after", "7")], ""), Some(7));
        let date = "Mon, 12 Jan 1970 13:46:50 GMT";
        assert_eq!(limit(429, &[("retry-after", date)], ""), Some(10));
        let reset = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1000030"),
        ];
        assert_eq!(limit(403, &reset, ""), Some(31));
    }

    #[test]
    fn a_limit_without_a_time_takes_a_minute() {
        assert_eq!(limit(429, &[], ""), Some(60));
        let message = "You have exceeded a secondary rate limit";
        assert_eq!(
            limit(403, &[("x-ratelimit-remaining", "12")], message),
            Some(60)
        );
    }

    #[test]
    fn a_missing_permission_is_no_rate_limit() {
        let message = "Resource not accessible by integration";
        assert_eq!(
            limit(403, &[("x-ratelimit-remaining", "12")], message),
            None
        );
        assert_eq!(limit(500, &[("retry-after", "7")], ""), None);
    }

    #[test]
    fn an_hour_is_not_waited_for_and_a_refusal_not_repeated() {
        let limited = |seconds| Error::RateLimited {
            what: "test",
            wait: Duration::from_secs(seconds),
        };
        assert_eq!(limited(5).wait(1), Some(Duration::from_secs(5)));
        assert_eq!(limited(3600).wait(1), None);
        assert_eq!(limited(5).wait(TRIES), None);
        let message = String::new();
        assert_eq!(Error::TokenRefused { message }.wait(1), None);
    }
}
