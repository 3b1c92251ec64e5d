//! The clients of a run: one for each registry, one for the engine, and HTTP for packages and GitHub.

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::join_all;
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use super::logins::RegistryLogins;
use crate::credentials::{Credentials, Login, NoLogin, Resolver};
use crate::engine::Engine;
use crate::exit::{bad_input, sentence};
use crate::http;
use crate::oci::RepositoryName;
use crate::registry::{Error, Options, Registry, Repository};
use crate::settings::{EngineAddress, RegistrySettings, ReleaseSettings};

/// A registry of the settings with its one client, so that all requests share its tokens, connections and pauses.
pub struct RegistryClient<'s> {
    pub settings: &'s RegistrySettings,
    pub login: Result<Login, NoLogin>,
    pub registry: Registry,
}

impl RegistryClient<'_> {
    /// The repository of the image.
    pub fn repository(&self) -> Repository {
        self.registry.repository(self.settings.repository.path())
    }

    /// Whether there are credentials for it.
    pub fn is_signed_in(&self) -> bool {
        self.login.is_ok()
    }

    /// The error that the credentials were refused, naming where to look.
    pub fn login_refused(&self, sentence: String) -> anyhow::Error {
        // The hint of the registry's client knows less.
        let sentence = sentence
            .split("; hint: ")
            .next()
            .unwrap_or_default()
            .to_owned();
        match &self.login {
            Ok(login) => bad_input(format!("{sentence}\nhint: check {}", login.origin)),
            Err(_) => anyhow!(sentence),
        }
    }

    /// `error` in one sentence, which says where the login is from if that is the matter.
    pub fn explained(&self, error: &anyhow::Error) -> String {
        explained(self.login.as_ref().ok(), error)
    }
}

/// `error` in one sentence, which says where `login` is from if that is the matter.
pub fn explained(login: Option<&Login>, error: &anyhow::Error) -> String {
    let Some(login) = login else {
        return sentence(error);
    };
    let origin = &login.origin;
    match error.downcast_ref() {
        Some(Error::Rejected { host, response }) => {
            format!("`{host}` refused the login: {response}; hint: check {origin}")
        }
        Some(Error::Denied {
            namespace,
            response,
            ..
        }) => {
            format!("{response}; hint: does `{namespace}` exist, and may {origin} do that there?")
        }
        _ => sentence(error),
    }
}

/// A repository that images are read from, and who reads them.
pub struct BaseRepository {
    pub repository: Repository,
    pub login: Result<Login, NoLogin>,
}

impl BaseRepository {
    /// `error`, with what would let the repository be read if that is the matter.
    pub fn explained(&self, error: Error) -> anyhow::Error {
        let (Error::Rejected { response, .. } | Error::Denied { response, .. }) = &error else {
            return error.into();
        };
        let hint = match &self.login {
            Ok(login) => format!("does it exist, and is {} right?", login.origin),
            Err(no_login) => format!("does it exist? If it is private, {}", no_login.remedy()),
        };
        bad_input(format!("{response}\nhint: {hint}"))
    }
}

/// The registries of the settings; none is contacted before it is asked something.
pub struct Registries<'s>(Vec<RegistryClient<'s>>);

impl<'s> Registries<'s> {
    /// `logins` has one for each of them, or says why not.
    pub fn new(settings: &'s [RegistrySettings], logins: &RegistryLogins) -> Result<Self> {
        let client = |settings: &'s RegistrySettings| {
            let login = logins[&settings.name].clone();
            let credentials = login
                .as_ref()
                .map_or(Credentials::Anonymous, |login| login.credentials.clone());
            let host = settings.repository.host();
            let registry = Registry::new(host, credentials, Options::default())
                .with_context(|| format!("registry `{host}`"))?;
            Ok(RegistryClient {
                settings,
                login,
                registry,
            })
        };
        settings
            .iter()
            .map(client)
            .collect::<Result<_>>()
            .map(Registries)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, RegistryClient<'s>> {
        self.0.iter()
    }

    /// Cancels the uploads that this run has begun and not ended.
    pub async fn cancel_uploads(&self) {
        join_all(self.iter().map(|it| it.registry.cancel_uploads())).await;
    }

    pub fn names(&self) -> Vec<&'s str> {
        self.iter().map(|it| it.settings.name.as_str()).collect()
    }

    /// The registry with this name, which is from a plan of the same settings.
    pub fn get(&self, name: &str) -> &RegistryClient<'s> {
        let found = self.iter().find(|it| it.settings.name == name);
        found.expect("the plan names the registries of the settings")
    }
}

/// What the targets of a release talk to.
pub struct Clients<'s> {
    pub registries: Registries<'s>,
    address: &'s Result<EngineAddress, String>,
    engine: OnceCell<Engine>,
    /// For registries that base images come from.
    resolver: Mutex<Resolver>,
}

impl<'s> Clients<'s> {
    pub fn new(
        settings: &'s ReleaseSettings,
        logins: &RegistryLogins,
        resolver: Resolver,
    ) -> Result<Self> {
        Ok(Clients {
            resolver: Mutex::new(resolver),
            registries: Registries::new(&settings.registries, logins)?,
            address: &settings.engine,
            engine: OnceCell::new(),
        })
    }

    /// A repository that base images come from: at one of the registries of the settings, or at any other.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): half a login.
    pub async fn base_repository(
        &self,
        name: &RepositoryName,
        warn: &(dyn Fn(&str) + Sync),
    ) -> Result<BaseRepository> {
        let host = name.host();
        let own = self.registries.iter();
        let mut own = own.filter(|it| it.is_signed_in() && it.settings.repository.host() == host);
        if let Some(registry) = own.next() {
            return Ok(BaseRepository {
                repository: registry.registry.repository(name.path()),
                login: registry.login.clone(),
            });
        }
        let login = self.base_login(name, warn).await?;
        let credentials = login
            .as_ref()
            .map_or(Credentials::Anonymous, |login| login.credentials.clone());
        let registry = Registry::new(host, credentials, Options::default())
            .with_context(|| format!("registry `{host}`"))?;
        Ok(BaseRepository {
            repository: registry.repository(name.path()),
            login,
        })
    }

    /// Who reads a base image, or why nobody signs in for that.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): half a login.
    pub async fn base_login(
        &self,
        name: &RepositoryName,
        warn: &(dyn Fn(&str) + Sync),
    ) -> Result<Result<Login, NoLogin>> {
        let login = self.resolver.lock().await.find(name).await;
        match &login {
            Ok(_) | Err(NoLogin::Missing { .. }) => {}
            Err(failed) if failed.is_helper_failure() => {
                let host = name.host();
                warn(&format!("`{host}` is read without a login: {failed}"));
            }
            Err(problem) => return Err(bad_input(problem)),
        }
        Ok(login)
    }

    /// The engine; the first call connects to it.
    ///
    /// # Errors
    /// No engine answers: [`BadInput`](crate::exit::BadInput).
    pub async fn engine(&self) -> Result<&Engine> {
        let connect = || async {
            let address = self.address.as_ref().map_err(bad_input)?;
            let connected = Engine::connect(Some(&address.host)).await;
            connected.map_err(|error| bad_input(address.explain(error)))
        };
        self.engine.get_or_try_init(connect).await
    }
}

/// A client for packages or GitHub at `base`.
pub fn http(base: &Url) -> Result<reqwest::Client> {
    http::client(base, |builder| builder).context("the HTTP client cannot be set up")
}
