//! The registries of a run: one connection for each host and login, looked at once before anything is copied.
//!
//! After [`Registries::open`] every login has been accepted, and the registries that are out of reach are known.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use indexmap::IndexSet;

use super::Request;
use super::waiting::Waiting;
use crate::copy::{Mode, RegistryHost};
use crate::credentials::{Credentials, Login, NoLogin};
use crate::exit::no_problems;
use crate::oci::{Descriptor, Digest, RepositoryName};
use crate::registry::{Error, Options, Registry, Repository};
use crate::settings::Settings;

/// How long to wait for a registry to answer a probe; after that, its images fail by themselves.
const PROBE_LIMIT: Duration = Duration::from_secs(30);

/// How long the others wait for a registry that says nothing at all. Its images have failed then, without further
/// questions: each would wait as long.
const PATIENCE: Duration = Duration::from_secs(15);

/// The registries that a request names.
pub(super) struct Registries {
    by_name: HashMap<RepositoryName, usize>,
    connections: Vec<Connection>,
    /// What is wrong with the settings, and logins that reading does without.
    pub warnings: IndexSet<String>,
}

/// A registry with a login.
pub(super) struct Connection {
    pub registry: Registry,
    pub host: Arc<RegistryHost>,
    /// Why nothing can be read from it, if that is so.
    pub pull_error: Option<Unavailable>,
    /// Why nothing can be written to it, if that is so.
    pub push_error: Option<Unavailable>,
    login: Login,
    /// Some repository of it.
    path: String,
    /// One that this run writes to, if it does.
    written: Option<String>,
}

/// A reason, and the HTTP status behind it.
#[derive(Clone)]
pub(super) struct Unavailable {
    pub reason: String,
    pub status: Option<u16>,
}

impl Registries {
    /// Finds the logins and tries each.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): half a login, or refused ones, all told together.
    pub async fn open(
        settings: &Settings,
        request: &Request,
        retries: u32,
        mode: Mode,
        share: usize,
        waiting: &Waiting<'_>,
    ) -> Result<Registries> {
        let (resolver, warnings) = settings.resolver();
        let mut resolver = resolver.with_logins(request.logins.clone());
        let mut registries = Registries {
            by_name: HashMap::new(),
            connections: Vec::new(),
            warnings: warnings.into_iter().collect(),
        };
        let options = Options {
            retries,
            share: u32::try_from(share).unwrap_or(u32::MAX),
            ..Options::default()
        };
        let mut problems = Vec::new();
        let names = || request.sources().chain(request.destinations());
        resolver.prepare(names()).await;
        let sources: HashSet<&RepositoryName> = request.sources().collect();
        for name in names() {
            if registries.by_name.contains_key(name) {
                continue;
            }
            match resolver.find(name).await {
                Ok(login) => {
                    registries.add(name, login, options)?;
                }
                Err(NoLogin::Missing { host, variables }) => {
                    registries.add(name, anonymous(&host, variables), options)?;
                }
                Err(failed) if failed.is_helper_failure() => {
                    let login = anonymous(name.host(), Vec::new());
                    let reason = failed.to_string();
                    if sources.contains(name) {
                        registries.warnings.insert(format!(
                            "`{}` is read without a login: {reason}",
                            name.host()
                        ));
                    }
                    // Its images fail alone; nobody may write there without the login that there may be.
                    let refusal = Unavailable {
                        reason,
                        status: None,
                    };
                    registries.add(name, login, options)?.push_error = Some(refusal);
                }
                Err(problem) => problems.push(problem.to_string()),
            }
        }
        if mode == Mode::Apply {
            registries.mark_written(request);
        }
        let probes = registries.connections.iter_mut().map(|it| {
            let host = it.host.name.clone();
            async move { waiting.wait(&host, it.probe()).await }
        });
        problems.extend(join_all(probes).await.into_iter().flatten());
        for it in &registries.connections {
            if it.login.credentials != Credentials::Anonymous && it.registry.is_in_clear() {
                registries.warnings.insert(format!(
                    "`{}` does not speak TLS: its password can be read on the way ({})",
                    it.host.name, it.login.origin
                ));
            }
        }
        // Repositories of one registry have the same problem.
        let problems: IndexSet<String> = problems.into_iter().collect();
        no_problems(&Vec::from_iter(problems))?;
        Ok(registries)
    }

