//! What the targets of one release share: settings, plan, and the connections that are opened when first needed.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

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
use crate::registry::{self, Registry, Repository};
use crate::settings::{Login, RegistrySettings, ReleaseSettings};

/// When the moving tags are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagsWhen {
    /// Once `require` is met, everywhere.
    Require,
    /// At each registry as soon as it holds the version.
    Any,
}

/// For requests that are small: a registry that is silent holds up the others while the preflight waits for it.
const STALL: Duration = Duration::from_secs(30);

/// Everything the actions of the targets borrow.
pub struct World<'w> {
    pub settings: &'w ReleaseSettings,
    pub plan: &'w ReleasePlan,
    /// The targets of this run.
    scheduled: Vec<String>,
    engine: OnceCell<Engine>,
    image_source: OnceCell<ImageSource>,
    repositories: BTreeMap<&'w str, OnceLock<Repository>>,
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
            repositories: settings
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

    /// The repository of the image at the registry of that name, for what is small.
    pub fn repository(&self, name: &str) -> Result<&Repository> {
        get_or_try(&self.repositories[name], || repository(self.registry(name)))
    }

    /// The same for blobs: who sends one may pause for long.
    pub fn patient_repository(&self, name: &str) -> Result<Repository> {
        let path = self.registry(name).repository.path();
        let client = self.client(name, registry::Options::default())?;
        Ok(client.repository(path))
    }

    /// The registry of that name, signed in to when there are credentials.
    pub fn client(&self, name: &str, options: registry::Options) -> Result<Registry> {
        connect(self.registry(name), options)
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

/// The repository of the image at a registry, for what is small.
pub fn repository(registry: &RegistrySettings) -> Result<Repository> {
    let options = registry::Options {
        stall_timeout: STALL,
        ..registry::Options::default()
    };
    Ok(connect(registry, options)?.repository(registry.repository.path()))
}

/// The client for a registry, signed in to when there are credentials.
pub fn connect(registry: &RegistrySettings, options: registry::Options) -> Result<Registry> {
    let credentials = match &registry.login {
        Login::Ready {
            username, password, ..
        } => Credentials::Basic {
            username: username.clone(),
            password: password.clone(),
        },
        _ => Credentials::Anonymous,
    };
    let host = registry.repository.host();
    Registry::new(host, credentials, options).with_context(|| format!("registry `{host}`"))
}

/// A client for packages or GitHub at `base`. Both notice a stall themselves: reqwest's own read timeout also runs while
/// a long upload waits for its answer.
pub fn http(base: &Url) -> Result<reqwest::Client> {
    http::client(base, || {
        reqwest::Client::builder().connect_timeout(Duration::from_secs(10))
    })
    .context("the HTTP client cannot be set up")
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
