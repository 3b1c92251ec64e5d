//! The registries of a release: the committed facts, completed by the four variables of each prefix.

use indexmap::IndexMap;

use super::env::Environment;
use super::metadata::RegistryMetadata;
use crate::credentials::{Prefix, ReleaseRegistry, Variables};
use crate::oci::{ReferenceError, RepositoryName};

/// One registry that the image is published to.
#[derive(Debug)]
pub struct RegistrySettings {
    /// Its key in the metadata table.
    pub name: String,
    /// Its push target.
    pub target: String,
    /// The host, the namespace and the image as one name.
    pub repository: RepositoryName,
    /// Its own, which sign in there.
    pub variables: Variables,
}

pub(super) fn all(
    image: &str,
    tables: &IndexMap<String, RegistryMetadata>,
    environment: &Environment,
    problems: &mut Vec<String>,
) -> Vec<RegistrySettings> {
    if tables.is_empty() {
        problems.push("`[workspace.metadata.release.registries]` names no registry".to_owned());
    }
    let mut registries = Vec::new();
    for (name, table) in tables {
        let prefix = &table.prefix;
        if name == "all"
            || !name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            problems.push(format!(
                "registry `{name}`: a name is lower-case letters, digits and dashes, and not `all`"
            ));
        }
        let is_allowed = |b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        if prefix.is_empty() || !prefix.bytes().all(is_allowed) {
            problems.push(format!(
                "registry `{name}`: `prefix` is upper-case letters, digits and underscores"
            ));
        }
        let host = table.host(environment);
        let path = match table.namespace(environment) {
            "" => image.to_owned(),
            namespace => format!("{namespace}/{image}"),
        };
        match RepositoryName::new(host, &path) {
            // The engine would push to `docker.io/myhost/…`, and sign in there with these credentials.
            Ok(repository) if !names_its_host(&repository) => problems.push(format!(
                "registry `{name}`: an engine takes `{host}` for a path on Docker Hub\nhint: write `{host}:443`"
            )),
            Ok(repository) => registries.push(RegistrySettings {
                name: name.clone(),
                target: if name == "dockerhub" {
                    "docker-push".to_owned()
                } else {
                    format!("docker-push-{name}")
                },
                repository,
                variables: table.variables(environment),
            }),
            Err(error) => problems.push(table.problem(name, &error)),
        }
    }
    registries
}

/// Who signs in to each table's registry. One that nothing says the host of is none that anybody asks for.
pub(super) fn logins(
    tables: &IndexMap<String, RegistryMetadata>,
    environment: &Environment,
    problems: &mut Vec<String>,
) -> Vec<ReleaseRegistry> {
    let mut registries = Vec::new();
    let tables = tables.iter();
    for (name, table) in tables.filter(|(_, it)| !it.host(environment).is_empty()) {
        match Prefix::new(table.host(environment), table.namespace(environment)) {
            Ok(prefix) => registries.push(ReleaseRegistry {
                name: name.clone(),
                prefix,
                variables: table.variables(environment),
            }),
            Err(error) => problems.push(table.problem(name, &error)),
        }
    }
    registries
}

/// Whether the name, in the small letters that engines and logins know its host by, is understood as one on that host.
fn names_its_host(repository: &RepositoryName) -> bool {
    let name = format!("{}/{}", repository.host(), repository.path());
    name.parse().as_ref() == Ok(repository)
}

impl RegistryMetadata {
    fn variable(&self, suffix: &str) -> String {
        format!("{}_{suffix}", self.prefix)
    }

    /// The variable with that suffix, else the `fact`.
    fn setting<'s>(
        &'s self,
        suffix: &str,
        fact: Option<&'s str>,
        environment: &'s Environment,
    ) -> &'s str {
        let variable = environment.get(&self.variable(suffix));
        variable.or(fact).unwrap_or_default()
    }

    fn host<'s>(&'s self, environment: &'s Environment) -> &'s str {
        self.setting("REGISTRY", self.registry.as_deref(), environment)
    }

    fn namespace<'s>(&'s self, environment: &'s Environment) -> &'s str {
        self.setting("NAMESPACE", self.namespace.as_deref(), environment)
    }

    fn problem(&self, name: &str, error: &ReferenceError) -> String {
        format!(
            "registry `{name}`: {error}\nhint: see `{}`, `{}` and `image`",
            self.variable("REGISTRY"),
            self.variable("NAMESPACE")
        )
    }

    fn variables(&self, environment: &Environment) -> Variables {
        let (username, password) = (self.variable("USERNAME"), self.variable("PASSWORD"));
        let lookup = |name: &str| environment.get(name).map(str::to_owned);
        Variables::read(username, password, lookup)
    }
}
