//! What a place lacks: the plan of one copy, found out by asking and reading only. A dry run ends here.
//!
//! Invariant: nothing is written.

use std::collections::HashSet;

use futures_util::future::{BoxFuture, FutureExt as _, try_join_all};

use super::error::{CopyError, SourceError};
use super::image::Image;
use super::job::{Attestations, Place, Policy};
use crate::oci::{Content, Descriptor, Digest, Manifest, Platform, Tag, TagOrDigest, media_type};
use crate::registry::{Error, Repository};

/// From so many tags of a repository on, of which one is absent, it is worth asking whether all are.
const WORTH_LISTING: usize = 8;

/// What has to be done at a place.
pub(super) struct Diff {
    /// What the tags are to name.
    pub root: Digest,
    pub tags: Vec<Found>,
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
pub(super) struct Found {
    pub tag: Tag,
    pub before: Option<Digest>,
    /// It has to be put.
    pub is_wrong: bool,
}

/// Asks what `place` lacks of `image`. With `force`, everything is taken to be lacking.
pub(super) async fn survey(
    image: &Image,
    place: &Place,
    policy: &Policy,
    siblings: usize,
    force: bool,
) -> Result<Diff, CopyError> {
    let repository = place.destination.repository(&place.path);
    let before = tags(&repository, place).await?;
    let rewrites = !policy.platforms.is_empty() || policy.attestations == Attestations::Strip;
    let exists = before.iter().any(Option::is_some);
    let may_be_there = exists || place.tags.is_empty();

    // One HEAD, where that may be all; what has to be read anyway tells its digest itself.
    let (filtered, root) = if rewrites || force || !may_be_there {
        let filtered = image.filtered(policy).await?;
        let digest = filtered.manifest.digest().clone();
        (Some(filtered), digest)
    } else {
        (None, image.digest().await?.clone())
    };
    let tags = place.tags.iter().zip(before).map(|(tag, before)| Found {
        tag: tag.clone(),
        is_wrong: force || before.as_ref() != Some(&root),
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
    let is_right = match place.tags.is_empty() {
        true => !force && has_manifest(&repository, place, &diff.root).await?,
        false => diff.wrong().next().is_none(),
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
        place,
        repository: &repository,
        is_empty: !exists
            && siblings >= WORTH_LISTING
            && place.destination.is_empty(&place.path).await,
        force,
    };
    let mut lack = walk.lack(filtered.manifest).await?;
    let mut seen = HashSet::new();
    lack.blobs.retain(|blob| seen.insert(blob.digest.clone()));
    lack.blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    let mut seen = HashSet::new();
    lack.manifests
        .retain(|manifest| seen.insert(manifest.digest().clone()));
    diff.manifests = lack.manifests;
    diff.blobs = lack.blobs;
    diff.present = lack.present;
    Ok(diff)
}

/// What the tags of the place name now, in their order.
async fn tags(repository: &Repository, place: &Place) -> Result<Vec<Option<Digest>>, Error> {
    if place.destination.is_known_empty(&place.path) {
        return Ok(vec![None; place.tags.len()]);
    }
    let ask = place.tags.iter().map(|tag| async move {
        let at = TagOrDigest::Tag(tag.clone());
        let head = place.destination.small(repository.head_manifest(&at)).await;
        Ok(head?.map(|head| head.digest))
    });
    try_join_all(ask).await
}

async fn has_manifest(
    repository: &Repository,
    place: &Place,
    digest: &Digest,
) -> Result<bool, Error> {
    let at = TagOrDigest::Digest(digest.clone());
    let head = place.destination.small(repository.head_manifest(&at)).await;
    Ok(head?.is_some())
}

/// The manifests and blobs that a repository lacks.
#[derive(Default)]
struct Lack {
    manifests: Vec<Manifest>,
    blobs: Vec<Descriptor>,
    present: u64,
}

/// The walk from a manifest down to the blobs.
struct Walk<'w> {
    image: &'w Image,
    place: &'w Place,
    repository: &'w Repository,
    /// Nothing is there: nothing has to be asked for.
    is_empty: bool,
    force: bool,
}

impl Walk<'_> {
    fn lack(&self, manifest: Manifest) -> BoxFuture<'_, Result<Lack, CopyError>> {
        async move {
            let content = manifest.content().map_err(Error::from);
            let parts = match content.map_err(SourceError::from)? {
                Content::Index(index) => index.manifests,
                Content::Image(image) => image.layers.into_iter().chain([image.config]).collect(),
            };
            let mut lack = Lack::default();
            for below in try_join_all(parts.into_iter().map(|part| self.lack_of(part))).await? {
                lack.manifests.extend(below.manifests);
                lack.blobs.extend(below.blobs);
                lack.present += below.present;
            }
            lack.manifests.push(manifest);
            Ok(lack)
        }
        .boxed()
    }

    /// What is lacking of something that a manifest refers to. BuildKit's cache is an index of layers, so that it is
    /// the type that tells, not who refers.
    async fn lack_of(&self, part: Descriptor) -> Result<Lack, CopyError> {
        let mut lack = Lack::default();
        if media_type::is_manifest(&part.media_type) {
            if !self.has_manifest(&part.digest).await? {
                lack = self.lack(self.image.manifest(&part).await?).await?;
            }
        } else if self.has_blob(&part).await? {
            lack.present = part.size;
        } else {
            lack.blobs.push(part);
        }
        Ok(lack)
    }

    async fn has_manifest(&self, digest: &Digest) -> Result<bool, Error> {
        match self.force || self.is_empty {
            true => Ok(false),
            false => has_manifest(self.repository, self.place, digest).await,
        }
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        if blob.is_foreign() {
            return Ok(true);
        }
        if self.force {
            return Ok(false);
        }
        let (destination, path) = (&self.place.destination, &self.place.path);
        match self.is_empty {
            true => Ok(destination.blob(&blob.digest).is_at(path)),
            false => destination.has_blob(path, &blob.digest).await,
        }
    }
}

impl Diff {
    /// The tags that have to be put.
    pub fn wrong(&self) -> impl Iterator<Item = &Found> {
        self.tags.iter().filter(|tag| tag.is_wrong)
    }
}
