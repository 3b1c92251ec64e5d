//! What a release and a sync talk to, in this process and with knobs: one set, for the tests and the demo.
//!
//! | module | what it is |
//! |---|---|
//! | [`registry`] | [`FakeRegistry`]: OCI distribution in memory, with a [`registry::Behavior`] and [`registry::Rule`]s of [`registry::Fault`]s; a [`registry::FaultProxy`] before a real one |
//! | [`github`] | [`FakeGithub`]: releases and their assets |
//! | [`feed`] | [`FakeFeed`]: a package index and its files |
//! | [`http`] | the server that the three run on, for a test that needs another one |
//! | [`zips`] | packages, good and forged |
//!
//! The fakes record what clients sent and never judge it. Without knobs and faults each behaves as the real one does.

pub mod feed;
pub mod github;
pub mod http;
pub mod registry;
pub mod zips;

pub use feed::FakeFeed;
pub use github::FakeGithub;
pub use registry::FakeRegistry;

use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use sha2::{Digest as _, Sha256, Sha512};

/// Bytes that do not compress, the same for the same `seed`.
pub fn noise(seed: &str, length: usize) -> Bytes {
    let mut state = seed.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| next()).collect();
    bytes.truncate(length);
    bytes.into()
}

/// The digest of `bytes` by the algorithm of `like`, which is a digest too.
fn digest_like(like: &str, bytes: &[u8]) -> String {
    match like.split_once(':') {
        Some(("sha512", _)) => format!("sha512:{}", hex(&Sha512::digest(bytes))),
        _ => format!("sha256:{}", sha256(bytes)),
    }
}

/// In hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().expect("no holder panics")
}
