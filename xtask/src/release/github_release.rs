//! The target `github-release`: waits for `require`, then makes one release with packages and notes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, bail};

use super::clients::{Clients, http};
use super::download;
use super::plan::{PushPlan, ReleasePlan};
use super::push::Pushes;
use super::registry_state::resolve_tag_in_time;
use super::run_state::RunState;
use crate::exit::blame;
use crate::github::{self, Asset, Event, Github, Plan};
use crate::graph::{self, TargetResult};
use crate::oci::{Digest, Hasher, Reference};
use crate::settings::{GithubSettings, ReleaseSettings, Require};

/// The registries that hold the image, by name.
type Holders = BTreeMap<String, (Reference, Digest)>;

/// Makes the GitHub release. A registry that this run pushes to counts only if the push succeeded.
pub async fn release(
    settings: &ReleaseSettings,
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    state: &RunState,
    pushes: &Pushes<'_>,
    context: &graph::Context<'_>,
) -> Result<TargetResult> {
    // A registry without credentials is asked only if `require` may depend on it.
    let is_asked = |push: &PushPlan| match settings.require {
        Require::Any => !context.is_scheduled(&push.target),
        _ => !pushes.is_part_of_run(push, context),
    };
    let holders = holders(plan, clients, state, is_asked, context).await;
    let unmet = settings.require.unmet(&clients.registries.names(), |name| {
        holders.contains_key(name)
    });
    if let Some(unmet) = unmet {
        state.require_unmet.store(true, Ordering::Relaxed);
        return Ok(TargetResult::Skipped(unmet));
    }
    let github = client(&settings.github)?;
    let commit = settings.commit.as_ref().map(|commit| commit.id.clone());
    let plan = github_plan(plan, &holders, commit, context).await?;
    let published = github
        .publish(&plan, &|event| emit(context, &event))
        .await
        .map_err(fault)?;
    let verb = if published.created {
        "created"
    } else {
        "updated"
    };
    Ok(TargetResult::Done(format!(
        "{verb} {}; {} uploaded, {} already there",
        published.url,
        published.uploaded.len(),
        published.skipped.len()
    )))
}

/// A client made from the settings; GitHub is not contacted.
pub fn client(settings: &GithubSettings) -> Result<Github> {
    let Some(token) = settings.token.clone() else {
        bail!("`GITHUB_TOKEN` is not set");
    };
    let http = http(&settings.api)?;
    Github::new(http, &settings.api, &settings.repository, token).map_err(fault)
}

fn fault(error: github::Error) -> anyhow::Error {
    blame(error.is_input(), error)
}

/// The registries that hold the version: those that this run published to, and those of the others that say so.
async fn holders(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    state: &RunState,
    is_asked: impl Fn(&PushPlan) -> bool,
    context: &graph::Context<'_>,
) -> Holders {
    let published = state.published();
    let made = published.values().next().map(|it| &it.digest);
    let mut holders = Holders::new();
    for push in &plan.pushes {
        let reference = push.repository.at(push.immutable.clone());
        if let Some(published) = published.get(&push.registry) {
            holders.insert(push.registry.clone(), (reference, published.digest.clone()));
        } else if is_asked(push) {
            let repository = clients.registries.get(&push.registry).repository();
            match resolve_tag_in_time(&repository, &push.immutable).await {
                Ok(Some(digest)) if made.is_some_and(|it| *it != digest) => context.warn(&format!(
                    "{reference} is {digest}, which is not what this run published"
                )),
                Ok(Some(digest)) => {
                    holders.insert(push.registry.clone(), (reference, digest));
                }
                Ok(None) => context.note(&format!(
                    "{} does not hold {}",
                    push.repository, push.immutable
                )),
                Err(error) => context.warn(&format!("{}: {error}", push.repository)),
            }
        }
    }
    holders
}

async fn github_plan(
    plan: &ReleasePlan,
    holders: &Holders,
    commit: Option<String>,
    context: &graph::Context<'_>,
) -> Result<Plan> {
    let version = &plan.version;
    let mut assets = Vec::new();
    for platform in &plan.platforms {
        let path = match download::package(plan, platform) {
            Ok(path) => path,
            // A prebuilt image does not need packages.
            Err(_) if plan.transport.image.is_some() => {
                context.note(&format!(
                    "no package for {platform} is here, so none is attached"
                ));
                continue;
            }
            Err(error) => return Err(error),
        };
        assets.push(tokio::task::spawn_blocking(move || asset(path)).await??);
    }
    Ok(Plan {
        tag: plan.git_tag.clone(),
        name: version.to_string(),
        prerelease: !version.pre.is_empty(),
        notes: notes(holders),
        assets,
        target_commitish: commit,
    })
}

fn asset(path: PathBuf) -> Result<Asset> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let file = File::open(&path).with_context(|| format!("`{}`", path.display()))?;
    let size = file.metadata()?.len();
    let mut hasher = Hasher::sha256();
    hasher.read_all(file)?;
    Ok(Asset {
        digest: Some(hasher.finish()),
        path,
        name,
        size,
    })
}

fn emit(context: &graph::Context<'_>, event: &Event<'_>) {
    match event {
        Event::Sent { sent, size, .. } => context.progress(*sent, *size),
        Event::Waiting { reason, wait } => {
            context.warn(&format!(
                "{reason}; trying again in {:.1} s",
                wait.as_secs_f64()
            ));
        }
    }
}

fn notes(holders: &Holders) -> String {
    let mut notes = String::from("| registry | image | digest |\n| --- | --- | --- |\n");
    for (registry, (reference, digest)) in holders {
        let _ = writeln!(notes, "| {registry} | `{reference}` | `{digest}` |");
    }
    notes
}
