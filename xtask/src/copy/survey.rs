//! What a place lacks: the plan of one copy, found out by asking and reading only. A dry run ends here.
//!
//! Invariant: nothing is written.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, try_join_all};

use super::destination::Known;
use super::image::{Image, SourceError};
use super::job::{Attestations, Place, Policy};
use super::outcome::Bytes;
use crate::registry::{
    Content, Descriptor, Digest, Error, Manifest, Platform, Repository, Tag, TagOrDigest,
};

/// From so many tags of a repository on, one listing is cheaper than asking for each.
const WORTH_LISTING: usize = 8;

/// What has to be done at a place.
pub(super) struct Diff {
    /// What the tags are to name.
    pub root: Digest,
    /// The tags that do not name it, with what they name now.
    pub wrong: Vec<(Tag, Option<Digest>)>,
    /// The manifests to be put, children before parents; the last is the root. Empty when nothing is wrong.
    pub manifests: Vec<Manifest>,
    /// The blobs to be moved, the largest first.
    pub blobs: Vec<Descriptor>,
    /// What is there already.
    pub present: u64,
    /// Platforms that were asked for and are not there.
    pub missing: Vec<Platform>,
    /// The attestations are left out, although nobody asked for that.
    pub stripped: bool,
}

/// Why a place could not be surveyed or written.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{0}")]
    Destination(#[from] Error),
    #[error("not done within {0:?}")]
    Late(Duration),
}

impl CopyError {
    /// The HTTP status behind it, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            CopyError::Source(SourceError::Registry(error)) | CopyError::Destination(error) => {
                error.status()
            }
            _ => None,
        }
    }
}

/// Asks what `place` lacks of `image`. With `force`, everything is taken to be lacking.
pub(super) async fn survey(
    image: &Image,
    place: &Place,
    policy: &Policy,
    siblings: usize,
    force: bool,
) -> Result<Diff, CopyError> {
    let destination = &place.destination;
    let repository = destination.repository(&place.path);
    let known = destination.known(&place.path);
    let current = tags(&repository, &known, place, siblings).await?;
    let rewrites = !policy.platforms.is_empty() || policy.attestations == Attestations::Strip;
    let exists = current.iter().any(|(_, digest)| digest.is_some());

    let (filtered, root) = if rewrites || force || !exists {
        let filtered = image.filtered(policy).await?;
        let digest = filtered.manifest.digest().clone();
        (Some(filtered), digest)
    } else {
        (None, image.digest().await?.clone())
    };
    let is_right = |digest: &Option<Digest>| !force && digest.as_ref() == Some(&root);
    let wrong: Vec<_> = current
        .into_iter()
        .filter(|(_, digest)| !is_right(digest))
        .collect();
    let mut diff = Diff {
        root,
        wrong,
        manifests: Vec::new(),
        blobs: Vec::new(),
        present: 0,
        missing: Vec::new(),
        stripped: false,
    };
    let by_digest = TagOrDigest::Digest(diff.root.clone());
    if diff.wrong.is_empty()
        && (!place.tags.is_empty()
            || !force && repository.head_manifest(&by_digest).await?.is_some())
    {
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
        repository: &repository,
        known: &known,
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

/// The tags of the place with what they name now.
async fn tags(
    repository: &Repository,
    known: &Arc<Known>,
    place: &Place,
    siblings: usize,
) -> Result<Vec<(Tag, Option<Digest>)>, Error> {
    let listed = if siblings >= WORTH_LISTING {
        Some(known.tags(repository).await?)
    } else {
        None
    };
    let ask = place.tags.iter().map(|tag| async move {
        let is_absent = listed.is_some_and(|tags| !tags.is_some_and(|tags| tags.contains(tag)));
        let head = match is_absent {
            true => None,
            false => {
                repository
                    .head_manifest(&TagOrDigest::Tag(tag.clone()))
                    .await?
            }
        };
        Ok::<_, Error>((tag.clone(), head.map(|head| head.digest)))
    });
    try_join_all(ask).await
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
    repository: &'w Repository,
    known: &'w Known,
    force: bool,
}

impl Walk<'_> {
    fn lack(&self, manifest: Manifest) -> BoxFuture<'_, Result<Lack, CopyError>> {
        async move {
            let mut lack = Lack::default();
            match manifest
                .content()
                .map_err(|error| SourceError::from(Error::from(error)))?
            {
                Content::Index(index) => {
                    let children = index
                        .manifests
                        .iter()
                        .map(|child| self.lack_of_child(child));
                    for below in try_join_all(children).await? {
                        lack.manifests.extend(below.manifests);
                        lack.blobs.extend(below.blobs);
                        lack.present += below.present;
                    }
                }
                Content::Image(image) => {
                    let blobs = image.layers.iter().chain([&image.config]);
                    let asked = blobs.map(|blob| async move {
                        Ok::<_, CopyError>((blob, self.has_blob(blob).await?))
                    });
                    for (blob, is_present) in try_join_all(asked).await? {
                        match is_present {
                            true => lack.present += blob.size,
                            false => lack.blobs.push(blob.clone()),
                        }
                    }
                }
            }
            lack.manifests.push(manifest);
            Ok(lack)
        }
        .boxed()
    }

    async fn lack_of_child(&self, child: &Descriptor) -> Result<Lack, CopyError> {
        let at = TagOrDigest::Digest(child.digest.clone());
        if !self.force
            && !self.known.is_new()
            && self.repository.head_manifest(&at).await?.is_some()
        {
            return Ok(Lack::default());
        }
        self.lack(self.image.manifest(child).await?).await
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, CopyError> {
        // Content that lives elsewhere by design (Windows base layers) is not the registry's to hold.
        if blob.urls.as_ref().is_some_and(|urls| !urls.is_empty()) {
            return Ok(true);
        }
        if self.force {
            return Ok(false);
        }
        if self.known.has_blob(&blob.digest) {
            return Ok(true);
        }
        if self.known.is_new() {
            return Ok(false);
        }
        Ok(self.repository.has_blob(&blob.digest).await?)
    }
}

impl Diff {
    /// The bytes as a dry run would count them.
    pub fn bytes(&self) -> Bytes {
        Bytes {
            uploaded: self.blobs.iter().map(|blob| blob.size).sum(),
            mounted: 0,
            skipped: self.present,
        }
    }
}
