//! The order in which logins are looked for.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use futures_util::future::join_all;

use super::docker_config::{DockerConfig, DockerConfigError};
use super::{Credentials, Login, Logins, NoLogin, Prefix, Variables};
use crate::oci::RepositoryName;

/// Finds logins. Docker's configuration is read when nothing else has the login, and its helpers, which are programs,
/// are asked once for each registry.
#[derive(Default)]
pub struct Resolver {
    logins: Logins,
    registries: Vec<ReleaseRegistry>,
    docker_config: Option<PathBuf>,
    docker: Option<Result<DockerConfig, DockerConfigError>>,
    /// What its helpers gave, by host.
    asked: HashMap<String, Result<Option<Credentials>, DockerConfigError>>,
    /// The variables that no helper sees.
    withheld: Vec<String>,
}

/// A registry of the release, as far as it matters for who signs in.
pub struct ReleaseRegistry {
    pub name: String,
    /// Its host and its namespace there.
    pub prefix: Prefix,
    pub variables: Variables,
}

impl Resolver {
    /// `registries` are those of a release; `docker_config` is where Docker's own file may be.
    pub fn new(registries: Vec<ReleaseRegistry>, docker_config: Option<PathBuf>) -> Self {
        Resolver {
            registries,
            docker_config,
            ..Resolver::default()
        }
    }

    /// The same with what files say, which counts first.
    pub fn with_logins(self, logins: Logins) -> Self {
        Resolver { logins, ..self }
    }

    /// The same, and helpers do not see these variables.
    pub fn withholding(self, withheld: Vec<String>) -> Self {
        Resolver { withheld, ..self }
    }

    /// The login for a repository that somebody names:
    ///
    /// 1. of the files: `--auth`, then the default registry's variables (`REGISTRY_USER`), the longest prefix first;
    /// 2. the variables of the release's registries at that host, such as `AZURE_ACR_USERNAME`, first of the one with
    ///    the longest namespace that the repository is in;
    /// 3. Docker's own configuration and its helpers;
    /// 4. nobody; an entry of the files without a login says only whether the registry is insecure.
    pub async fn find(&mut self, repository: &RepositoryName) -> Result<Login, NoLogin> {
        let login = match self.given(repository)? {
            Ok(login) => Ok(login),
            Err(unset) => self.dockers_login(repository, unset).await,
        };
        match (login, self.logins.find(repository)) {
            (Ok(mut login), Some(entry)) => {
                login.insecure |= entry.insecure;
                Ok(login)
            }
            (Err(_), Some(entry)) => Ok(entry.clone()),
            (login, _) => login,
        }
    }

    /// Asks the helpers for what [`Self::find`] will need of them, all at once, so that none waits for another.
    pub async fn prepare(&mut self, repositories: impl IntoIterator<Item = &RepositoryName>) {
        let repositories = repositories.into_iter();
        let needed = repositories.filter(|it| matches!(self.given(it), Ok(Err(_))));
        let hosts: BTreeSet<&str> = needed.map(RepositoryName::host).collect();
        self.ask(hosts).await;
    }

    /// The login that files or variables give; without one, the variables that could.
    fn given(&self, repository: &RepositoryName) -> Result<Result<Login, Vec<String>>, NoLogin> {
        let login = self.logins.find(repository);
        if let Some(login) = login.filter(|it| it.credentials != Credentials::Anonymous) {
            return Ok(Ok(login.clone()));
        }
        let host = repository.host();
        let registries = self.registries.iter().filter(|it| it.prefix.is_at(host));
        let mut registries: Vec<_> = registries
            .map(|it| (it.prefix.fit(repository), &it.variables))
            .collect();
        registries.sort_by_key(|(fit, _)| Reverse(*fit));
        let mut half = None;
        for (fit, variables) in &registries {
            match variables.login() {
                Ok(Some(login)) => return Ok(Ok(login)),
                Ok(None) => {}
                Err(problem) if fit.is_some() => return Err(problem),
                Err(problem) => half = Some(problem),
            }
        }
        if let Some(half) = half {
            return Err(half);
        }
        Ok(Err(registries.iter().map(|(_, it)| it.names()).collect()))
    }

