//! Whether a registry serves HEAD of manifests. Some answer it with an error, or call every manifest absent or
//! forbidden (Nexus, proxies before others), while GET serves them.

use std::sync::atomic::{AtomicU32, Ordering};

use super::error::Error;

/// What has been seen of one registry.
#[derive(Default)]
pub(super) struct HeadSupport {
    /// How often GET agreed with HEAD that a manifest is not there; [`MISSING`] once it did not.
    agreed: AtomicU32,
}

/// After so many agreements, HEAD is believed.
const ENOUGH: u32 = 4;

const MISSING: u32 = u32::MAX;

impl HeadSupport {
    /// HEAD is not to be tried any more.
    pub(super) fn is_missing(&self) -> bool {
        self.agreed.load(Ordering::Relaxed) == MISSING
    }

    /// HEAD has told of a manifest.
    pub(super) fn works(&self) {
        self.agreed.fetch_max(ENOUGH, Ordering::Relaxed);
    }

    /// Whether GET may answer otherwise than HEAD did, with `error`.
    pub(super) fn is_doubtful(&self, error: &Error) -> bool {
        match error.status() {
            Some(400 | 405 | 501) => true,
            Some(403 | 404) => self.agreed.load(Ordering::Relaxed) < ENOUGH,
            _ => false,
        }
    }

    /// GET found the manifest that HEAD did not, or did not either.
    pub(super) fn compare(&self, is_found: bool) {
        match is_found {
            true => self.agreed.store(MISSING, Ordering::Relaxed),
            false => {
                let more = |agreed: u32| (agreed < ENOUGH).then(|| agreed + 1);
                let _ = self
                    .agreed
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_to_be_missing_stays_so() {
        let support = HeadSupport::default();
        support.compare(true);
        // The answer to a question that was on its way.
        support.compare(false);
        assert!(support.is_missing());
    }
}
