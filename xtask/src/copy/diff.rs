//! What a destination lacks of an image: the plan of one copy. Nothing is written, so a dry run ends here.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::error::CopyError;
use super::filter::Filtered;
use super::job::{Before, Destination, Policy};
use super::limits::FAN_OUT;
use super::listed;
use super::source::SourceImage;
use super::tree::Tree;
use crate::oci::{Descriptor, Digest, Manifest, Platform, Tag};
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
    /// Bytes of the blobs that the destination has, below manifests that it lacks.
    pub present: u64,
    /// Requested platforms that the source lacks.
    pub missing_platforms: Vec<Platform>,
    /// Platforms were chosen, but it is no image, so it is copied whole.
    pub is_no_image: bool,
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

/// Asks what `destination` lacks of `image`. With `force`, everything counts as missing. `before` is what the tags are
/// already known to name.
pub(super) async fn diff(
    image: &SourceImage,
    destination: &Destination,
    policy: &Policy,
    tags_in_repository: usize,
    force: bool,
    before: Option<Before>,
) -> Result<Diff, CopyError> {
    let known = before.as_ref();
    if !force && let Some(root) = listed::in_place(image, destination, policy, known).await? {
        let before = vec![Some(root.clone()); destination.tags.len()];
        return Ok(Diff::new(root, destination, before, force));
    }
    let at_source = async {
        match reads_source(destination, policy, force) {
            true => image.filtered(policy).await.map(Some),
            false => image.digest().await.map(|_| None),
        }
    };
    let at_destination = async {
        match before {
            Some(before) => before,
            None => destination.tags_before().await,
        }
    };
    // Both sides at once: one may be as far away as the other.
    let (before, filtered) = tokio::join!(at_destination, at_source);
    let (before, mut filtered) = (before?, filtered?);
    let exists = before.iter().any(Option::is_some);
    if filtered.is_none() && !exists && !destination.tags.is_empty() {
        filtered = Some(image.filtered(policy).await?);
    }
    let mut root = match &filtered {
        Some(filtered) => filtered.manifest.digest().clone(),
        None => image.digest().await?.clone(),
    };
    // A registry that knows no sha512 names the same manifest by its sha256.
    let mut named = before.iter().flatten();
    if let Some(named) = named.find(|it| it.algorithm() != root.algorithm()) {
        let manifest = match &filtered {
            Some(filtered) => &filtered.manifest,
            None => image.root().await?,
        };
        if *named == named.same_algorithm(manifest.bytes()) {
            root = named.clone();
        }
    }
    let mut diff = Diff::new(root, destination, before, force);
    let is_in_place = match destination.tags.is_empty() {
        true => !force && destination.digest_of(diff.root.clone()).await?.is_some(),
        false => diff.stale_tags().next().is_none(),
    };
    if is_in_place {
        if let Some(filtered) = filtered {
            diff.describe(&filtered);
        }
        return Ok(diff);
    }
    let filtered = match filtered {
        Some(filtered) => filtered,
        None => image.filtered(policy).await?,
    };
    diff.describe(&filtered);
    if diff.root != *filtered.manifest.digest() {
        // The tag at the source has moved between two questions.
        let before = diff.tags.into_iter().map(|it| it.before).collect();
        diff = Diff::new(
            filtered.manifest.digest().clone(),
            destination,
            before,
            force,
        );
        diff.describe(&filtered);
    }
    let path = destination.repository.path();
    let missing = Missing {
        image,
        destination,
        filtered: &filtered,
        has_no_tags: !exists
            && tags_in_repository >= MIN_TAGS_TO_LIST
            && destination.host.is_empty(path).await,
        force,
    };
    missing.find(&mut diff).await?;
    Ok(diff)
}

/// Whether the manifest is read at the source in any case. Otherwise one HEAD may be all that is needed.
pub(super) fn reads_source(destination: &Destination, policy: &Policy, force: bool) -> bool {
    policy.is_filter() || force || destination.has_no_tags_yet()
}

/// Looks for what a destination lacks of an image and everything below it.
struct Missing<'m> {
    image: &'m SourceImage,
    destination: &'m Destination,
    filtered: &'m Filtered,
    /// So it has no manifests either. It may have blobs, of a run that ended early.
    has_no_tags: bool,
    force: bool,
}

impl Missing<'_> {
    async fn find(&self, diff: &mut Diff) -> Result<(), CopyError> {
        let root = self.filtered.manifest.clone();
        let tree = Tree::read(root, async |child| self.missing_manifest(child).await).await?;
        let ask = async |blob: Descriptor| {
            let is_there = self.has_blob(&blob).await?;
            Ok::<_, Error>((blob, is_there))
        };
        // Foreign layers are neither there nor sent.
        let blobs = tree.blobs().into_iter().filter(|blob| !blob.is_foreign());
        let mut answers = std::pin::pin!(stream::iter(blobs).map(ask).buffered(FAN_OUT));
        while let Some((blob, is_there)) = answers.try_next().await? {
            match is_there {
                true => diff.present += blob.size,
                false => diff.blobs.push(blob),
            }
        }
        diff.blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
        diff.manifests = tree.into_manifests();
        Ok(())
    }

    /// The manifest, if the destination lacks it.
    async fn missing_manifest(&self, child: Descriptor) -> Result<Option<Manifest>, CopyError> {
        let host = &self.destination.host;
        if !self.force {
            let path = self.destination.repository.path();
            let was_put = || host.blob(&child.digest).contains(path);
            let digest = child.digest.clone();
            if was_put() || !self.has_no_tags && self.destination.digest_of(digest).await?.is_some()
            {
                return Ok(None);
            }
        }
        match self.filtered.made.get(&child.digest) {
            Some(made) => Ok(Some(made.clone())),
            None => Ok(Some(self.image.manifest(&child).await?)),
        }
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        let (host, path) = (&self.destination.host, self.destination.repository.path());
        Ok(!self.force && host.has_blob(path, blob).await?)
    }
}

impl Diff {
    /// Nothing of the image is missing yet.
    fn new(
        root: Digest,
        destination: &Destination,
        before: Vec<Option<Digest>>,
        force: bool,
    ) -> Diff {
        let tags = destination.tags.iter().zip(before);
        let tags = tags.map(|(tag, before)| TagState {
            tag: tag.clone(),
            is_stale: force || before.as_ref() != Some(&root),
            before,
        });
        Diff {
            tags: tags.collect(),
            manifests: Vec::new(),
            blobs: Vec::new(),
            present: 0,
            missing_platforms: Vec::new(),
            is_no_image: false,
            stripped: false,
            root,
        }
    }

    fn describe(&mut self, filtered: &Filtered) {
        self.missing_platforms = filtered.missing_platforms.clone();
        self.is_no_image = filtered.is_no_image;
    }

    /// The tags that have to be set.
    pub fn stale_tags(&self) -> impl Iterator<Item = &TagState> {
        self.tags.iter().filter(|tag| tag.is_stale)
    }
}
