//! What the targets of one release share: settings, plan, and the connections that are opened when first needed.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context as _, Result};
use tokio::sync::OnceCell;
use url::Url;

use super::image_source::ImageSource;
use super::plan::{PushPlan, ReleasePlan};
use super::push::Published;
use super::tag_gate::TagGate;
use crate::credentials::Credentials;
use crate::engine::Engine;
use crate::exit::bad_input;
use crate::http;
use crate::registry::{Options, Registry, Repository};
use crate::settings::{Login, RegistrySettings, ReleaseSettings};

/// When the moving tags are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagsWhen {
    /// Once `require` is met, everywhere.
    Require,
    /// At each registry as soon as it holds the version.
    Any,
}

/// Everything the actions of the targets borrow.
pub struct World<'w> {
    pub settings: &'w ReleaseSettings,
    pub plan: &'w ReleasePlan,
    /// The targets of this run.
    scheduled: Vec<String>,
    engine: OnceCell<Engine>,
    image_source: OnceCell<ImageSource>,
    connections: BTreeMap<&'w str, OnceLock<(Registry, Repository)>>,
    /// What each registry holds, by name, once its push target succeeded.
    published: Mutex<BTreeMap<String, Published>>,
    /// Why a registry will not take a push, as the preflight found.
    refusals: Mutex<BTreeMap<String, String>>,
    pub tag_gate: TagGate,
    /// Moving tags wait for `require`; otherwise each registry's follow its version at once.
    pub tags_when: TagsWhen,
    /// The GitHub release was held back because `require` was not met.
    pub require_unmet: AtomicBool,
}

impl<'w> World<'w> {
    /// `scheduled` are the targets that this run will perform.
    pub fn new(
        settings: &'w ReleaseSettings,
        plan: &'w ReleasePlan,
        scheduled: Vec<String>,
        tags_when: TagsWhen,
    ) -> Self {
        World {
            settings,
            plan,
            scheduled,
            engine: OnceCell::new(),
            image_source: OnceCell::new(),
            connections: settings
                .registries
                .iter()
                .map(|it| (it.name.as_str(), OnceLock::new()))
                .collect(),
            published: Mutex::default(),
            refusals: Mutex::default(),
            tag_gate: TagGate::default(),
            tags_when,
            require_unmet: AtomicBool::new(false),
        }
    }

    /// # Errors
    /// No engine answers: [`BadInput`](crate::exit::BadInput).
    pub async fn engine(&self) -> Result<&Engine> {
        let connect = || async {
            Engine::connect(self.settings.docker_host.as_deref())
                .await
                .map_err(bad_input)
        };
        self.engine.get_or_try_init(connect).await
    }

    /// The image of a direct release, begun to be read by the first who asks.
    pub async fn image_source(&self) -> Result<&ImageSource> {
        self.image_source
            .get_or_try_init(|| ImageSource::start(self))
            .await
    }

    /// The repository of the image at the registry of that name.
    pub fn repository(&self, name: &str) -> Result<&Repository> {
        Ok(&self.connection(name)?.1)
    }

    /// The one client of the registry of that name, signed in to when there are credentials.
    pub fn client(&self, name: &str) -> Result<&Registry> {
        Ok(&self.connection(name)?.0)
    }

    fn connection(&self, name: &str) -> Result<&(Registry, Repository)> {
        get_or_try(&self.connections[name], || {
            let registry = self.registry(name);
            let client = connect(registry)?;
            let repository = client.repository(registry.repository.path());
            Ok((client, repository))
        })
    }

    pub fn registry(&self, name: &str) -> &'w RegistrySettings {
        let found = self
            .settings
            .registries
            .iter()
            .find(|registry| registry.name == name);
        found.expect("the plan names the registries of the settings")
    }

    /// The names of all registries.
    pub fn names(&self) -> Vec<&'w str> {
        self.settings
            .registries
            .iter()
            .map(|registry| registry.name.as_str())
            .collect()
    }

    pub fn push(&self, target: &str) -> Option<&'w PushPlan> {
        self.plan.pushes.iter().find(|push| push.target == target)
    }

    pub fn is_scheduled(&self, target: &str) -> bool {
        self.scheduled.iter().any(|scheduled| scheduled == target)
    }

    pub fn published(&self) -> MutexGuard<'_, BTreeMap<String, Published>> {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub fn refusals(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The repository of the image at a registry.
pub fn repository(registry: &RegistrySettings) -> Result<Repository> {
    Ok(connect(registry)?.repository(registry.repository.path()))
}

/// A client for a registry, signed in to when there are credentials.
fn connect(registry: &RegistrySettings) -> Result<Registry> {
    let credentials = match &registry.login {
        Login::Ready {
            username, password, ..
        } => Credentials::Basic {
            username: username.clone(),
            password: password.clone(),
        },
        _ => Credentials::Anonymous,
    };
    let (host, options) = (registry.repository.host(), Options::default());
    Registry::new(host, credentials, options).with_context(|| format!("registry `{host}`"))
}

/// A client for packages or GitHub at `base`.
pub fn http(base: &Url) -> Result<reqwest::Client> {
    http::client(base, |builder| builder).context("the HTTP client cannot be set up")
}

fn get_or_try<T>(cell: &OnceLock<T>, init: impl FnOnce() -> Result<T>) -> Result<&T> {
    match cell.get() {
        Some(value) => Ok(value),
        None => {
            let value = init()?;
            Ok(cell.get_or_init(|| value))
        }
    }
}
