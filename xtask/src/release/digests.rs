//! Compares the digests that this run published: they are to be the same everywhere.

use std::collections::BTreeMap;

use super::run_state::RunState;
use crate::report::Console;

/// Prints the full digest, which the tables shorten, and warns if the registries hold different ones.
pub(super) fn compare(state: &RunState, console: &Console) {
    let mut registries: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (registry, published) in state.published() {
        let names = registries.entry(published.digest).or_default();
        names.push(registry);
    }
    let lines: Vec<String> = registries
        .iter()
        .map(|(digest, names)| format!("{digest} in {}", names.join(", ")))
        .collect();
    match &lines[..] {
        [] => {}
        [one] => console.info(&format!("\n{one}")),
        several => console.warning(&format!(
            "the registries hold different images: {}\n\
             hint: the same content was compressed differently when it was pushed; delete the tags in one of them and push again",
            several.join("; ")
        )),
    }
}
