//! What registries hold: the questions that targets and commands ask. Copying compares on its own (`copy`).

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;

use crate::oci::{Content, Descriptor, Digest, Image, ImageConfig, Manifest, Tag, TagOrDigest};
use crate::registry::{Error, Repository};

/// How long a registry may take to answer questions that the other registries wait for.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The largest config that is read, in bytes.
const LARGEST_CONFIG: u64 = 8 << 20;

/// What `tag` names in the repository, or `None` when the registry does not know the tag.
pub async fn resolve_tag(repository: &Repository, tag: &Tag) -> Result<Option<Digest>, Error> {
    let at = TagOrDigest::Tag(tag.clone());
    let head = repository.head_manifest(&at).await?;
    Ok(head.map(|head| head.digest))
}

/// [`resolve_tag`] where others wait for the answer: a registry that is silent for [`PATIENCE`] cannot be reached.
pub async fn resolve_tag_in_time(
    repository: &Repository,
    tag: &Tag,
) -> Result<Option<Digest>, Error> {
    let answer = tokio::time::timeout(PATIENCE, resolve_tag(repository, tag)).await;
    answer.unwrap_or_else(|_| {
        Err(Error::Unreachable {
            url: repository.identity(),
            reason: format!("no answer within {} s", PATIENCE.as_secs()),
        })
    })
}

/// What a tag names, compared with images in the engine.
pub enum Existing {
    Nothing,
    /// Exactly these images: the manifest or index, and each image.
    Same(Manifest, Vec<Image>),
    Other(Digest),
}

/// Compares what `tag` names with the images that the engine knows by `ids`.
///
/// An image's id is the digest of its config, or on engines with containerd's image store that of its manifest.
pub async fn find_existing(
    repository: &Repository,
    tag: &Tag,
    ids: &BTreeSet<Digest>,
) -> Result<Existing, Error> {
    let at = TagOrDigest::Tag(tag.clone());
    let Some(manifest) = repository.get_manifest(&at).await? else {
        return Ok(Existing::Nothing);
    };
    // If they cannot be read, it is something else.
    let images = images(repository, &manifest).await.unwrap_or_default();
    let is_known = |(digest, image): &(Digest, Image)| {
        ids.contains(digest) || ids.contains(&image.config.digest)
    };
    let is_one = ids.len() == 1 && ids.contains(manifest.digest());
    if is_one || images.len() == ids.len() && images.iter().all(is_known) {
        let images = images.into_iter().map(|(_, image)| image);
        return Ok(Existing::Same(manifest, images.collect()));
    }
    Ok(Existing::Other(manifest.digest().clone()))
}

/// The manifest under `tag`, if it is exactly of the images that the engine knows by `ids` and the registry has all of
/// its blobs. `None` also if the registry does not answer in time.
pub async fn find_whole(
    repository: &Repository,
    tag: &Tag,
    ids: &BTreeSet<Digest>,
) -> Option<Manifest> {
    let ask = async {
        let existing = find_existing(repository, tag, ids).await.ok()?;
        let Existing::Same(manifest, images) = existing else {
            return None;
        };
        has_blobs(repository, images).await.then_some(manifest)
    };
    tokio::time::timeout(PATIENCE, ask).await.ok().flatten()
}

/// The manifest under `tag`, if the registry has all that it is made of. `None` also if the registry does not answer in
/// time.
pub async fn find_version(repository: &Repository, tag: &Tag) -> Option<Manifest> {
    let ask = async {
        let at = TagOrDigest::Tag(tag.clone());
        let manifest = repository.get_manifest(&at).await.ok()??;
        let images = images(repository, &manifest).await.ok()?;
        let is_whole = !images.is_empty()
            && has_blobs(repository, images.into_iter().map(|(_, image)| image)).await;
        is_whole.then_some(manifest)
    };
    tokio::time::timeout(PATIENCE, ask).await.ok().flatten()
}

async fn has_blobs(repository: &Repository, images: impl IntoIterator<Item = Image>) -> bool {
    let blobs = images
        .into_iter()
        .flat_map(|image| image.layers.into_iter().chain([image.config]))
        .filter(|blob| !blob.is_foreign());
    let ask = blobs.map(|blob| async move { repository.has_blob(&blob).await });
    let answers = try_join_all(ask).await;
    answers.is_ok_and(|answers| answers.into_iter().all(|has_it| has_it))
}

/// The image that `manifest` is, or the images that it lists, each with its manifest's digest; without attestations.
pub async fn images(repository: &Repository, manifest: &Manifest) -> Result<Vec<(Digest, Image)>> {
    let index = match manifest.content()? {
        Content::Image(image) => return Ok(vec![(manifest.digest().clone(), image)]),
        Content::Index(index) => index,
        Content::Artifact(_) => bail!("it is no image"),
    };
    let is_image = |child: &&Descriptor| {
        let platform = child.platform.as_ref();
        platform.is_none_or(|platform| platform.os != "unknown")
    };
    let ask = index.manifests.iter().filter(is_image).map(|child| async {
        let at = TagOrDigest::Digest(child.digest.clone());
        let manifest = repository.get_manifest(&at).await?;
        match manifest.context("it lists what is not there")?.content()? {
            Content::Image(image) => Ok((child.digest.clone(), image)),
            Content::Index(_) => bail!("an index within an index"),
            Content::Artifact(_) => bail!("it lists what is no image"),
        }
    });
    try_join_all(ask).await
}

/// The config that a manifest refers to.
pub async fn image_config(repository: &Repository, config: &Descriptor) -> Result<ImageConfig> {
    if config.size > LARGEST_CONFIG {
        bail!(
            "the config is {} bytes, more than the limit of 8 MiB",
            config.size
        );
    }
    let mut blob = repository
        .get_blob(config)
        .await?
        .context("there is no config")?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&bytes)?)
}
