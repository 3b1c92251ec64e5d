//! The dice of the tests that break things at random: the same seed throws the same.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

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
