//! The two tag_gate of a publication: the version everywhere, then the moving tags.
//!
//! A moving tag such as `latest` is set only once as many registries hold the version as `require` asks for, so that it
//! never names, for some users, a version that a registry it should be on does not have.

use std::collections::BTreeMap;

use tokio::sync::watch;

use super::plan::PushPlan;
use super::world::World;
use crate::oci::{Digest, TagOrDigest};
use crate::settings::{Login, Require};

/// How the first phase ended at each registry where it has.
pub struct TagGate {
    ended: watch::Sender<BTreeMap<String, bool>>,
}

impl Default for TagGate {
    fn default() -> Self {
        TagGate {
            ended: watch::Sender::new(BTreeMap::new()),
        }
    }
}

impl TagGate {
    /// Says that the first phase has ended at `registry`, and whether it holds the version now.
    pub fn end(&self, registry: &str, holds: bool) {
        self.ended.send_modify(|ended| {
            ended.insert(registry.to_owned(), holds);
        });
    }
}

/// Waits until it is known whether `require` is met; returns why not, if it is not. `digest` is what the version names.
pub async fn unmet(world: &World<'_>, digest: &Digest) -> Option<String> {
    // What this run does not push to is asked once.
    let mut elsewhere = BTreeMap::new();
    for push in world.plan.pushes.iter().filter(|push| !runs(world, push)) {
        if world.settings.require != Require::Any {
            elsewhere.insert(push.registry.clone(), holds(world, push, digest).await);
        }
    }
    let expected = world
        .plan
        .pushes
        .iter()
        .filter(|push| runs(world, push))
        .count();
    let mut ended = world.tag_gate.ended.subscribe();
    loop {
        let known: BTreeMap<String, bool> = {
            let ended = ended.borrow_and_update();
            ended
                .iter()
                .chain(&elsewhere)
                .map(|(name, holds)| (name.clone(), *holds))
                .collect()
        };
        let unmet = world
            .settings
            .require
            .unmet(&world.names(), |name| known.get(name) == Some(&true));
        if unmet.is_none() || known.len() - elsewhere.len() == expected {
            return unmet;
        }
        // The sender lives as long as the world.
        let _ = ended.changed().await;
    }
}

/// Whether the push target of this registry runs in this run.
pub(super) fn runs(world: &World<'_>, push: &PushPlan) -> bool {
    world.is_scheduled(&push.target)
        && matches!(world.registry(&push.registry).login, Login::Ready { .. })
}

async fn holds(world: &World<'_>, push: &PushPlan, digest: &Digest) -> bool {
    let at = TagOrDigest::Tag(push.immutable.clone());
    match world.repository(&push.registry) {
        Ok(repository) => {
            matches!(repository.head_manifest(&at).await, Ok(Some(head)) if head.digest == *digest)
        }
        Err(_) => false,
    }
}
