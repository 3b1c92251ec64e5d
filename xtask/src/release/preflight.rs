//! Questions before anything is built: does an engine answer, and may these credentials push?
//!
//! A registry is asked by opening an upload, which it allows only to those who may push, and cancelling it.
//! Refused credentials stop everything, because only a person can mend them; a registry that cannot be reached or
//! denies the push fails alone, later, as its own target.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use futures_util::future::join_all;

use super::base_found::Warn;
use super::builder::{self, Builder, DOCKERFILE};
use super::clients::{Clients, Registries};
use super::github_release;
use super::load;
use super::plan::ReleasePlan;
use super::recipe_check;
use super::run_state::RunState;
use super::stage;
use super::transport::Location;
use crate::credentials::{Credentials, Login};
use crate::exit::bad_input;
use crate::registry;
use crate::settings::{RegistrySettings, ReleaseSettings};

/// The answer of one registry.
pub struct Answer<'a> {
    pub registry: &'a RegistrySettings,
    login: &'a Login,
    pub result: Result<(), registry::Error>,
}

/// Asks those of `registries` that are signed in to and `wanted`, all at once.
pub async fn ask<'a>(
    registries: &'a Registries<'_>,
    wanted: impl Fn(&RegistrySettings) -> bool,
) -> Vec<Answer<'a>> {
    let signed_in = registries
        .iter()
        .filter_map(|it| Some((it, it.login.as_ref().ok()?)));
    let wanted = signed_in.filter(|(it, _)| wanted(it.settings));
    let questions = wanted.map(|(it, login)| async move {
        Answer {
            registry: it.settings,
            login,
            result: it.repository().check_push_access().await,
        }
    });
    join_all(questions).await
}

impl Answer<'_> {
    /// The problem in a sentence that says what to look at.
    pub fn problem(&self) -> Option<String> {
        let error = self.result.as_ref().err()?;
        let host = self.registry.repository.host();
        Some(match error {
            registry::Error::Rejected { response, .. } => format!(
                "`{host}` refuses the credentials: {response}\nhint: check {}",
                self.login.origin
            ),
            registry::Error::Denied {
                namespace,
                response,
                ..
            } => {
                let user = match &self.login.credentials {
                    Credentials::Basic { username, .. } => format!("`{username}`"),
                    _ => self.login.origin.clone(),
                };
                format!(
                    "`{host}` denies the push: {response}\nhint: does `{namespace}` exist there, and may {user} push to it?"
                )
            }
            _ => format!("`{host}`: {error}"),
        })
    }

    pub fn is_rejected(&self) -> bool {
        matches!(self.result, Err(registry::Error::Rejected { .. }))
    }
}

/// Whether the engine is to push the image, as nobody has said who: because it holds the layers compressed, its push is
/// faster than its export.
pub async fn engine_pushes(plan: &ReleasePlan, clients: &Clients<'_>, targets: &[&str]) -> bool {
    let mut pushes = plan.pushes.iter();
    let is_asked = pushes.any(|push| {
        targets.contains(&&*push.target) && plan.transport.is_engine_asked(push.images.len())
    });
    // One that does not answer is told of by `run`.
    is_asked
        && match clients.engine().await {
            Ok(engine) => engine.holds_layers_compressed().await,
            Err(_) => false,
        }
}

/// Checks what a release needs; returns warnings, and records in `state` the registries that refuse a push.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): no engine, or refused credentials.
pub async fn run(
    settings: &ReleaseSettings,
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    state: &RunState,
    targets: &[&str],
) -> Result<Vec<String>> {
    let transport = &plan.transport;
    let pushes = |registry: &RegistrySettings| targets.contains(&&*registry.target);
    let builds = targets.contains(&"docker-build") && transport.image.is_none();
    if builds {
        // Now, and not after the downloads.
        stage::list(&settings.root.join("docker"))?;
    }
    if builds && transport.needs_engine()
        || settings.registries.iter().any(pushes) && transport.needs_engine()
    {
        let engine = match &transport.image {
            Some(_) => clients.engine().await?,
            None => clients.engine().await.with_context(|| {
                let why = &transport.builder_reason;
                let hint = match why.starts_with(&format!("`{DOCKERFILE}`")) {
                    true => "; a Dockerfile without such lines needs no engine",
                    false => "",
                };
                format!("the image is made by the engine ({why}{hint})")
            })?,
        };
        if let Some(Location::Engine(name)) = transport.image.as_ref().map(|it| &it.location)
            && engine.image_id(name).await?.is_none()
        {
            return Err(transport.no_such_image(name));
        }
    }
    if transport.load {
        load::platform(plan, clients).await?;
    }
    if targets.contains(&"github-release") {
        github_release::client(&settings.github)?;
    }
    let warned = Mutex::new(Vec::new());
    let warn = |warning: &str| {
        let mut warned = warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.push(warning.to_owned());
    };
    let is_by_layers = builds && transport.builder == Builder::Layers;
    let bases = async {
        match is_by_layers {
            true => bases(settings, plan, clients, state, &warn).await,
            false => Ok(()),
        }
    };
    let (answers, bases) = tokio::join!(ask(&clients.registries, pushes), bases);
    let rejected: Vec<String> = answers
        .iter()
        .filter(|answer| answer.is_rejected())
        .filter_map(Answer::problem)
        .collect();
    if !rejected.is_empty() {
        return Err(bad_input(rejected.join("\n")));
    }
    bases?;
    let mut warnings = warned.into_inner().unwrap_or_default();
    if builds && settings.timestamp == 0 {
        warnings.push(
            "every date in the image will be 1970-01-01\nhint: release from a git checkout, or set `SOURCE_DATE_EPOCH`"
                .to_owned(),
        );
    }
    for answer in &answers {
        let Some(problem) = answer.problem() else {
            continue;
        };
        if matches!(answer.result, Err(registry::Error::Denied { .. })) {
            state.refuse(&answer.registry.name, problem.clone());
        }
        warnings.push(problem);
    }
    Ok(warnings)
}

/// Asks for the base images, so that one that is missing, or may not be read, ends the run before the downloads; and
/// looks at the Dockerfile once more, now that it is known what they hand on.
async fn bases(
    settings: &ReleaseSettings,
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    state: &RunState,
    warn: Warn<'_>,
) -> Result<()> {
    let dockerfile = builder::read(&settings.root)?;
    let mut bases = state.bases.lock().await;
    for recipe in bases.recipes(plan, clients, &dockerfile, warn).await? {
        recipe_check::check_files(plan, settings, &recipe)?;
    }
    Ok(())
}
