//! One image on its way to one place: surveyed, written, and surveyed again where the registry says that it has less
//! than it said before, or takes less than there is.
//!
//! It refuses to know how many others there are. Invariant: however it ends, it ends in a [`CopyResult`].

use std::sync::Arc;
use std::time::Instant;

use super::diff::{Diff, TagState, diff};
use super::error::CopyError;
use super::filter;
use super::job::{Attestations, Destination, Job, Policy, Source};
use super::result::{Bytes, Change, CopyResult, CopyStatus, Listener, TagDiff};
use super::run::{Mode, Options};
use super::source::SourceImage;
use super::upload::{Uploader, is_refusal};
use crate::oci::Digest;
use crate::registry::Error;

/// How often a place is surveyed anew after the registry said that something it had is missing.
const ROUNDS: u32 = 2;

pub(super) struct Task {
    /// Tags that this run sets in the same repository.
    pub tags_in_repository: usize,
    pub image: Arc<SourceImage>,
    pub destination: Destination,
    pub options: Arc<Options>,
    pub listener: Arc<dyn Listener>,
}

struct Done {
    status: CopyStatus,
    diff: Diff,
    bytes: Bytes,
}

impl Task {
    pub async fn run(self) -> CopyResult {
        let start = Instant::now();
        let host = &self.destination.host;
        let ended = match (host.down(), self.options.timeout) {
            (Some(error), _) => Err(CopyError::from(error.clone())),
            (None, None) => self.copy().await,
            (None, Some(limit)) => match tokio::time::timeout(limit, self.copy()).await {
                Ok(ended) => ended,
                Err(_) => Err(CopyError::Late(limit)),
            },
        };
        match &ended {
            Ok(_) => host.record(Ok(())),
            Err(CopyError::Destination(error)) => host.record(Err(error)),
            // Says nothing of the destination.
            Err(CopyError::Source(_) | CopyError::Late(_)) => {}
        }
        let mut row = CopyResult::of(&self.image.job, &self.destination);
        row.duration = start.elapsed();
        match ended {
            Ok(done) => {
                if self.destination.tags.is_empty() {
                    row.reference =
                        format!("{}/{}@{}", host.name, self.destination.path, done.diff.root);
                }
                row.status = done.status;
                row.digest = Some(done.diff.root.clone());
                row.diff = done.diff.tags.iter().map(TagState::diff).collect();
                row.bytes = done.bytes;
                row.incomplete = !done.diff.missing.is_empty();
                row.reason = note(&done);
            }
            Err(error) => {
                row.http_status = error.status();
                row.reason = Some(error.to_string());
            }
        }
        row
    }

    async fn copy(&self) -> Result<Done, CopyError> {
        let mut policy = self.image.job.policy.clone();
        let mut force = self.options.force;
        let mut round = 0;
        let mut early = Bytes::default();
        if let Source::Pending { image, .. } = &self.image.job.source {
            early = self.writer().upload_as_ready(image).await?;
        }
        loop {
            let mut diff = diff(
                &self.image,
                &self.destination,
                &policy,
                self.tags_in_repository,
                force,
            )
            .await?;
            if policy.attestations == Attestations::Auto
                && let Some(stripped) = self.was_stripped(&diff, &policy).await?
            {
                diff.tags.iter_mut().for_each(|tag| tag.is_stale = false);
                diff.root = stripped;
                diff.stripped = true;
                return Ok(Done {
                    status: CopyStatus::Degraded,
                    bytes: Bytes::default(),
                    diff,
                });
            }
            diff.stripped = policy.attestations != self.image.job.policy.attestations;
            if round > 0 {
                // Whoever has seen these blobs there has been told wrong.
                let host = &self.destination.host;
                let seen = diff.blobs.iter().map(|blob| host.blob(&blob.digest));
                seen.for_each(|locations| locations.invalidate());
            }
            let writer = self.writer();
            let written = match self.options.mode {
                Mode::DryRun => Ok(writer.simulate(&diff)),
                Mode::Apply if diff.manifests.is_empty() => Ok(Bytes::default()),
                Mode::Apply => writer.apply(&diff).await,
            };
            match written {
                Ok(mut bytes) => {
                    let moved = early.uploaded + early.mounted;
                    bytes.uploaded += early.uploaded;
                    bytes.mounted += early.mounted;
                    bytes.skipped = bytes.skipped.saturating_sub(moved);
                    let status = status(&diff);
                    return Ok(Done {
                        status,
                        bytes,
                        diff,
                    });
                }
                Err(CopyError::Destination(Error::ChildMissing(_))) if round < ROUNDS => {
                    force = true;
                    round += 1;
                }
                Err(error) if policy.attestations == Attestations::Auto && is_refusal(&error) => {
                    if !filter::has_attestations(self.image.root().await?) {
                        return Err(error);
                    }
                    policy.attestations = Attestations::Strip;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn writer(&self) -> Uploader<'_> {
        Uploader {
            image: &self.image,
            destination: &self.destination,
            listener: &self.listener,
            retries: self.options.retries,
        }
    }

    /// The digest that every tag names, if it is what an earlier run had to leave the attestations out for.
    async fn was_stripped(
        &self,
        diff: &Diff,
        policy: &Policy,
    ) -> Result<Option<Digest>, CopyError> {
        let Some(Some(first)) = diff.tags.first().map(|tag| &tag.before) else {
            return Ok(None);
        };
        let is_one = diff
            .tags
            .iter()
            .all(|tag| tag.before.as_ref() == Some(first));
        if self.options.force || !is_one || *first == diff.root {
            return Ok(None);
        }
        let policy = Policy {
            attestations: Attestations::Strip,
            ..policy.clone()
        };
        let stripped = self.image.filtered(&policy).await?.manifest;
        Ok((stripped.digest() == first).then(|| first.clone()))
    }
}

impl CopyResult {
    /// The row of what has not ended.
    pub(super) fn of(job: &Job, destination: &Destination) -> CopyResult {
        let host = &destination.host.name;
        CopyResult {
            image: job.name.clone(),
            destination: host.clone(),
            reference: destination.reference(job.source.at()),
            tags: destination.tags.iter().map(ToString::to_string).collect(),
            diff: Vec::new(),
            status: CopyStatus::Failed,
            digest: None,
            bytes: Bytes::default(),
            duration: std::time::Duration::ZERO,
            reason: None,
            http_status: None,
            incomplete: false,
        }
    }
}

impl TagState {
    fn diff(&self) -> TagDiff {
        TagDiff {
            tag: self.tag.to_string(),
            before: self.before.clone(),
            change: match (&self.before, self.is_stale) {
                (None, _) => Change::Missing,
                (Some(_), true) => Change::Changed,
                (Some(_), false) => Change::Equal,
            },
        }
    }
}

fn status(diff: &Diff) -> CopyStatus {
    if diff.stripped || !diff.missing.is_empty() {
        CopyStatus::Degraded
    } else if diff.manifests.is_empty() {
        CopyStatus::Equal
    } else if diff.stale_tags().any(|tag| tag.before.is_some()) {
        CopyStatus::Updated
    } else {
        CopyStatus::Created
    }
}

fn note(done: &Done) -> Option<String> {
    let Diff { missing, root, .. } = &done.diff;
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        return Some(format!(
            "the source has no image for {}; {root} is without",
            missing.join(", ")
        ));
    }
    (done.status == CopyStatus::Degraded)
        .then(|| format!("the registry refuses the attestations; {root} is without them"))
}
