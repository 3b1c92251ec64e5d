//! What is to be copied where, and how, as plain data.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::limits::FAN_OUT;
use super::pending::PendingImage;
use super::registry_host::RegistryHost;
use crate::oci::{Digest, Platform, Reference, RepositoryName, Tag, TagOrDigest};
use crate::registry::{Error, Repository};

/// One image of a source with its destinations.
#[derive(Clone)]
pub struct Job {
    /// For people: `docker.io/library/nginx:1.27`.
    pub name: String,
    pub source: Source,
    pub policy: Policy,
    pub destinations: Vec<Destination>,
}

/// Where an image is copied from.
#[derive(Clone)]
pub enum Source {
    Registry {
        repository: Repository,
        at: TagOrDigest,
    },
    Pending(PendingImage),
}

impl Source {
    /// The tag or digest of the image at the source, if it is in a registry.
    pub fn at(&self) -> Option<&TagOrDigest> {
        match self {
            Source::Registry { at, .. } => Some(at),
            Source::Pending(_) => None,
        }
    }
}

/// The digests that the tags of a destination have before a copy.
pub(super) type Before = Result<Vec<Option<Digest>>, Error>;

/// A repository at a registry host, and the tags that the image gets there.
#[derive(Clone)]
pub struct Destination {
    pub host: Arc<RegistryHost>,
    pub repository: RepositoryName,
    /// Without any, the image is only reachable by its digest.
    pub tags: Vec<Tag>,
}

impl Destination {
    /// The reference by the first tag or, without tags, by `at`, the image's tag or digest at the source.
    pub fn reference(&self, at: Option<&TagOrDigest>) -> Reference {
        match (self.tags.first(), at) {
            (Some(tag), _) => self.repository.at(tag.clone()),
            (None, Some(at)) => self.repository.at(at.clone()),
            (None, None) => self.repository.clone().into(),
        }
    }

    /// The repository at the registry.
    pub(super) fn at_registry(&self) -> Repository {
        self.host.repository(self.repository.path())
    }

    /// Whether its repository was listed, and had no tags.
    pub(super) fn has_no_tags_yet(&self) -> bool {
        !self.tags.is_empty() && self.host.is_known_empty(self.repository.path())
    }

    /// What its tags name there now, in the order of the tags.
    pub(super) async fn tags_before(&self) -> Before {
        if self.has_no_tags_yet() {
            return Ok(vec![None; self.tags.len()]);
        }
        let tags = stream::iter(self.tags.clone());
        let tags = tags.map(|tag| self.digest_of(tag)).buffered(FAN_OUT);
        tags.try_collect().await
    }

    /// The digest of what `at` names there.
    pub(super) async fn digest_of(
        &self,
        at: impl Into<TagOrDigest>,
    ) -> Result<Option<Digest>, Error> {
        let (repository, at) = (self.at_registry(), at.into());
        let head = self.host.request(repository.head_manifest(&at)).await?;
        Ok(head.map(|head| head.digest))
    }
}

/// What is left out of an index when it is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Only these platforms; all if empty.
    pub platforms: Vec<Platform>,
    /// Copy the other platforms when the source lacks one.
    pub lenient: bool,
    /// Whichever of the platforms the source has will do: it lacks them only if it has none.
    pub any_of: bool,
    /// What happens to an image of which nothing is copied because the source lacks a platform.
    pub missing_platform: MissingPlatform,
    pub attestations: Attestations,
    pub referrers: Referrers,
}

/// What an image is that lacks a wanted platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingPlatform {
    #[default]
    Fail,
    /// It is left out: nothing of it was asked for.
    Skip,
}

impl Policy {
    /// Whether it may leave something out.
    pub(super) fn is_filter(&self) -> bool {
        !self.platforms.is_empty() || self.attestations == Attestations::Strip
    }

    pub(super) fn wants(&self, platform: &Platform) -> bool {
        self.platforms.is_empty() || self.platforms.iter().any(|it| it.fits(platform))
    }

    /// The same without attestations.
    pub(super) fn stripped(&self) -> Policy {
        Policy {
            attestations: Attestations::Strip,
            ..self.clone()
        }
    }
}

/// What happens to the attestations that BuildKit lists beside the images of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attestations {
    Keep,
    Strip,
    /// Kept, unless the destination refuses them (Aliyun does: koordinator#3194).
    #[default]
    Auto,
}

/// What happens to the signatures, SBOMs and attestations that stand beside an image in its repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referrers {
    /// They go with the image, which costs a listing of the source and a request for each image.
    #[default]
    Keep,
    Strip,
}

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Apply,
    DryRun,
}

/// How a run copies.
#[derive(Clone, Debug)]
pub struct Options {
    pub mode: Mode,
    /// Images copied at once to each registry host; at least one. Of those in place, more are looked at.
    pub concurrency: usize,
    /// Further tries of an upload that has to start again.
    pub retries: u32,
    /// For one image at one destination.
    pub timeout: Option<Duration>,
    /// Copy everything, whatever the destination has.
    pub force: bool,
}
