//! The order in which logins are looked for.

use std::collections::HashMap;
use std::path::PathBuf;

use super::docker_config::{DockerConfig, DockerConfigError};
use super::{Credentials, Login, Logins, NoLogin, Variables};
use crate::oci::RepositoryName;

/// Finds logins. Docker's configuration is read when nothing else has the login, and its helpers, which are programs,
/// are asked once for each registry.
#[derive(Default)]
pub struct Resolver {
    logins: Logins,
    /// Of a release's registries, by host.
    variables: Vec<(String, Variables)>,
    docker_config: Option<PathBuf>,
    docker: Option<Result<DockerConfig, DockerConfigError>>,
    /// What Docker's configuration gave, by host.
    asked: HashMap<String, Result<Credentials, DockerConfigError>>,
}

impl Resolver {
    /// `variables` are those of a release's registries, by host; `docker_config` is where Docker's own file may be.
    pub fn new(variables: Vec<(String, Variables)>, docker_config: Option<PathBuf>) -> Self {
        Resolver {
            variables,
            docker_config,
            ..Resolver::default()
        }
    }

    /// The same with what files say, which counts first.
    pub fn with_logins(self, logins: Logins) -> Self {
        Resolver { logins, ..self }
    }

    /// The login for a repository that somebody names:
    ///
    /// 1. of the files: `--auth`, then the default registry's variables (`REGISTRY_USER`), the longest prefix first;
    /// 2. the variables of the release's registries at that host, such as `AZURE_ACR_USERNAME`;
    /// 3. Docker's own configuration and its helpers.
    pub async fn find(&mut self, repository: &RepositoryName) -> Result<Login, NoLogin> {
        if let Some(login) = self.logins.find(repository) {
            return Ok(login.clone());
        }
        let host = repository.host();
        let variables = self.variables.iter().filter(|(it, _)| it == host);
        let variables: Vec<Variables> = variables.map(|(_, it)| it.clone()).collect();
        self.login(host, &variables).await
    }

    /// The login for a registry of the release: of its own variables, else of Docker's configuration.
    pub async fn for_registry(
        &mut self,
        host: &str,
        variables: &Variables,
    ) -> Result<Login, NoLogin> {
        self.login(host, std::slice::from_ref(variables)).await
    }

    /// The same without starting a program, for a plan: what only a helper can tell is anonymous, and its origin says
    /// so.
    pub fn planned(&mut self, host: &str, variables: &Variables) -> Result<Login, NoLogin> {
        if let Some(login) = variables.login()? {
            return Ok(login);
        }
        let docker = self.docker()?;
        match docker.helper(host) {
            Some(program) => Ok(Login {
                credentials: Credentials::Anonymous,
                plain_http: false,
                origin: format!(
                    "Docker's login for `{host}`, if `{program}` has one; it is asked in a run"
                ),
            }),
            None => found(docker.stored(host)?, host, vec![variables.names()]),
        }
    }

    async fn login(&mut self, host: &str, variables: &[Variables]) -> Result<Login, NoLogin> {
        for variables in variables {
            if let Some(login) = variables.login()? {
                return Ok(login);
            }
        }
        if !self.asked.contains_key(host) {
            let credentials = match self.docker() {
                Ok(docker) => docker.credentials(host).await,
                Err(problem) => Err(problem),
            };
            self.asked.insert(host.to_owned(), credentials);
        }
        let unset = variables.iter().map(Variables::names).collect();
        found(self.asked[host].clone()?, host, unset)
    }

    fn docker(&mut self) -> Result<&DockerConfig, DockerConfigError> {
        let read = || match &self.docker_config {
            Some(path) => DockerConfig::read(path),
            None => Ok(DockerConfig::default()),
        };
        let docker = self.docker.get_or_insert_with(read);
        docker.as_ref().map_err(Clone::clone)
    }
}

