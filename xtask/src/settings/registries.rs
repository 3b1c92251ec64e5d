//! The registries of a release: the committed facts, completed by the four variables of each prefix.

use indexmap::IndexMap;

use super::env::Environment;
use super::metadata::RegistryMetadata;
use crate::credentials::Variables;
use crate::oci::RepositoryName;

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
        let path = match table.setting("NAMESPACE", table.namespace.as_deref(), environment) {
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
            Err(error) => problems.push(format!(
                "registry `{name}`: {error}\nhint: see `{}`, `{}` and `image`",
                table.variable("REGISTRY"),
                table.variable("NAMESPACE")
            )),
        }
    }
    registries
}

/// The variables of each table by its host, in its canonical spelling.
pub(super) fn by_host(
    tables: &IndexMap<String, RegistryMetadata>,
    environment: &Environment,
) -> Vec<(String, Variables)> {
    let variables = tables.values().filter_map(|table| {
        // Only the host counts here; one that cannot be is none that anybody asks for.
        let any = RepositoryName::new(table.host(environment), "a/a").ok()?;
        Some((any.host().to_owned(), table.variables(environment)))
    });
    variables.collect()
}

/// Whether the name, as text, is understood as one on that host.
fn names_its_host(repository: &RepositoryName) -> bool {
    repository.to_string().parse().as_ref() == Ok(repository)
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

    fn variables(&self, environment: &Environment) -> Variables {
        let (username, password) = (self.variable("USERNAME"), self.variable("PASSWORD"));
        let lookup = |name: &str| environment.get(name).map(str::to_owned);
        Variables::read(username, password, lookup)
    }
}
