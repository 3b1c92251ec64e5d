//! GitHubRelease: held back until enough registries hold the image, then one release with packages and notes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, bail};

use super::download;
use super::plan::PushPlan;
use super::tag_gate;
use super::world::{World, http};
use crate::exit::blame;
use crate::github::{self, Asset, Event, Github, Plan};
use crate::graph::{self, TargetResult};
use crate::oci::TagOrDigest;
use crate::packages;
use crate::settings::Require;

/// A registry that holds the image: its reference and digest.
type Held = BTreeMap<String, (String, String)>;

/// Makes the GitHub release. A registry that this run pushes to counts only if that went well.
pub async fn release(world: &World<'_>, context: &graph::Context<'_>) -> Result<TargetResult> {
    let held = held(world, context).await?;
    let unmet = world
        .settings
        .require
        .unmet(&world.names(), |name| held.contains_key(name));
    if let Some(unmet) = unmet {
        world.require_unmet.store(true, Ordering::Relaxed);
        return Ok(TargetResult::Skipped(unmet));
    }
    let github = client(world)?;
    let plan = plan(world, &held, context).await?;
    let published = github
        .publish(&plan, &|event| tell(context, &event))
        .await
        .map_err(fault)?;
    let mut did = format!(
        "{} {}",
        if published.created {
            "created"
        } else {
            "updated"
        },
        published.url
    );
    let _ = write!(
        did,
        "; {} uploaded, {} already there",
        published.uploaded.len(),
        published.skipped.len()
    );
    Ok(TargetResult::Done(did))
}

/// The client, when the settings are good for one; nothing is asked of GitHub.
pub fn client(world: &World<'_>) -> Result<Github> {
    let settings = &world.settings.github;
    let Some(token) = settings.token.clone() else {
        bail!("`GITHUB_TOKEN` is not set");
    };
    Github::new(
        http(&settings.api)?,
        &settings.api,
        &settings.repository,
        token,
    )
    .map_err(fault)
}

fn fault(error: github::Error) -> anyhow::Error {
    blame(error.is_input(), error)
}

async fn held(world: &World<'_>, context: &graph::Context<'_>) -> Result<Held> {
    let mut held = Held::new();
    let made = world
        .published()
        .values()
        .next()
        .map(|it| it.digest.clone());
    for push in &world.plan.pushes {
        if let Some(published) = world.published().get(&push.registry) {
            held.insert(
                push.registry.clone(),
                (published.reference.clone(), published.digest.to_string()),
            );
        } else if is_asked(world, push) {
            let at = TagOrDigest::Tag(push.immutable.clone());
            match world.repository(&push.registry)?.head_manifest(&at).await {
                Ok(Some(head)) if made.as_ref().is_some_and(|it| *it != head.digest) => {
                    context.warn(&format!(
                        "{}:{} is {}, which is not what this run published",
                        push.repository, push.immutable, head.digest
                    ));
                }
                Ok(Some(head)) => {
                    let reference = format!("{}:{}", push.repository, push.immutable);
                    held.insert(push.registry.clone(), (reference, head.digest.to_string()));
                }
                Ok(None) => context.note(&format!(
                    "{} does not hold {}",
                    push.repository, push.immutable
                )),
                Err(error) => context.warn(&format!("{}: {error}", push.repository)),
            }
        }
    }
    Ok(held)
}

/// Whether a registry that got nothing in this run may hold the image nevertheless. Without credentials, that is asked
/// only where it matters.
fn is_asked(world: &World<'_>, push: &PushPlan) -> bool {
    match world.settings.require {
        Require::Any => !world.is_scheduled(&push.target),
        _ => !tag_gate::runs(world, push),
    }
}

async fn plan(world: &World<'_>, held: &Held, context: &graph::Context<'_>) -> Result<Plan> {
    let version = &world.plan.version;
    let mut assets = Vec::new();
    for platform in &world.plan.platforms {
        let path = match download::package(world.plan, platform) {
            Ok(path) => path,
            // With an image that was built elsewhere, there need not be any.
            Err(_) if world.plan.transport.image.is_some() => {
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
        tag: world.plan.git_tag.clone(),
        name: version.to_string(),
        prerelease: !version.pre.is_empty(),
        notes: notes(held),
        assets,
        target_commitish: world
            .settings
            .commit
            .as_ref()
            .map(|commit| commit.id.clone()),
    })
}

fn asset(path: PathBuf) -> Result<Asset> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut file = File::open(&path).with_context(|| format!("`{}`", path.display()))?;
    let size = file.metadata()?.len();
    Ok(Asset {
        digest: Some(packages::digest_of(&mut file)?),
        path,
        name,
        size,
    })
}

fn tell(context: &graph::Context<'_>, event: &Event<'_>) {
    match event {
        Event::Sent { sent, size, .. } => context.progress(*sent, *size),
        Event::Waiting { reason, wait } => {
            context.warn(&format!("{reason}; trying again in {} s", wait.as_secs()));
        }
    }
}

fn notes(held: &Held) -> String {
    let mut notes = String::from("| registry | image | digest |\n| --- | --- | --- |\n");
    for (registry, (reference, digest)) in held {
        let _ = writeln!(notes, "| {registry} | `{reference}` | `{digest}` |");
    }
    notes
}