fn found(credentials: Credentials, host: &str, variables: Vec<String>) -> Result<Login, NoLogin> {
    let host = host.to_owned();
    match credentials {
        Credentials::Anonymous => Err(NoLogin::Missing { host, variables }),
        credentials => Ok(Login {
            credentials,
            plain_http: false,
            origin: format!("Docker's login for `{host}`"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Prefix;

    fn variables(prefix: &str, value: &str) -> Variables {
        let names = ["USER", "PASSWORD"].map(|name| format!("{prefix}_{name}"));
        let [username, password] = names;
        let lookup = |_: &str| (!value.is_empty()).then(|| value.to_owned());
        Variables::read(username, password, lookup)
    }

    fn user(login: &Login) -> &str {
        match &login.credentials {
            Credentials::Basic { username, .. } => username,
            _ => "",
        }
    }

    fn docker_config(text: &str) -> (tempfile::TempDir, Option<PathBuf>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        (directory, Some(path))
    }

    const AUTHS: &str = r#"{"auths": {
        "file.io": {"username": "docker", "password": "p"},
        "variables.io": {"username": "docker", "password": "p"},
        "docker.example": {"username": "docker", "password": "p"}
    }}"#;

    #[tokio::test]
    async fn files_count_before_variables_and_those_before_dockers() {
        let (_directory, path) = docker_config(AUTHS);
        let of_hosts =
            ["file.io", "variables.io"].map(|host| (host.to_owned(), variables("A", "variable")));
        let mut logins = Logins::default();
        let login = variables("F", "file").login().unwrap().unwrap();
        assert!(logins.add(Prefix::new("file.io", "team").unwrap(), login));
        let mut resolver = Resolver::new(of_hosts.into(), path).with_logins(logins);
        for (name, expected, origin) in [
            ("file.io/team/app", "file", "`F_USER` and `F_PASSWORD`"),
            ("file.io/other/app", "variable", "`A_USER` and `A_PASSWORD`"),
            ("variables.io/app", "variable", "`A_USER` and `A_PASSWORD`"),
            (
                "docker.example/app",
                "docker",
                "Docker's login for `docker.example`",
            ),
        ] {
            let login = resolver.find(&name.parse().unwrap()).await.unwrap();
            assert_eq!((user(&login), &*login.origin), (expected, origin), "{name}");
        }
        let nothing = resolver.find(&"other.io/app".parse().unwrap()).await;
        assert_eq!(
            nothing.unwrap_err().to_string(),
            "there is no `docker login other.io`"
        );
    }

    #[tokio::test]
    async fn a_registry_of_the_release_has_its_own_variables() {
        let (_directory, path) = docker_config(AUTHS);
        let host = "docker.example".to_owned();
        let others = vec![(host.clone(), variables("OTHER", "other"))];
        let mut resolver = Resolver::new(others, path);
        let own = variables("OWN", "own");
        assert_eq!(
            user(&resolver.for_registry(&host, &own).await.unwrap()),
            "own"
        );
        let unset = variables("OWN", "");
        assert_eq!(
            user(&resolver.for_registry(&host, &unset).await.unwrap()),
            "docker"
        );
        let missing = resolver.for_registry("other.io", &unset).await.unwrap_err();
        assert_eq!(
            missing.to_string(),
            "`OWN_USER` and `OWN_PASSWORD` are not set, and there is no `docker login other.io`"
        );
        let half = Variables::read("U", "P", |name| (name == "P").then(|| "p".to_owned()));
        let half = resolver.for_registry(&host, &half).await.unwrap_err();
        assert_eq!(half.to_string(), "`P` is set and `U` is not");
    }

    #[tokio::test]
    async fn a_broken_configuration_of_dockers_stops_only_who_needs_it() {
        let (_directory, path) = docker_config("{");
        let mut resolver = Resolver::new(Vec::new(), path);
        resolver
            .for_registry("a.io", &variables("A", "a"))
            .await
            .unwrap();
        let error = resolver
            .for_registry("b.io", &variables("B", ""))
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("config.json`: docker's configuration is not readable")
        );
    }

    #[tokio::test]
    async fn a_plan_starts_no_helper() {
        let helper = r#"{"credHelpers": {"a.io": "nowhere-to-be-found"}, "auths": {"b.io": {"auth": "dTpw"}}}"#;
        let (_directory, path) = docker_config(helper);
        let mut resolver = Resolver::new(Vec::new(), path);
        let unset = variables("A", "");
        let planned = resolver.planned("a.io", &unset).unwrap();
        assert!(
            planned
                .origin
                .contains("`docker-credential-nowhere-to-be-found`"),
            "{planned:?}"
        );
        resolver.for_registry("a.io", &unset).await.unwrap_err();
        assert_eq!(user(&resolver.planned("b.io", &unset).unwrap()), "u");
        resolver.planned("c.io", &unset).unwrap_err();
    }
}
