//! The variables that the program reads, and what in `.env` looks like one of them and is none.

use std::collections::BTreeSet;

use crate::exit::nearest;

/// Every variable, with other names of some in its comments; a test compares it with what the sources read.
const EXAMPLE: &str = include_str!("../../../.env.example");

/// What each registry of a release has after its prefix.
const OF_REGISTRY: [&str; 4] = ["REGISTRY", "NAMESPACE", "USERNAME", "PASSWORD"];

/// The one of the variables that is meant by each of `names` that is none, for names that begin as a variable does, or
/// begin with one slip and go on as one.
/// Registries of the release have the `prefixes`.
pub(super) fn misspelled<'n>(
    names: impl IntoIterator<Item = &'n String>,
    prefixes: &[String],
) -> Vec<(&'n str, String)> {
    let lines = EXAMPLE.lines().filter(|it| !it.starts_with('#'));
    let of_lines = lines.filter_map(|it| Some(it.split_once('=')?.0.to_owned()));
    let own = prefixes
        .iter()
        .flat_map(|prefix| OF_REGISTRY.map(|it| format!("{prefix}_{it}")));
    let variables: BTreeSet<String> = of_lines.chain(own).collect();
    let others: BTreeSet<&str> = EXAMPLE.split('`').skip(1).step_by(2).collect();
    let first = |name: &str| name.split('_').next().unwrap_or_default().to_owned();
    let begins: BTreeSet<String> = variables.iter().map(|it| first(it)).collect();
    let meant = |name: &'n String| {
        let name = name.as_str();
        if variables.contains(name) || others.contains(name) {
            return None;
        }
        if !begins.contains(&first(name)) {
            let (begin, rest) = name.split_at(first(name).len());
            let is_slip = |it: &&String| {
                it.len().abs_diff(begin.len()) <= 1 && strsim::damerau_levenshtein(it, begin) == 1
            };
            let meant = begins
                .iter()
                .filter(is_slip)
                .map(|it| format!("{it}{rest}"));
            let meant = meant.into_iter().find(|it| variables.contains(it))?;
            return Some((name, meant));
        }
        let mut longer = variables.iter().filter(|it| it.starts_with(name));
        // `DOCKER_PASS`, and not `DOCKER`.
        let longer = longer.find(|_| name.len() > first(name).len() + 3);
        let near = || nearest(name, variables.iter().map(String::as_str));
        Some((name, longer.cloned().or_else(|| near().map(str::to_owned))?))
    };
    names.into_iter().filter_map(meant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_variable_is_told_and_what_others_read_is_not() {
        let own = ["HARBOR".to_owned()];
        for (name, meant) in [
            ("RELEASE_VERSON", Some("RELEASE_VERSION")),
            ("DOCKER_USER", Some("DOCKER_USERNAME")),
            ("DOCKER_PASS", Some("DOCKER_PASSWORD")),
            ("AZURE_ACR_PASSWD", Some("AZURE_ACR_PASSWORD")),
            ("REGISTRY_USERNAME", Some("REGISTRY_USER")),
            ("HARBOR_PASSWORT", Some("HARBOR_PASSWORD")),
            ("REGISTY", Some("REGISTRY")),
            ("REGISTRYY", Some("REGISTRY")),
            ("DOCKR_PASSWORD", Some("DOCKER_PASSWORD")),
            ("LOGGER_PASSWORD", None),
            ("HARBOR_PASSWORD", None),
            ("ALIYUN_USERNAME", None),
            ("ALIYUN_NAME_SPACE", None),
            ("DOCKER_BUILDKIT", None),
            ("DOCKER_TLS_VERIFY", None),
            ("DOCKER", None),
            ("GITHUB_ACTOR", None),
            ("GITLAB_TOKEN", None),
            ("AZURE_CLIENT_ID", None),
            ("PATH", None),
        ] {
            let names = [name.to_owned()];
            let found = misspelled(&names, &own);
            let found = found.first().map(|(_, meant)| meant.as_str());
            assert_eq!(found, meant, "{name}");
        }
    }
}
