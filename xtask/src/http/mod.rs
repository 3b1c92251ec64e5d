//! What every HTTP client here needs and reqwest does not have: waits between tries, readable reasons, loopback.
//!
//! It refuses to know what is asked of whom. Invariant: no reason shows a URL.

use std::error::Error as _;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder};
use url::{Host, Url};

/// The wait after `failures` tries that failed: doubling from half a second to 32 s, of which up to a half is left out
/// by chance, so that those who failed together do not come back together.
pub fn backoff(failures: u32) -> Duration {
    let longest = Duration::from_millis(500 << failures.saturating_sub(1).min(6));
    // The standard library's hasher keys are the randomness that is at hand.
    let random = std::hash::RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
    longest.mul_f64(0.5 + random / 2.0)
}

/// The `Retry-After` of an answer, which is in seconds or a date (RFC 9110, 10.2.3).
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// Why a request got no answer: the innermost cause, which is the one that helps.
pub fn reason(error: &reqwest::Error) -> String {
    let mut innermost: Option<&dyn std::error::Error> = None;
    let mut next = error.source();
    while let Some(cause) = next {
        innermost = Some(cause);
        next = cause.source();
    }
    match innermost.filter(|cause| !cause.is::<reqwest::Error>()) {
        Some(cause) => cause.to_string(),
        // reqwest's own text would end in the whole URL.
        None if error.is_timeout() => "timed out".to_owned(),
        None => "the request failed".to_owned(),
    }
}

/// Whether `url` is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// A client for the server at `base`, as `builder` makes it.
///
/// It does not tell a redirect's target where it came from, because that URL may be signed; it does not ask a proxy
/// for what is on this machine; and a machine without certificates can still speak plain HTTP.
pub fn client(base: &Url, builder: impl Fn() -> ClientBuilder) -> reqwest::Result<Client> {
    let builder = || {
        let builder = builder()
            .user_agent(concat!("hagicode-xtask/", env!("CARGO_PKG_VERSION")))
            .referer(false);
        if is_loopback(base) {
            builder.no_proxy()
        } else {
            builder
        }
    };
    match builder().build() {
        Err(_) if base.scheme() == "http" => builder().tls_certs_only([]).build(),
        client => client,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_somewhere() {
        for (failures, longest) in [(1, 500), (2, 1000), (3, 2000), (7, 32_000), (99, 32_000)] {
            let wait = backoff(failures).as_millis();
            assert!(
                (longest / 2..=longest).contains(&wait),
                "{failures}: {wait}"
            );
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = httpdate::parse_http_date("Fri, 20 Nov 2026 10:00:00 GMT").unwrap();
        let read = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            read("Fri, 20 Nov 2026 10:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(read("Fri, 20 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
