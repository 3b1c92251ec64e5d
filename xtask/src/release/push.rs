//! A push target: the version to one registry, then the moving tags.
//!
//! It refuses to know how the content gets there ([`push_direct`], [`push_engine`]). Order: the content, the immutable
//! tag, a HEAD that proves it, and, when the [`tag_gate`] allows, the moving tags, which cost a manifest each.

use anyhow::{Context as _, Result, bail};
use indicatif::DecimalBytes;

use super::plan::PushPlan;
use super::tag_gate;
use super::transport::Via;
use super::world::{TagsWhen, World};
use super::{push_direct, push_engine};
use crate::engine;
use crate::exit::{bad_input, sentence};
use crate::graph::{self, TargetResult};
use crate::oci::{Digest, Manifest, Tag, TagOrDigest};
use crate::registry::{self, Repository};
use crate::settings::Login;

/// What a registry holds after its push target.
#[derive(Clone, Debug)]
pub struct Published {
    pub reference: String,
    pub digest: Digest,
    /// The tags that name it.
    pub tags: Vec<Tag>,
    /// Those of them that had to be set; the others were right already.
    pub set: Vec<Tag>,
    /// What was uploaded.
    pub bytes: u64,
}

/// What a transport brought to a registry.
pub(super) struct PushOutcome {
    /// What the version is to name: an image, or an index of several.
    pub manifest: Manifest,
    /// The bytes uploaded; `None` when everything was there.
    pub pushed: Option<u64>,
}

/// The action of a push target.
pub async fn target(
    world: &World<'_>,
    plan: &PushPlan,
    context: &graph::Context<'_>,
) -> Result<TargetResult> {
    let version = version(world, plan, context).await;
    world.tag_gate.end(&plan.registry, version.is_ok());
    let (manifest, mut published) = version.map_err(|error| explained(world, plan, error))?;

    let held_back = match world.tags_when {
        _ if plan.moving.is_empty() => None,
        TagsWhen::Any => None,
        TagsWhen::Require => tag_gate::unmet(world, manifest.digest()).await,
    };
    if held_back.is_none() {
        let repository = world.repository(&plan.registry)?;
        for tag in &plan.moving {
            if set(repository, tag, &manifest, |_| {}).await? {
                published.set.push(tag.clone());
            }
            published.tags.push(tag.clone());
        }
    }
    let mut did = match (&published.set[..], published.bytes) {
        ([], _) => "already there, nothing pushed".to_owned(),
        (set, 0) => format!("content already there, tags {} set", names(set)),
        (set, bytes) => format!("{} pushed, tags {} set", DecimalBytes(bytes), names(set)),
    };
    if let Some(reason) = held_back {
        did += &format!("; moving tags held back: {reason}");
    }
    context.note(&format!("{} is {}", published.reference, published.digest));
    world.published().insert(plan.registry.clone(), published);
    Ok(TargetResult::Done(did))
}

fn names(tags: &[Tag]) -> String {
    let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    names.join(", ")
}

/// The first phase: the content and the immutable tag.
async fn version(
    world: &World<'_>,
    plan: &PushPlan,
    context: &graph::Context<'_>,
) -> Result<(Manifest, Published)> {
    if let Some(refusal) = world.refusals().get(&plan.registry) {
        bail!("{refusal}");
    }
    let via = world.plan.transport.via;
    let brought = match via {
        Via::Direct => push_direct::bring(world, plan, context).await?,
        Via::Engine => push_engine::bring(world, plan, context).await?,
    };
    let repository = world.repository(&plan.registry)?;
    // With one platform, what the engine pushed under the version's own tag is it.
    let is_tagged = via == Via::Engine && plan.images.len() == 1 && brought.pushed.is_some();
    let replaces = |digest: &Digest| replaces(context, &plan.immutable, digest);
    let is_set = set(repository, &plan.immutable, &brought.manifest, replaces).await? || is_tagged;
    let published = Published {
        reference: format!("{}:{}", plan.repository, plan.immutable),
        digest: brought.manifest.digest().clone(),
        tags: vec![plan.immutable.clone()],
        set: is_set.then(|| plan.immutable.clone()).into_iter().collect(),
        bytes: brought.pushed.unwrap_or(0),
    };
    Ok((brought.manifest, published))
}

/// Names the variables to look at, when the credentials were refused after all.
fn explained(world: &World<'_>, plan: &PushPlan, error: anyhow::Error) -> anyhow::Error {
    let by_engine = matches!(
        error.downcast_ref(),
        Some(engine::Error::CredentialsRefused { .. })
    );
    let by_registry = matches!(error.downcast_ref(), Some(registry::Error::Rejected { .. }));
    match &world.registry(&plan.registry).login {
        Login::Ready { variables, .. } if by_engine || by_registry => {
            bad_input(format!("{}\nhint: {}", sentence(&error), variables.check()))
        }
        _ => error,
    }
}

/// Says that the version's own tag named something else until now; the others are there to move.
pub(super) fn replaces(context: &graph::Context<'_>, tag: &Tag, digest: &Digest) {
    context.warn(&format!(
        "`{tag}` is {digest} there, which is not what was built; it is replaced"
    ));
}

/// Lets `tag` name `manifest`, unless it does already; says whether it had to. `replaces` hears what it named before.
async fn set(
    repository: &Repository,
    tag: &Tag,
    manifest: &Manifest,
    replaces: impl Fn(&Digest),
) -> Result<bool> {
    let at = TagOrDigest::Tag(tag.clone());
    if let Some(head) = repository.head_manifest(&at).await? {
        if head.digest == *manifest.digest() {
            return Ok(false);
        }
        replaces(&head.digest);
    }
    repository
        .put_manifest(&at, manifest)
        .await
        .with_context(|| format!("tag `{tag}`"))?;
    verify(repository, tag, manifest).await?;
    Ok(true)
}

/// Asks the registry what `tag` names.
pub(super) async fn verify(repository: &Repository, tag: &Tag, manifest: &Manifest) -> Result<()> {
    match repository
        .head_manifest(&TagOrDigest::Tag(tag.clone()))
        .await?
    {
        Some(head) if head.digest == *manifest.digest() => Ok(()),
        Some(head) => {
            bail!(
                "`{tag}` was pushed as {}, but the registry answers {}",
                manifest.digest(),
                head.digest
            )
        }
        None => bail!("`{tag}` was pushed, but the registry does not know it"),
    }
}
