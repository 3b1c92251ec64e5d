//! Setting a tag, and reading it back.

use anyhow::{Context as _, Result, bail};

use super::registry_state::resolve_tag;
use crate::graph;
use crate::oci::{Digest, Manifest, Tag, TagOrDigest};
use crate::registry::Repository;

/// Points `tag` at `manifest`; `false` if it was right already. `replaces` is called with a digest that it named
/// before.
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
    put(repository, tag, manifest).await?;
    Ok(true)
}

/// Points `tag` at `manifest`, whatever it named.
pub async fn put(repository: &Repository, tag: &Tag, manifest: &Manifest) -> Result<()> {
    repository
        .put_manifest(&TagOrDigest::Tag(tag.clone()), manifest)
        .await
        .with_context(|| format!("tag `{tag}`"))?;
    verify(repository, tag, manifest).await
}

/// Checks that the registry names `manifest` by `tag`.
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

/// Warns that the immutable tag named something else before.
pub fn warn_of_replacement(context: &graph::Context<'_>, tag: &Tag, digest: &Digest) {
    context.warn(&format!(
        "`{tag}` is {digest} there, which is not what was built; it is replaced"
    ));
}