    /// The login for what a report says of a registry: its own one, if the release still has it there.
    pub async fn find_reported(
        &mut self,
        registry: &str,
        repository: &RepositoryName,
    ) -> Result<Login, NoLogin> {
        let host = repository.host();
        let mut own = self.registries.iter();
        match own.find(|it| it.name == registry && it.prefix.is_at(host)) {
            Some(own) => {
                let variables = own.variables.clone();
                self.for_registry(repository, &variables).await
            }
            None => self.find(repository).await,
        }
    }

    /// The login for a registry of the release: of its own variables, else of Docker's configuration.
    pub async fn for_registry(
        &mut self,
        repository: &RepositoryName,
        variables: &Variables,
    ) -> Result<Login, NoLogin> {
        match variables.login()? {
            Some(login) => Ok(login),
            None => {
                let unset = vec![variables.names()];
                self.dockers_login(repository, unset).await
            }
        }
    }

    /// The same without starting a program, for a plan: what only a helper can tell is anonymous, and its origin says
    /// so.
    pub fn planned(
        &mut self,
        repository: &RepositoryName,
        variables: &Variables,
    ) -> Result<Login, NoLogin> {
        if let Some(login) = variables.login()? {
            return Ok(login);
        }
        let docker = self.docker().as_ref().map_err(Clone::clone)?;
        let host = repository.host();
        match docker.helper(host) {
            Some(helper) => Ok(Login {
                credentials: Credentials::Anonymous,
                insecure: false,
                origin: format!(
                    "Docker's login for `{host}`, if `{}` has one; it is asked in a run",
                    helper.program
                ),
            }),
            None => found(docker.stored(repository)?, host, vec![variables.names()]),
        }
    }

    /// Asks the helpers of Docker's configuration for these hosts, all at once, so that no login has to wait for
    /// another's helper.
    pub async fn ask(&mut self, hosts: impl IntoIterator<Item = &str>) {
        let hosts = hosts.into_iter().map(str::to_owned);
        let hosts: BTreeSet<String> = hosts.filter(|it| !self.asked.contains_key(it)).collect();
        let withheld = self.withheld.clone();
        let Ok(docker) = self.docker() else {
            return;
        };
        let helpers = hosts
            .into_iter()
            .filter_map(|host| Some((docker.helper(&host)?, host)));
        let answers = helpers.map(|(helper, host)| async {
            let answer = helper.ask(&withheld).await;
            (host, answer.map_err(DockerConfigError::from))
        });
        let answers = join_all(answers).await;
        self.asked.extend(answers);
    }

    /// `unset` are the variables that could have said it. Docker's order: the host's own helper, the general one, the
    /// file itself.
    async fn dockers_login(
        &mut self,
        repository: &RepositoryName,
        unset: Vec<String>,
    ) -> Result<Login, NoLogin> {
        let host = repository.host();
        self.ask([host]).await;
        let asked = self.asked.get(host).cloned().unwrap_or(Ok(None));
        let docker = self.docker().as_ref().map_err(Clone::clone)?;
        let credentials = match asked {
            Ok(Some(credentials)) => credentials,
            Ok(None) => docker.stored(repository)?,
            // What is left of another machine's helper stops nobody who has a login here.
            Err(failure) => match docker.stored(repository)? {
                Credentials::Anonymous => return Err(failure.into()),
                stored => stored,
            },
        };
        found(credentials, host, unset)
    }

    fn docker(&mut self) -> &Result<DockerConfig, DockerConfigError> {
        let read = || match &self.docker_config {
            Some(path) => DockerConfig::read(path),
            None => Ok(DockerConfig::default()),
        };
        self.docker.get_or_insert_with(read)
    }
}

