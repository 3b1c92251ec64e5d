//! What the tests that break things at random have in common: the same seed breaks the same.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use fakes::registry::{Fault, FaultProxy, Rule};
use hyper::Method;

/// The seed of a run by hand; without it, the one that everybody's tests have.
const VARIABLE: &str = "CHAOS_SEED";
const SEED: u64 = 20_261_127;

/// A number for what has to be chosen, that depends on the seed and on nothing else.
pub fn dice(seed: u64, what: impl std::hash::Hash) -> usize {
    let mut hasher = DefaultHasher::new();
    (seed, what).hash(&mut hasher);
    usize::try_from(hasher.finish() >> 33).expect("31 bits are a number")
}

/// The seed of this run, which is printed, so that a failure can be seen again.
pub fn seed() -> u64 {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().expect("`CHAOS_SEED` is a whole number"),
        Err(_) => SEED,
    };
    println!("{VARIABLE}={seed}");
    seed
}

/// Ten faults, so that about so many of a hundred requests meet each, and three refusals of a
/// tag.
pub fn spoil(proxy: &FaultProxy, seed: u64, percent: u64) {
    // A passing refusal of a tag must not make another image of it.
    let refused = r#"{"errors":[{"code":"MANIFEST_INVALID"}]}"#;
    for number in 1..=3 {
        let tag = Rule::new(Fault::Respond(400, &[], refused)).method(Method::PUT);
        let at = 1 + dice(seed, ("refused", number)) % 200;
        proxy.rule(tag.path("/manifests/v").nth(at));
    }
    let now = &[("retry-after", "0")];
    let faults = [
        (None, "/v2/", Fault::Respond(500, &[], "<html>oops</html>")),
        (None, "/v2/", Fault::WrongStatus(502)),
        (None, "/v2/", Fault::Respond(503, now, "busy")),
        (
            None,
            "/v2/",
            Fault::Respond(429, now, r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#),
        ),
        (None, "/v2/", Fault::Disconnect),
        (None, "/v2/", Fault::CloseAfter(0)),
        (None, "/v2/", Fault::CloseAfter(5_000)),
        (Some(Method::GET), "/v2/", Fault::Truncate(100)),
        // What is asked by digest can be told from what was meant.
        (Some(Method::GET), "/sha256:", Fault::CorruptAt(3_000)),
        (
            Some(Method::GET),
            "/blobs/",
            Fault::Drip(4_000, Duration::from_millis(5)),
        ),
    ];
    for (number, (method, part, fault)) in (0..).zip(faults) {
        // Those that only a GET meets are as frequent among all requests.
        let share = if method.is_some() {
            3 * percent
        } else {
            percent
        };
        let mut rule = Rule::new(fault).path(part).share(share, seed + number);
        if let Some(method) = method {
            rule = rule.method(method);
        }
        proxy.rule(rule);
    }
}
