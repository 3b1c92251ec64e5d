//! `[workspace.metadata.release]`: the facts of a release that are committed with the project.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Result;
use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cli::BuilderChoice;
use crate::exit::bad_input;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ReleaseMetadata {
    pub image: String,
    pub platforms: Vec<String>,
    pub base_image: String,
    pub package_index: String,
    pub github_repository: String,
    #[serde(default)]
    pub builder: BuilderChoice,
    #[serde(default)]
    pub require: Require,
    /// In the order of the file.
    pub registries: IndexMap<String, RegistryMetadata>,
}

/// The part of it that tells where images are; the rest need not be right.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RegistriesMetadata {
    pub image: String,
    pub registries: IndexMap<String, RegistryMetadata>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistryMetadata {
    pub prefix: String,
    pub registry: Option<String>,
    pub namespace: Option<String>,
}

/// Which registries must hold the image before the GitHub release is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    rename_all = "lowercase",
    expecting = "expected \"any\", \"all\" or a list of registries"
)]
pub enum Require {
    #[default]
    Any,
    All,
    #[serde(untagged)]
    These(Vec<String>),
}

impl Require {
    /// Why it is not met, if it is not: `registries` are all there are, and `holds` says which hold the image.
    pub fn unmet(&self, registries: &[&str], holds: impl Fn(&str) -> bool) -> Option<String> {
        let missing = |names: &mut dyn Iterator<Item = &str>| {
            let missing: Vec<&str> = names.filter(|name| !holds(name)).collect();
            (!missing.is_empty()).then(|| missing.join(", "))
        };
        match self {
            Require::Any if registries.iter().any(|name| holds(name)) => None,
            Require::Any => Some("no registry holds the image (`require = \"any\"`)".to_owned()),
            Require::All => missing(&mut registries.iter().copied())
                .map(|names| format!("the image is not on {names} (`require = \"all\"`)")),
            Require::These(names) => missing(&mut names.iter().map(String::as_str))
                .map(|names| format!("the image is not on {names} (`require` names it)")),
        }
    }
}

impl ReleaseMetadata {
    pub fn check_require(&self, problems: &mut Vec<String>) {
        let Require::These(names) = &self.require else {
            return;
        };
        for name in names
            .iter()
            .filter(|name| !self.registries.contains_key(*name))
        {
            let known: Vec<&str> = self.registries.keys().map(String::as_str).collect();
            problems.push(format!(
                "`require` names `{name}`, which is none of the registries {}",
                known.join(", ")
            ));
        }
    }
}

#[derive(Deserialize)]
struct Manifest<T> {
    workspace: Workspace<T>,
}

#[derive(Deserialize)]
struct Workspace<T> {
    metadata: Metadata<T>,
}

#[derive(Deserialize)]
struct Metadata<T> {
    release: T,
}

/// Whether the file at `path` has the table, or may have it: who needs it hears what is wrong with the file.
pub(super) fn may_hold_facts(path: &Path) -> bool {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            text.parse::<toml::Table>().is_err()
                || toml::from_str::<Manifest<toml::Table>>(&text).is_ok()
        }
        Err(error) => error.kind() == ErrorKind::InvalidData,
    }
}

/// The facts of the release whose workspace is `root`, or part of them.
pub(super) fn read<T: DeserializeOwned>(root: &Path) -> Result<T> {
    let path = root.join("Cargo.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| bad_input(format!("`{}`: {error}", path.display())))?;
    let manifest: Manifest<T> = toml::from_str(&text)
        .map_err(|error| bad_input(format!("`{}`: {error}", path.display())))?;
    Ok(manifest.workspace.metadata.release)
}
