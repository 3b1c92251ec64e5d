//! What is to be copied where, as plain data.

use std::sync::Arc;

use super::pending::PendingImage;
use super::registry_host::RegistryHost;
use crate::oci::{Platform, Tag, TagOrDigest};
use crate::registry::Repository;

/// One image of a source, and the places it is to go to.
#[derive(Clone)]
pub struct Job {
    /// As people name it: `docker.io/library/nginx:1.27`.
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
    /// It is being made.
    Pending {
        image: PendingImage,
        /// Holds those of its blobs that are not made, because they are where the image goes already.
        fallback: Option<Repository>,
    },
}

impl Source {
    /// What the image is called there.
    pub fn at(&self) -> Option<&TagOrDigest> {
        match self {
            Source::Registry { at, .. } => Some(at),
            Source::Pending { .. } => None,
        }
    }
}

/// A repository at a destination, and the tags that the image is to have there.
#[derive(Clone)]
pub struct Destination {
    pub host: Arc<RegistryHost>,
    pub path: String,
    /// Without any, the image is only reachable by its digest.
    pub tags: Vec<Tag>,
}

impl Destination {
    /// The place's first name; `at` is the image's at the source, where it has one.
    pub fn reference(&self, at: Option<&TagOrDigest>) -> String {
        let repository = format!("{}/{}", self.host.name, self.path);
        match (self.tags.first(), at) {
            (Some(tag), _) => format!("{repository}:{tag}"),
            (None, Some(at)) => format!("{repository}@{at}"),
            (None, None) => repository,
        }
    }
}

/// What may become of an index on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Only these children, when any are named.
    pub platforms: Vec<Platform>,
    /// A platform that the source lacks does not keep the others from being copied.
    pub lenient: bool,
    pub attestations: Attestations,
}

/// What becomes of the attestations that BuildKit lists beside the images of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attestations {
    Keep,
    Strip,
    /// Kept, unless the destination refuses them (Aliyun does: koordinator#3194).
    #[default]
    Auto,
}