    /// What is used to sign in, for masking.
    pub fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        self.connections.iter().map(|it| &it.login.credentials)
    }

    /// The connection for a name of the request.
    pub fn of(&self, name: &RepositoryName) -> &Connection {
        &self.connections[self.by_name[name]]
    }

    fn mark_written(&mut self, request: &Request) {
        for name in request.destinations() {
            if let Some(at) = self.by_name.get(name) {
                self.connections[*at].written = Some(name.path().to_owned());
            }
        }
    }

    fn add(
        &mut self,
        name: &RepositoryName,
        login: Login,
        options: Options,
    ) -> Result<&mut Connection> {
        let host = name.host();
        let is_it = |it: &Connection| {
            it.host.name == host
                && it.login.credentials == login.credentials
                && it.login.insecure == login.insecure
        };
        let at = match self.connections.iter().position(is_it) {
            Some(at) => at,
            None => {
                let options = Options {
                    insecure: login.insecure,
                    ..options
                };
                let registry = Registry::new(host, login.credentials.clone(), options)?;
                self.connections.push(Connection {
                    host: RegistryHost::new(host, registry.clone()),
                    registry,
                    pull_error: None,
                    push_error: None,
                    login,
                    path: name.path().to_owned(),
                    written: None,
                });
                self.connections.len() - 1
            }
        };
        self.by_name.insert(name.clone(), at);
        Ok(&mut self.connections[at])
    }
}

/// Most registries let everyone read. The origin says where a login could be.
fn anonymous(host: &str, variables: Vec<String>) -> Login {
    let mut places = vec!["`--auth FILE`".to_owned()];
    places.extend(variables);
    places.push(format!("or `docker login {host}`"));
    Login {
        credentials: Credentials::Anonymous,
        insecure: false,
        origin: places.join(", "),
    }
}

impl Connection {
    /// Sends the cheapest request that signs in: a HEAD of some blob, whether it exists or not. Returns the problem of
    /// a refused login.
    async fn probe(&mut self) -> Option<String> {
        let host = &self.host.name;
        let repository = self.registry.repository(&self.path);
        let origin = &self.login.origin;
        let blob = Descriptor::new("", Digest::sha256_of(b"{}"), 2);
        let answer = async {
            let answer = repository.has_blob(&blob).await;
            match self.check_login(&repository, &answer).await {
                Err(refusal @ Error::Rejected { .. }) => Err(refusal),
                _ => answer,
            }
        };
        let silence = async {
            tokio::time::sleep(PATIENCE).await;
            if self.registry.has_answered() {
                std::future::pending::<()>().await;
            }
        };
        let answer = tokio::select! {
            answer = tokio::time::timeout(PROBE_LIMIT, answer) => answer.ok()?,
            () = silence => Err(Error::Unreachable {
                url: repository.identity(),
                reason: format!("no answer within {} s", PATIENCE.as_secs()),
            }),
        };
        match answer {
            Err(error @ Error::Rejected { .. }) => return Some(format!("{error} ({origin})")),
            Err(Error::Unreachable { reason, .. }) => {
                let refusal = Unavailable {
                    reason: format!("`{host}` cannot be reached: {reason}"),
                    status: None,
                };
                self.pull_error = Some(refusal.clone());
                self.push_error = Some(refusal);
            }
            // Another repository of it may be readable by everyone, but none is writable.
            Err(error @ Error::Denied { .. })
                if self.login.credentials == Credentials::Anonymous
                    && self.push_error.is_none() =>
            {
                self.push_error = Some(Unavailable {
                    reason: format!("`{host}` requires authentication; hint: {origin}"),
                    status: error.status(),
                });
            }
            _ => {}
        }
        None
    }
    /// Finds a wrong password where a reader needs none: before anything is written, and at one try.
    async fn check_login(
        &self,
        repository: &Repository,
        answer: &Result<bool, Error>,
    ) -> Result<(), Error> {
        if matches!(
            answer,
            Err(Error::Rejected { .. } | Error::Unreachable { .. })
        ) {
            return Ok(());
        }
        let is_known = repository.check_login().await?;
        match &self.written {
            Some(path) if !is_known => self.registry.repository(path).check_push_access().await,
            _ => Ok(()),
        }
    }
}
