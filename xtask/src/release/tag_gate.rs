//! Moving tags are set only when as many registries hold the version as `require` asks for, so that `latest` never
//! names a version that other users cannot pull yet.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::settings::Require;

/// Whether each registry holds the version, as far as its push has ended.
pub struct TagGate(watch::Sender<BTreeMap<String, bool>>);

impl Default for TagGate {
    fn default() -> Self {
        TagGate(watch::Sender::new(BTreeMap::new()))
    }
}

impl TagGate {
    /// Records that the version's push to `registry` has ended, and whether it holds the version now.
    pub fn record(&self, registry: &str, holds: bool) {
        self.0.send_modify(|ended| {
            ended.insert(registry.to_owned(), holds);
        });
    }

    /// Waits until `require` is met, or until all pushes have ended and it is not; then returns why not.
    ///
    /// This run pushes to `pushes` of `registries`; of the rest, `others` hold the version.
    pub async fn wait(
        &self,
        require: &Require,
        registries: &[&str],
        pushes: usize,
        others: &[&str],
    ) -> Option<String> {
        let mut ended = self.0.subscribe();
        loop {
            let (unmet, count) = {
                let ended = ended.borrow_and_update();
                let holds = |name: &str| ended.get(name) == Some(&true) || others.contains(&name);
                (require.unmet(registries, holds), ended.len())
            };
            if unmet.is_none() || count == pushes {
                return unmet;
            }
            // The sender lives as long as this gate.
            let _ = ended.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_gate_opens_when_enough_hold_the_version_and_says_why_when_they_will_not() {
        let gate = TagGate::default();
        let all = ["a", "b", "c"];
        gate.record("a", true);
        assert_eq!(gate.wait(&Require::Any, &all, 2, &[]).await, None);
        let (unmet, ()) = tokio::join!(gate.wait(&Require::All, &all, 2, &["c"]), async {
            gate.record("b", true);
        });
        assert_eq!(unmet, None);
        gate.record("b", false);
        let unmet = gate.wait(&Require::All, &all, 2, &["c"]).await.unwrap();
        assert!(unmet.contains("not on b "), "{unmet}");
    }
}
