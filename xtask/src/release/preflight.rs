//! Asking before building: does an engine answer, and may these credentials push?
//!
//! A registry is asked by opening an upload session, which it grants only to those who may push, and cancelling it.
//! Refused credentials stop everything, because only a person can mend them; a registry that cannot be reached or
//! denies the push fails alone, later, as its own target.

use anyhow::Result;
use futures_util::future::join_all;

use super::image_source::absent;
use super::transport::Location;
use super::{github_release, world::World};
use crate::exit::bad_input;
use crate::registry;
use crate::settings::{Login, RegistrySettings};

/// The answer of one registry.
pub struct Answer<'a> {
    pub registry: &'a RegistrySettings,
    pub result: Result<(), registry::Error>,
}

/// Asks each of `registries` that has credentials, all at once.
pub async fn ask<'a>(
    world: &World<'_>,
    registries: impl IntoIterator<Item = &'a RegistrySettings>,
) -> Result<Vec<Answer<'a>>> {
    let ready = registries
        .into_iter()
        .filter(|registry| matches!(registry.login, Login::Ready { .. }));
    let questions = ready.map(|registry| async move {
        let result = world.repository(&registry.name)?.check_push_access().await;
        Ok(Answer { registry, result })
    });
    join_all(questions).await.into_iter().collect()
}

impl Answer<'_> {
    /// The refusal in a sentence that says what to look at.
    pub fn refusal(&self) -> Option<String> {
        let error = self.result.as_ref().err()?;
        let RegistrySettings {
            repository, login, ..
        } = self.registry;
        let host = repository.host();
        Some(match (error, login) {
            (registry::Error::Rejected { response, .. }, Login::Ready { variables, .. }) => {
                format!(
                    "`{host}` refuses the credentials: {response}\nhint: {}",
                    variables.check()
                )
            }
            (
                registry::Error::Denied {
                    namespace,
                    response,
                    ..
                },
                Login::Ready { username, .. },
            ) => format!(
                "`{host}` denies the push: {response}\nhint: does `{namespace}` exist there, and may `{username}` push to it?"
            ),
            _ => format!("`{host}`: {error}"),
        })
    }

    pub fn is_rejected(&self) -> bool {
        matches!(self.result, Err(registry::Error::Rejected { .. }))
    }
}

/// Before a release: everything that must hold, and a note of the registries that will not take a push.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): no engine, or refused credentials.
pub async fn run(world: &World<'_>, targets: &[&str]) -> Result<Vec<String>> {
    let pushes: Vec<&RegistrySettings> = targets
        .iter()
        .filter_map(|target| world.push(target))
        .map(|push| world.registry(&push.registry))
        .collect();
    let transport = &world.plan.transport;
    let builds = targets.contains(&"docker-build") && transport.image.is_none();
    if builds || !pushes.is_empty() && transport.needs_engine() {
        let engine = world.engine().await?;
        if let Some(Location::Engine(name)) = transport.image.as_ref().map(|it| &it.location)
            && engine.image(name).await?.is_none()
        {
            return Err(absent(world, name));
        }
    }
    if targets.contains(&"github-release") {
        github_release::client(world)?;
    }
    let answers = ask(world, pushes).await?;
    let rejected: Vec<String> = answers
        .iter()
        .filter(|answer| answer.is_rejected())
        .filter_map(Answer::refusal)
        .collect();
    if !rejected.is_empty() {
        return Err(bad_input(rejected.join("\n")));
    }
    let mut warnings = Vec::new();
    if builds && world.settings.timestamp == 0 {
        warnings.push(
            "every date in the image will be 1970-01-01\nhint: release from a git checkout, or set `SOURCE_DATE_EPOCH`"
                .to_owned(),
        );
    }
    for answer in &answers {
        let Some(refusal) = answer.refusal() else {
            continue;
        };
        if matches!(answer.result, Err(registry::Error::Denied { .. })) {
            world
                .refusals()
                .insert(answer.registry.name.clone(), refusal.clone());
        }
        warnings.push(refusal);
    }
    Ok(warnings)
}
