//! What the registries hold now, and moving a tag there without moving content.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use futures_util::future::{join_all, try_join_all};

use super::plan::PushPlan;
use super::world::World;
use crate::oci::{Digest, Tag, TagOrDigest};
use crate::settings::Login;

/// What one tag names at one registry.
pub struct Held<'w> {
    pub push: &'w PushPlan,
    pub tag: Tag,
    /// `None` when the registry does not know the tag.
    pub digest: Result<Option<Digest>>,
}

/// Asks every registry of the plan for each of `tags`.
pub async fn held<'w>(world: &World<'w>, tags: &[Tag]) -> Vec<Held<'w>> {
    let questions = world.plan.pushes.iter().flat_map(|push| {
        tags.iter().map(move |tag| async move {
            let head = async {
                let repository = world.repository(&push.registry)?;
                anyhow::Ok(
                    repository
                        .head_manifest(&TagOrDigest::Tag(tag.clone()))
                        .await?,
                )
            };
            Held {
                push,
                tag: tag.clone(),
                digest: head.await.map(|head| head.map(|head| head.digest)),
            }
        })
    });
    join_all(questions).await
}

/// Lets `tag` name what `version` names, on every registry that is signed in to; returns what became of each.
///
/// # Errors
/// Nothing was moved: a registry lacks the version, cannot be asked, or holds something else under it than another.
pub async fn promote<'w>(
    world: &World<'w>,
    version: &Tag,
    tag: &Tag,
) -> Result<Vec<(&'w PushPlan, Result<Digest>)>> {
    let mut sources = Vec::new();
    for held in held(world, std::slice::from_ref(version)).await {
        if matches!(world.registry(&held.push.registry).login, Login::Missing(_)) {
            continue;
        }
        let repository = &held.push.repository;
        match held.digest {
            Ok(Some(digest)) => sources.push((held.push, digest)),
            Ok(None) => bail!(
                "`{repository}` does not hold `{version}`; nothing was moved\nhint: push it there first"
            ),
            Err(error) => bail!(
                "`{repository}` cannot be asked for `{version}`; nothing was moved: {error:#}"
            ),
        }
    }
    if sources.is_empty() {
        bail!("no registry has credentials; nothing was moved");
    }
    if sources
        .iter()
        .map(|(_, digest)| digest)
        .collect::<BTreeSet<_>>()
        .len()
        > 1
    {
        let lines: Vec<String> = sources
            .iter()
            .map(|(push, digest)| format!("\n    {} {digest}", push.repository))
            .collect();
        bail!(
            "`{version}` is not the same everywhere; nothing was moved:{}",
            lines.concat()
        );
    }
    let repositories = try_join_all(sources.iter().map(|(push, digest)| async move {
        let repository = world.repository(&push.registry)?;
        let manifest = repository
            .get_manifest(&TagOrDigest::Digest(digest.clone()))
            .await?;
        let manifest = manifest
            .ok_or_else(|| anyhow!("`{}` lost `{version}`; nothing was moved", push.repository))?;
        anyhow::Ok((*push, repository, manifest))
    }));
    let moves = repositories
        .await?
        .into_iter()
        .map(|(push, repository, manifest)| async move {
            let moved = repository
                .put_manifest(&TagOrDigest::Tag(tag.clone()), &manifest)
                .await;
            (push, moved.map_err(Into::into))
        });
    Ok(join_all(moves).await)
}
