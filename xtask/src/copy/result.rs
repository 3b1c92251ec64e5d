//! What became of each image at each place, and what is told while it happens.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::oci::{Digest, RepositoryName};

/// How one image fared at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    Failed,
}

/// What a tag named before, and whether that had to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagDiff {
    pub tag: String,
    /// The digest, if the tag was there.
    pub before: Option<Digest>,
    pub change: Change,
}

/// How a tag differs from what it is to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Missing,
    Changed,
    Equal,
}

/// Bytes of blobs, by what was done with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    pub uploaded: u64,
    /// Taken by the registry from another of its repositories.
    pub mounted: u64,
    /// There already.
    pub skipped: u64,
}

/// One image at one place.
#[derive(Clone, Debug, Serialize)]
pub struct CopyResult {
    pub image: String,
    /// The destination's host.
    pub destination: String,
    /// Repository and first tag, or digest, at the destination.
    pub reference: String,
    pub tags: Vec<String>,
    /// The tags as they were found; empty if that was not found out.
    pub diff: Vec<TagDiff>,
    pub status: CopyStatus,
    /// What the tags name now, or in a dry run would.
    pub digest: Option<Digest>,
    pub bytes: Bytes,
    #[serde(serialize_with = "seconds", rename = "seconds")]
    pub duration: Duration,
    /// Why it failed, or what it lacks.
    pub reason: Option<String>,
    pub http_status: Option<u16>,
    /// A platform that was asked for is missing.
    pub incomplete: bool,
}

impl CopyResult {
    /// An image that did not even begin to move to `repository`.
    pub fn failed(
        image: String,
        repository: &RepositoryName,
        reason: String,
        http_status: Option<u16>,
    ) -> Self {
        CopyResult {
            image,
            destination: repository.host().to_owned(),
            reference: repository.to_string(),
            tags: Vec::new(),
            diff: Vec::new(),
            status: CopyStatus::Failed,
            digest: None,
            bytes: Bytes::default(),
            duration: Duration::ZERO,
            reason: Some(reason),
            http_status,
            incomplete: false,
        }
    }

    /// The reference of each tag, or the one by digest.
    pub fn references(&self) -> Vec<String> {
        let [first, more @ ..] = &self.tags[..] else {
            return vec![self.reference.clone()];
        };
        let repository = self
            .reference
            .strip_suffix(first)
            .unwrap_or(&self.reference);
        [first]
            .into_iter()
            .chain(more)
            .map(|tag| format!("{repository}{tag}"))
            .collect()
    }
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// One thing that happened.
#[derive(Debug)]
pub enum Event<'e> {
    /// So many more bytes are to go to this host.
    Planned {
        destination: &'e str,
        bytes: u64,
    },
    /// So many of them have gone, or turned out to be there.
    Moved {
        destination: &'e str,
        bytes: u64,
    },
    /// So many bytes of blobs were read from a source.
    Read {
        bytes: u64,
    },
    Finished {
        row: &'e CopyResult,
    },
}

/// Hears every [`Event`], from any thread.
pub trait Listener: Send + Sync + 'static {
    fn event(&self, event: Event<'_>);
}
