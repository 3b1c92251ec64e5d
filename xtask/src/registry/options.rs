//! How a registry is talked to.

use std::time::Duration;

use crate::http;

/// What a caller may choose; the default suits any registry.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// As Docker and image-syncer mean it: the registry's certificate is not checked, and where it does not speak TLS
    /// it is spoken to without. What is on this machine always may.
    pub insecure: bool,
    /// How many clients share what a registry allows to all of them: each takes a part of its ceiling.
    pub share: u32,
    /// Further tries after a transient failure.
    pub retries: u32,
    /// The wait before the first of them; each further one is twice as long.
    pub first_wait: Duration,
    pub stall: Stall,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            insecure: false,
            share: 1,
            retries: 2,
            first_wait: http::FIRST_WAIT,
            stall: Stall::default(),
        }
    }
}

/// How long a request may make no progress. Each request has the one that fits it.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// Of a small request: a silent registry holds up whoever waits for it.
    pub request: Duration,
    /// Of one that moves a blob, or has the registry check one: transfers between continents pause for minutes.
    pub blob: Duration,
}

impl Default for Stall {
    fn default() -> Self {
        Stall {
            request: Duration::from_secs(30),
            blob: Duration::from_secs(120),
        }
    }
}
