//! What this run has done so far, for the targets that come after and for the report.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use super::base_found::FoundBases;
use crate::oci::{Digest, Manifest, Reference, Tag};
use crate::report::TagBefore;

/// What a push brought to a registry, before its tags are set.
pub struct PushOutcome {
    /// What the version is to name: an image, or an index of several.
    pub manifest: Manifest,
    /// What the engine's push has replaced under the version's tag.
    pub replaced: Option<Digest>,
    /// The bytes uploaded; `None` when everything was there.
    pub pushed: Option<u64>,
}

impl PushOutcome {
    /// Everything was there.
    pub fn already(manifest: Manifest) -> PushOutcome {
        PushOutcome {
            manifest,
            replaced: None,
            pushed: None,
        }
    }
}

/// What a registry holds after its push target.
#[derive(Clone, Debug)]
pub struct Published {
    pub reference: Reference,
    pub digest: Digest,
    /// What the version's own tag named before, if that was something else.
    pub replaced: Option<Digest>,
    /// The tags that name it.
    pub tags: Vec<Tag>,
    /// Those of `tags` that had to be set; the others were right already.
    pub set: Vec<Tag>,
    /// What each moving tag named before.
    pub before: Vec<TagBefore>,
    /// Bytes uploaded.
    pub bytes: u64,
}

/// Why a registry is not pushed to, once that is known.
type Refusal = Shared<BoxFuture<'static, Option<String>>>;

/// Results by the name of the registry.
#[derive(Default)]
pub struct RunState {
    published: Mutex<BTreeMap<String, Published>>,
    refused: Mutex<BTreeMap<String, Refusal>>,
    /// What the preflight found, for the build.
    pub bases: tokio::sync::Mutex<FoundBases>,
    /// The GitHub release was held back because `require` was not met.
    pub require_unmet: AtomicBool,
}

impl RunState {
    /// Records what `registry` holds now.
    pub fn publish(&self, registry: &str, published: Published) {
        self.published
            .lock()
            .expect("no holder panics")
            .insert(registry.to_owned(), published);
    }

    /// What was published so far.
    pub fn published(&self) -> BTreeMap<String, Published> {
        self.published.lock().expect("no holder panics").clone()
    }

    /// Records that `registry` refuses a push, or may do so still.
    pub fn refuse(
        &self,
        registry: &str,
        refusal: impl Future<Output = Option<String>> + Send + 'static,
    ) {
        self.refused
            .lock()
            .expect("no holder panics")
            .insert(registry.to_owned(), refusal.boxed().shared());
    }

    /// Waits until it is known whether `registry` refuses a push: why, if it does.
    pub async fn refusal(&self, registry: &str) -> Option<String> {
        self.refused(registry)?.await
    }

    /// Whether it is known that `registry` does not refuse a push.
    pub fn may_push(&self, registry: &str) -> bool {
        match self.refused(registry) {
            Some(refusal) => refusal.now_or_never() == Some(None),
            None => true,
        }
    }

    fn refused(&self, registry: &str) -> Option<Refusal> {
        let refused = self.refused.lock().expect("no holder panics");
        refused.get(registry).cloned()
    }
}
