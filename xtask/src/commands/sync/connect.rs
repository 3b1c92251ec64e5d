//! Who signs in where: the files' logins, then the variables of the release's registries, then Docker's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use futures_util::future::join_all;

use crate::copy::{Destination, Job};
use crate::exit::bad_input;
use crate::registry::{
    Credentials, Digest, DockerConfig, Error, Options, Registry, RepositoryName,
};
use crate::settings::{Login, Settings};
use crate::sync::Logins;

/// Connections to registries, one for each host and login.
pub(super) struct Registries<'r> {
    settings: &'r Settings,
    logins: &'r Logins,
    docker: DockerConfig,
    retries: u32,
    open: Mutex<Vec<Open>>,
}

struct Open {
    host: String,
    credentials: Credentials,
    plain_http: bool,
    registry: Registry,
    destination: Arc<Destination>,
}

impl<'r> Registries<'r> {
    pub fn new(settings: &'r Settings, logins: &'r Logins, retries: u32) -> Result<Self> {
        let text = settings
            .docker_config
            .as_ref()
            .and_then(|path| std::fs::read_to_string(path).ok());
        let docker = match text {
            Some(text) => DockerConfig::parse(&text).map_err(bad_input)?,
            None => DockerConfig::default(),
        };
        Ok(Registries {
            settings,
            logins,
            docker,
            retries,
            open: Mutex::default(),
        })
    }

    /// The registry of `name`, as a source.
    pub async fn source(&self, name: &RepositoryName) -> Result<Registry> {
        self.connect(name, |open| open.registry.clone()).await
    }

    /// The registry of `name`, as a destination.
    pub async fn destination(&self, name: &RepositoryName) -> Result<Arc<Destination>> {
        self.connect(name, |open| Arc::clone(&open.destination))
            .await
    }

    async fn connect<T>(&self, name: &RepositoryName, take: impl Fn(&Open) -> T) -> Result<T> {
        let host = name.host();
        let (credentials, plain_http) = self.login(name).await?;
        let mut open = self.open.lock().expect("no holder panics");
        let is_it = |it: &&Open| {
            it.host == host && it.credentials == credentials && it.plain_http == plain_http
        };
        if let Some(open) = open.iter().find(is_it) {
            return Ok(take(open));
        }
        let options = Options {
            plain_http,
            retries: self.retries,
            ..Options::default()
        };
        let registry = Registry::new(host, credentials.clone(), options)
            .with_context(|| format!("`{host}`"))?;
        let destination = Destination::new(host, registry.clone());
        let new = Open {
            host: host.to_owned(),
            credentials,
            plain_http,
            registry,
            destination,
        };
        let taken = take(&new);
        open.push(new);
        Ok(taken)
    }

    async fn login(&self, name: &RepositoryName) -> Result<(Credentials, bool)> {
        if let Some(login) = self.logins.find(name) {
            return Ok((login.credentials.clone(), login.plain_http));
        }
        let known = self
            .settings
            .registries
            .iter()
            .find(|registry| registry.repository.host() == name.host());
        if let Some(Login::Ready {
            username, password, ..
        }) = known.map(|registry| &registry.login)
        {
            return Ok((
                Credentials::Basic {
                    username: username.clone(),
                    password: password.clone(),
                },
                false,
            ));
        }
        Ok((
            self.docker
                .credentials(name.host())
                .await
                .map_err(bad_input)?,
            false,
        ))
    }

    /// Lets each destination of `jobs` look at the credentials once, before anything is copied.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): a registry refuses them. Any other failure is left to the images.
    pub async fn sign_in(&self, jobs: &[Job]) -> Result<()> {
        let mut first = BTreeMap::new();
        for place in jobs.iter().flat_map(|job| &job.places) {
            first
                .entry(Arc::as_ptr(&place.destination))
                .or_insert(place);
        }
        let asked = first.into_values().map(|place| async move {
            // Some blob, to ask for the least there is: whether it is there does not matter.
            let asked = place
                .destination
                .repository(&place.path)
                .has_blob(&Digest::sha256_of(b"{}"))
                .await;
            match asked {
                Err(error @ Error::Rejected { .. }) => Some(error.to_string()),
                _ => None,
            }
        });
        let refused: Vec<String> = join_all(asked).await.into_iter().flatten().collect();
        if refused.is_empty() {
            Ok(())
        } else {
            Err(bad_input(refused.join("\n")))
        }
    }
}
