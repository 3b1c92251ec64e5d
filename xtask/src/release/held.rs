//! What the registries hold now, and moving a tag there without moving content.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use futures_util::future::{join_all, try_join_all};

use super::world;
use crate::oci::{Digest, Tag, TagOrDigest};
use crate::registry::Repository;
use crate::settings::{Login, RegistrySettings};

/// What one tag names at one registry.
pub struct Held<'r> {
    pub registry: &'r RegistrySettings,
    pub tag: Tag,
    /// `None` when the registry does not know the tag.
    pub digest: Result<Option<Digest>>,
    repository: Repository,
}

/// Asks every registry for each of `tags`.
pub async fn held<'r>(
    registries: impl IntoIterator<Item = &'r RegistrySettings>,
    tags: &[Tag],
) -> Result<Vec<Held<'r>>> {
    let repositories = registries
        .into_iter()
        .map(|registry| Ok((registry, world::repository(registry)?)));
    let repositories: Vec<_> = repositories.collect::<Result<_>>()?;
    let questions = repositories.into_iter().flat_map(|(registry, repository)| {
        tags.iter().map(move |tag| {
            let repository = repository.clone();
            async move {
                let head = repository
                    .head_manifest(&TagOrDigest::Tag(tag.clone()))
                    .await;
                Held {
                    registry,
                    tag: tag.clone(),
                    digest: head
                        .map(|head| head.map(|head| head.digest))
                        .map_err(Into::into),
                    repository,
                }
            }
        })
    });
    Ok(join_all(questions).await)
}

/// Lets `tag` name what `version` names, on every registry that is signed in to; returns what became of each.
///
/// # Errors
/// Nothing was moved: a registry lacks the version, cannot be asked, or holds something else under it than another.
pub async fn promote<'r>(
    registries: &'r [RegistrySettings],
    version: &Tag,
    tag: &Tag,
) -> Result<Vec<(&'r RegistrySettings, Result<Digest>)>> {
    let known = registries
        .iter()
        .filter(|registry| !matches!(registry.login, Login::Missing(_)));
    let mut sources = Vec::new();
    for held in held(known, std::slice::from_ref(version)).await? {
        let name = &held.registry.repository;
        match held.digest {
            Ok(Some(digest)) => sources.push((held.registry, held.repository, digest)),
            Ok(None) => bail!(
                "`{name}` does not hold `{version}`; nothing was moved\nhint: push it there first"
            ),
            Err(error) => {
                bail!("`{name}` cannot be asked for `{version}`; nothing was moved: {error:#}")
            }
        }
    }
    if sources.is_empty() {
        bail!("no registry has credentials; nothing was moved");
    }
    if sources
        .iter()
        .map(|(_, _, digest)| digest)
        .collect::<BTreeSet<_>>()
        .len()
        > 1
    {
        let lines: Vec<String> = sources
            .iter()
            .map(|(registry, _, digest)| format!("\n    {} {digest}", registry.repository))
            .collect();
        bail!(
            "`{version}` is not the same everywhere; nothing was moved:{}",
            lines.concat()
        );
    }
    let manifests = sources
        .into_iter()
        .map(|(registry, repository, digest)| async move {
            let manifest = repository
                .get_manifest(&TagOrDigest::Digest(digest))
                .await?;
            let name = &registry.repository;
            let manifest =
                manifest.ok_or_else(|| anyhow!("`{name}` lost `{version}`; nothing was moved"))?;
            anyhow::Ok((registry, repository, manifest))
        });
    let moves = try_join_all(manifests).await?.into_iter().map(
        |(registry, repository, manifest)| async move {
            let moved = repository
                .put_manifest(&TagOrDigest::Tag(tag.clone()), &manifest)
                .await;
            (registry, moved.map_err(Into::into))
        },
    );
    Ok(join_all(moves).await)
}
