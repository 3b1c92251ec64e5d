//! What a place lacks: the plan of one copy, found out by asking and reading only. A dry run ends here.
//!
//! Invariant: nothing is written.

use std::collections::HashSet;

use futures_util::future::{BoxFuture, FutureExt as _, try_join_all};

use super::error::{CopyError, SourceError};
use super::job::{Attestations, Destination, Policy};
use super::source::SourceImage;
use crate::oci::{Content, Descriptor, Digest, Manifest, Platform, Tag, TagOrDigest, media_type};
use crate::registry::{Error, Repository};

/// From so many tags of a repository on, of which one is absent, it is worth asking whether all are.
const WORTH_LISTING: usize = 8;

/// What has to be done at a place.
pub(super) struct Diff {
    /// What the tags are to name.
    pub root: Digest,
    pub tags: Vec<TagState>,
    /// The manifests to be put, children before parents; the last is the root. Empty when nothing is wrong.
    pub manifests: Vec<Manifest>,
    /// The blobs to be moved, the largest first.
    pub blobs: Vec<Descriptor>,
    /// The bytes of blobs that are there already.
    pub present: u64,
    /// Platforms that were asked for and are not there.
    pub missing: Vec<Platform>,
    /// The attestations are left out, although nobody asked for that.
    pub stripped: bool,
}

/// A tag as it was found.
pub(super) struct TagState {
    pub tag: Tag,
    pub before: Option<Digest>,
    /// It has to be put.
    pub is_stale: bool,
}

/// Asks what `place` lacks of `image`. With `force`, everything is taken to be lacking.
pub(super) async fn diff(
    image: &SourceImage,
    destination: &Destination,
    policy: &Policy,
    tags_in_repository: usize,
    force: bool,
) -> Result<Diff, CopyError> {
    let repository = destination.host.repository(&destination.path);
    let before = tags(&repository, destination).await?;
    let rewrites = !policy.platforms.is_empty() || policy.attestations == Attestations::Strip;
    let exists = before.iter().any(Option::is_some);
    let may_be_there = exists || destination.tags.is_empty();

    // One HEAD, where that may be all; what has to be read anyway tells its digest itself.
    let (filtered, root) = if rewrites || force || !may_be_there {
        let filtered = image.filtered(policy).await?;
        let digest = filtered.manifest.digest().clone();
        (Some(filtered), digest)
    } else {
        (None, image.digest().await?.clone())
    };
    let tags = destination
        .tags
        .iter()
        .zip(before)
        .map(|(tag, before)| TagState {
            tag: tag.clone(),
            is_stale: force || before.as_ref() != Some(&root),
            before,
        });
    let mut diff = Diff {
        tags: tags.collect(),
        manifests: Vec::new(),
        blobs: Vec::new(),
        present: 0,
        missing: Vec::new(),
        stripped: false,
        root,
    };
    let is_right = match destination.tags.is_empty() {
        true => !force && has_manifest(&repository, destination, &diff.root).await?,
        false => diff.stale_tags().next().is_none(),
    };
    if is_right {
        diff.missing = filtered.map_or_else(Vec::new, |it| it.missing);
        return Ok(diff);
    }
    let filtered = match filtered {
        Some(filtered) => filtered,
        None => image.filtered(policy).await?,
    };
    diff.missing = filtered.missing;
    let walk = Walk {
        image,
        destination,
        repository: &repository,
        is_empty: !exists
            && tags_in_repository >= WORTH_LISTING
            && destination.host.is_empty(&destination.path).await,
        force,
    };
    let mut missing_below = walk.missing_below(filtered.manifest).await?;
    let mut seen = HashSet::new();
    missing_below
        .blobs
        .retain(|blob| seen.insert(blob.digest.clone()));
    missing_below
        .blobs
        .sort_by_key(|blob| std::cmp::Reverse(blob.size));
    let mut seen = HashSet::new();
    missing_below
        .manifests
        .retain(|manifest| seen.insert(manifest.digest().clone()));
    diff.manifests = missing_below.manifests;
    diff.blobs = missing_below.blobs;
    diff.present = missing_below.present;
    Ok(diff)
}

/// What the tags of the place name now, in their order.
async fn tags(
    repository: &Repository,
    destination: &Destination,
) -> Result<Vec<Option<Digest>>, Error> {
    if destination.host.is_known_empty(&destination.path) {
        return Ok(vec![None; destination.tags.len()]);
    }
    let ask = destination.tags.iter().map(|tag| async move {
        let at = TagOrDigest::Tag(tag.clone());
        let head = destination.host.small(repository.head_manifest(&at)).await;
        Ok(head?.map(|head| head.digest))
    });
    try_join_all(ask).await
}

async fn has_manifest(
    repository: &Repository,
    destination: &Destination,
    digest: &Digest,
) -> Result<bool, Error> {
    let at = TagOrDigest::Digest(digest.clone());
    let head = destination.host.small(repository.head_manifest(&at)).await;
    Ok(head?.is_some())
}

/// The manifests and blobs that a repository lacks.
#[derive(Default)]
struct Missing {
    manifests: Vec<Manifest>,
    blobs: Vec<Descriptor>,
    present: u64,
}

/// The walk from a manifest down to the blobs.
struct Walk<'w> {
    image: &'w SourceImage,
    destination: &'w Destination,
    repository: &'w Repository,
    /// Nothing is there: nothing has to be asked for.
    is_empty: bool,
    force: bool,
}

impl Walk<'_> {
    fn missing_below(&self, manifest: Manifest) -> BoxFuture<'_, Result<Missing, CopyError>> {
        async move {
            let content = manifest.content().map_err(Error::from);
            let parts = match content.map_err(SourceError::from)? {
                Content::Index(index) => index.manifests,
                Content::Image(image) => image.layers.into_iter().chain([image.config]).collect(),
            };
            let mut missing_below = Missing::default();
            for below in try_join_all(parts.into_iter().map(|part| self.missing_of(part))).await? {
                missing_below.manifests.extend(below.manifests);
                missing_below.blobs.extend(below.blobs);
                missing_below.present += below.present;
            }
            missing_below.manifests.push(manifest);
            Ok(missing_below)
        }
        .boxed()
    }

    /// What is lacking of something that a manifest refers to. BuildKit's cache is an index of layers, so that it is
    /// the type that tells, not who refers.
    async fn missing_of(&self, part: Descriptor) -> Result<Missing, CopyError> {
        let mut missing_below = Missing::default();
        if media_type::is_manifest(&part.media_type) {
            if !self.has_manifest(&part.digest).await? {
                missing_below = self
                    .missing_below(self.image.manifest(&part).await?)
                    .await?;
            }
        } else if self.has_blob(&part).await? {
            missing_below.present = part.size;
        } else {
            missing_below.blobs.push(part);
        }
        Ok(missing_below)
    }

    async fn has_manifest(&self, digest: &Digest) -> Result<bool, Error> {
        match self.force || self.is_empty {
            true => Ok(false),
            false => has_manifest(self.repository, self.destination, digest).await,
        }
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        if blob.is_foreign() {
            return Ok(true);
        }
        if self.force {
            return Ok(false);
        }
        let (host, path) = (&self.destination.host, &self.destination.path);
        match self.is_empty {
            true => Ok(host.blob(&blob.digest).is_at(path)),
            false => host.has_blob(path, &blob.digest).await,
        }
    }
}

impl Diff {
    /// The tags that have to be put.
    pub fn stale_tags(&self) -> impl Iterator<Item = &TagState> {
        self.tags.iter().filter(|tag| tag.is_stale)
    }
}
