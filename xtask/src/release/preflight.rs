//! Questions before anything is built: does an engine answer, and may these credentials push?
//!
//! Refused credentials stop everything, because only a person can mend them; a registry that cannot be reached, denies
//! the push or does not answer in time fails alone, later, as its own target.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use futures_util::future::ready;

use super::base_found::Warn;
use super::builder::{self, Builder, DOCKERFILE};
use super::clients::Clients;
use super::github_release;
use super::load;
use super::plan::ReleasePlan;
use super::push_access::{Answer, GRACE, Question, answered, questions};
use super::recipe_check;
use super::run_state::RunState;
use super::stage;
use crate::exit::bad_input;
use crate::image::Location;
use crate::settings::{RegistrySettings, ReleaseSettings};

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
        if let Some(Location::Engine(name)) = transport.local()
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
    let questions = questions(&clients.registries, pushes);
    let (_, bases) = tokio::join!(tokio::time::timeout(GRACE, answered(&questions)), bases);
    let answers: Vec<Answer> = questions.iter().filter_map(Question::known).collect();
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
        if let Some(refusal) = answer.refusal() {
            state.refuse(&answer.registry, ready(Some(refusal)));
        }
        warnings.push(problem);
    }
    for late in questions.iter().filter(|it| it.known().is_none()) {
        state.refuse(&late.registry.name, late.refusal());
        let (host, seconds) = (late.registry.repository.host(), GRACE.as_secs());
        warnings.push(format!(
            "`{host}` has not answered within {seconds} s: the others go on"
        ));
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
