//! Setting a tag: what it named before, the PUT, and the HEAD that proves it.

use anyhow::{Context as _, Result, bail};

use super::registry_state::resolve_tag;
use crate::graph;
use crate::oci::{Digest, Manifest, Tag, TagOrDigest};
use crate::registry::Repository;

/// Lets `tag` name `manifest`, unless it does already; says whether it had to. `replaces` hears what it named before.
pub async fn set(
    repository: &Repository,
    tag: &Tag,
    manifest: &Manifest,
    replaces: impl Fn(&Digest),
) -> Result<bool> {
    if let Some(digest) = resolve_tag(repository, tag).await? {
        if digest == *manifest.digest() {
            return Ok(false);
        }
        replaces(&digest);
    }
    repository
        .put_manifest(&TagOrDigest::Tag(tag.clone()), manifest)
        .await
        .with_context(|| format!("tag `{tag}`"))?;
    verify(repository, tag, manifest).await?;
    Ok(true)
}

/// Asks the registry what `tag` names.
pub async fn verify(repository: &Repository, tag: &Tag, manifest: &Manifest) -> Result<()> {
    match resolve_tag(repository, tag).await? {
        Some(digest) if digest == *manifest.digest() => Ok(()),
        Some(digest) => bail!(
            "`{tag}` was pushed as {}, but the registry answers {digest}",
            manifest.digest()
        ),
        None => bail!("`{tag}` was pushed, but the registry does not know it"),
    }
}

/// Says that the version's own tag named something else until now; the others are there to move.
pub fn warn_of_replacement(context: &graph::Context<'_>, tag: &Tag, digest: &Digest) {
    context.warn(&format!(
        "`{tag}` is {digest} there, which is not what was built; it is replaced"
    ));
}
