//! What a destination lacks of an image: the plan of one copy. Nothing is written, so a dry run ends here.

use std::collections::HashSet;

use futures_util::future::{BoxFuture, FutureExt as _, try_join_all};

use super::error::{CopyError, SourceError};
use super::job::{Attestations, Destination, Policy};
use super::source::SourceImage;
use crate::oci::{Content, Descriptor, Digest, Manifest, Platform, Tag, media_type};
use crate::registry::Error;

/// With at least this many tags for one repository, one listing is cheaper than asking for each.
const MIN_TAGS_TO_LIST: usize = 8;

/// What has to be done at a destination.
pub(super) struct Diff {
    /// The digest that the tags get.
    pub root: Digest,
    pub tags: Vec<TagState>,
    /// Missing manifests, children before parents and the root last; empty if the image is in place.
    pub manifests: Vec<Manifest>,
    /// Missing blobs, the largest first.
    pub blobs: Vec<Descriptor>,
    /// Bytes of the blobs that the destination has.
    pub present: u64,
    /// Requested platforms that the source lacks.
    pub missing_platforms: Vec<Platform>,
    /// The attestations are left out because the destination refuses them.
    pub stripped: bool,
}

/// A tag before the copy.
pub(super) struct TagState {
    pub tag: Tag,
    pub before: Option<Digest>,
    /// It has to be set.
    pub is_stale: bool,
}

/// Asks what `destination` lacks of `image`. With `force`, everything counts as missing.
pub(super) async fn diff(
    image: &SourceImage,
    destination: &Destination,
    policy: &Policy,
    tags_in_repository: usize,
    force: bool,
) -> Result<Diff, CopyError> {
    let before = tags(destination).await?;
    let rewrites = !policy.platforms.is_empty() || policy.attestations == Attestations::Strip;
    let exists = before.iter().any(Option::is_some);
    let may_be_equal = exists || destination.tags.is_empty();

    // If one HEAD may be all that is needed, do not read the manifest.
    let (filtered, root) = if rewrites || force || !may_be_equal {
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
        missing_platforms: Vec::new(),
        stripped: false,
        root,
    };
    let is_in_place = match destination.tags.is_empty() {
        true => !force && destination.digest_of(diff.root.clone()).await?.is_some(),
        false => diff.stale_tags().next().is_none(),
    };
    if is_in_place {
        diff.missing_platforms = filtered.map_or_else(Vec::new, |it| it.missing_platforms);
        return Ok(diff);
    }
    let filtered = match filtered {
        Some(filtered) => filtered,
        None => image.filtered(policy).await?,
    };
    diff.missing_platforms = filtered.missing_platforms;
    let path = destination.repository.path();
    let traversal = Traversal {
        image,
        destination,
        is_empty: !exists
            && tags_in_repository >= MIN_TAGS_TO_LIST
            && destination.host.is_empty(path).await,
        force,
    };
    let missing = traversal.missing_below(filtered.manifest).await?;
    let mut seen = HashSet::new();
    diff.manifests = missing.manifests;
    diff.manifests
        .retain(|manifest| seen.insert(manifest.digest().clone()));
    let mut seen = HashSet::new();
    diff.blobs = missing.blobs;
    diff.blobs.retain(|blob| seen.insert(blob.digest.clone()));
    diff.blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
    diff.present = missing.present;
    Ok(diff)
}

/// The digests that the tags of the destination have now, in the order of the tags.
async fn tags(destination: &Destination) -> Result<Vec<Option<Digest>>, Error> {
    let (host, path) = (&destination.host, destination.repository.path());
    if host.is_known_empty(path) {
        return Ok(vec![None; destination.tags.len()]);
    }
    let ask = |tag: &Tag| destination.digest_of(tag.clone());
    try_join_all(destination.tags.iter().map(ask)).await
}

/// What a repository lacks of a manifest and everything below it.
#[derive(Default)]
struct Missing {
    manifests: Vec<Manifest>,
    blobs: Vec<Descriptor>,
    present: u64,
}

/// Visits a manifest and everything below it.
struct Traversal<'t> {
    image: &'t SourceImage,
    destination: &'t Destination,
    /// The repository has nothing, so nothing is asked for.
    is_empty: bool,
    force: bool,
}

impl Traversal<'_> {
    fn missing_below(&self, manifest: Manifest) -> BoxFuture<'_, Result<Missing, CopyError>> {
        async move {
            let content = manifest.content().map_err(Error::from);
            let children = match content.map_err(SourceError::from)? {
                Content::Index(index) => index.manifests,
                Content::Image(image) => image.layers.into_iter().chain([image.config]).collect(),
            };
            let mut missing = Missing::default();
            for below in
                try_join_all(children.into_iter().map(|child| self.missing_of(child))).await?
            {
                missing.manifests.extend(below.manifests);
                missing.blobs.extend(below.blobs);
                missing.present += below.present;
            }
            missing.manifests.push(manifest);
            Ok(missing)
        }
        .boxed()
    }

    /// The media type decides, not the parent: BuildKit's cache is an index that lists layers.
    async fn missing_of(&self, child: Descriptor) -> Result<Missing, CopyError> {
        let mut missing = Missing::default();
        if media_type::is_manifest(&child.media_type) {
            let digest = child.digest.clone();
            let is_missing =
                self.force || self.is_empty || self.destination.digest_of(digest).await?.is_none();
            if is_missing {
                let manifest = self.image.manifest(&child).await?;
                missing = self.missing_below(manifest).await?;
            }
        } else if self.has_blob(&child).await? {
            missing.present = child.size;
        } else {
            missing.blobs.push(child);
        }
        Ok(missing)
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        if blob.is_foreign() {
            return Ok(true);
        }
        if self.force {
            return Ok(false);
        }
        let (host, path) = (&self.destination.host, self.destination.repository.path());
        match self.is_empty {
            true => Ok(host.blob(&blob.digest).contains(path)),
            false => host.has_blob(path, &blob.digest).await,
        }
    }
}

impl Diff {
    /// The tags that have to be set.
    pub fn stale_tags(&self) -> impl Iterator<Item = &TagState> {
        self.tags.iter().filter(|tag| tag.is_stale)
    }
}
