//! What happened to each image at each destination, and the events while it happens.
//!
//! A [`CopyResult`] is also an entry of the report (`report/schema.rs`): a field that changes here changes its schema.

use serde::{Deserialize, Serialize};

use crate::oci::{Digest, Reference, RepositoryName, Tag};

/// How the copy of one image to one destination ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CopyStatus {
    /// No tag was there before.
    Created,
    /// A tag named something else before.
    Updated,
    /// Everything was there already.
    Equal,
    /// Copied, but less than the source has.
    Degraded,
    /// Left out, because the source lacks a platform and that was allowed.
    Skipped,
    Failed,
}

/// What a tag named before, and whether that had to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TagDiff {
    pub tag: Tag,
    /// What the tag named; null if it was not there.
    pub before: Option<Digest>,
    pub change: Change,
}

/// How a tag differed from what it has to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Missing,
    Changed,
    Equal,
}

/// Bytes of blobs, by what was done with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Bytes {
    pub uploaded: u64,
    /// Taken by the registry from another of its repositories.
    pub mounted: u64,
    /// There already.
    pub skipped: u64,
}

/// One image at one destination.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CopyResult {
    /// The image at the source.
    pub image: String,
    /// The registry host that it is copied to.
    pub destination: String,
    /// Repository and first tag, or digest, at the destination; the repository alone if the source could not be listed.
    pub reference: Reference,
    /// The tags that the image is to have at the destination.
    pub tags: Vec<Tag>,
    /// The tags as they were before; empty if they could not be asked for.
    pub diff: Vec<TagDiff>,
    /// In a dry run, what the status would be.
    pub status: CopyStatus,
    /// What the tags name now, or would after a dry run; null if it failed.
    pub digest: Option<Digest>,
    pub bytes: Bytes,
    pub seconds: f64,
    /// Why it failed, what it lacks, or that only its referrers are new.
    pub reason: Option<String>,
    /// The status of the HTTP response that it failed with.
    pub http_status: Option<u16>,
    /// The source lacks a platform that was asked for.
    pub incomplete: bool,
    /// Signatures, SBOMs and other referrers that are in place with it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub referrers: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl CopyResult {
    /// An image of which nothing could be copied to `repository`.
    pub fn failed(
        image: String,
        repository: &RepositoryName,
        reason: String,
        http_status: Option<u16>,
    ) -> Self {
        CopyResult {
            image,
            destination: repository.host().to_owned(),
            reference: repository.clone().into(),
            tags: Vec::new(),
            diff: Vec::new(),
            status: CopyStatus::Failed,
            digest: None,
            bytes: Bytes::default(),
            seconds: 0.0,
            reason: Some(reason),
            http_status,
            incomplete: false,
            referrers: 0,
        }
    }

    /// Something of the image that was asked for is not there.
    pub fn is_failed(&self) -> bool {
        self.status == CopyStatus::Failed || self.incomplete
    }

    /// Where it is, with all its tags: `ghcr.io/acme/app:1.2,latest`.
    pub fn place(&self) -> String {
        let more = self.tags.iter().skip(1);
        more.fold(self.reference.to_string(), |place, tag| {
            format!("{place},{tag}")
        })
    }

    /// The reference of each tag; without tags, the reference by digest.
    pub fn references(&self) -> Vec<Reference> {
        if self.tags.is_empty() {
            return vec![self.reference.clone()];
        }
        let repository = &self.reference.repository;
        let tags = self.tags.iter().cloned();
        tags.map(|tag| repository.at(tag)).collect()
    }
}

/// One thing that happened.
#[derive(Debug)]
pub enum Event<'e> {
    /// So many more bytes are to go to this host.
    Planned {
        destination: &'e str,
        bytes: u64,
    },
    /// So many of them have arrived, or were there already.
    Moved {
        destination: &'e str,
        bytes: u64,
    },
    /// So many bytes of blobs were read from a source.
    Read {
        bytes: u64,
    },
    Finished {
        result: &'e CopyResult,
    },
}

/// Receives every [`Event`], from any thread.
pub trait Listener: Send + Sync + 'static {
    fn on_event(&self, event: Event<'_>);
}