fn found(credentials: Credentials, host: &str, variables: Vec<String>) -> Result<Login, NoLogin> {
    let host = host.to_owned();
    match credentials {
        Credentials::Anonymous => Err(NoLogin::Missing { host, variables }),
        credentials => Ok(Login {
            credentials,
            insecure: false,
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

    fn registry(name: &str, host: &str, namespace: &str, variables: Variables) -> ReleaseRegistry {
        ReleaseRegistry {
            name: name.to_owned(),
            prefix: Prefix::new(host, namespace).unwrap(),
            variables,
        }
    }

    fn at(host: &str) -> RepositoryName {
        format!("{host}/team/app").parse().unwrap()
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
        let of_hosts = ["file.io", "variables.io"]
            .map(|host| registry("a", host, "team", variables("A", "variable")));
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
        let others = vec![registry("o", &host, "", variables("OTHER", "other"))];
        let mut resolver = Resolver::new(others, path);
        let own = variables("OWN", "own");
        assert_eq!(
            user(&resolver.for_registry(&at(&host), &own).await.unwrap()),
            "own"
        );
        let unset = variables("OWN", "");
        assert_eq!(
            user(&resolver.for_registry(&at(&host), &unset).await.unwrap()),
            "docker"
        );
        let missing = resolver
            .for_registry(&at("other.io"), &unset)
            .await
            .unwrap_err();
        assert_eq!(
            missing.to_string(),
            "`OWN_USER` and `OWN_PASSWORD` are not set, and there is no `docker login other.io`"
        );
        let half = Variables::read("U", "P", |name| (name == "P").then(|| "p".to_owned()));
        let half = resolver.for_registry(&at(&host), &half).await.unwrap_err();
        assert_eq!(half.to_string(), "`P` is set and `U` is not");
    }

    #[tokio::test]
    async fn registries_at_one_host_do_not_lend_their_logins() {
        let half = Variables::read("U", "P", |name| (name == "P").then(|| "p".to_owned()));
        let tables = vec![
            registry("half", "a.io", "teamh", half),
            registry("all", "a.io", "", variables("ALL", "all")),
            registry("one", "a.io", "teama", variables("ONE", "one")),
            registry("two", "a.io", "teamb", variables("TWO", "two")),
        ];
        let mut resolver = Resolver::new(tables, None);
        for (name, expected) in [
            ("a.io/teama/app", Some("one")),
            ("a.io/teamb/app", Some("two")),
            ("a.io/elsewhere/app", Some("all")),
            ("a.io/teamh/app", None),
        ] {
            let login = resolver.find(&name.parse().unwrap()).await.ok();
            assert_eq!(login.as_ref().map(user), expected, "{name}");
        }
        let moved = "a.io/moved/app".parse().unwrap();
        let login = resolver.find_reported("two", &moved).await.unwrap();
        assert_eq!(user(&login), "two");
        let elsewhere = "b.io/teamb/app".parse().unwrap();
        resolver.find_reported("two", &elsewhere).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_broken_configuration_of_dockers_stops_only_who_needs_it() {
        let (_directory, path) = docker_config("{");
        let mut resolver = Resolver::new(Vec::new(), path);
        resolver
            .for_registry(&at("a.io"), &variables("A", "a"))
            .await
            .unwrap();
        let error = resolver
            .for_registry(&at("b.io"), &variables("B", ""))
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
        let planned = resolver.planned(&at("a.io"), &unset).unwrap();
        assert!(
            planned
                .origin
                .contains("`docker-credential-nowhere-to-be-found`"),
            "{planned:?}"
        );
        resolver
            .for_registry(&at("a.io"), &unset)
            .await
            .unwrap_err();
        assert_eq!(user(&resolver.planned(&at("b.io"), &unset).unwrap()), "u");
        resolver.planned(&at("c.io"), &unset).unwrap_err();
    }
}
