//! Copies one image to one destination: diff, upload, and both again if the registry lost something that it claimed to
//! have, or refuses the attestations.

use std::sync::Arc;
use std::time::Instant;

use super::diff::{Diff, TagState, diff};
use super::error::CopyError;
use super::filter;
use super::job::{Attestations, Destination, Job, Mode, Options, Policy, Source};
use super::result::{Bytes, Change, CopyResult, CopyStatus, Listener, TagDiff};
use super::source::SourceImage;
use super::upload::{Uploader, is_refusal};
use crate::oci::Digest;
use crate::registry::Error;

/// How often everything is copied again after the registry said that something it had is missing.
const MAX_FORCED: u32 = 2;

pub(super) struct Task {
    /// Tags that this run sets in the repository of `destination`.
    pub tags_in_repository: usize,
    pub image: Arc<SourceImage>,
    pub destination: Destination,
    pub options: Arc<Options>,
    pub listener: Arc<dyn Listener>,
}

impl Task {
    pub async fn run(self) -> CopyResult {
        let start = Instant::now();
        let host = &self.destination.host;
        let copied = match (host.circuit_open(), self.options.timeout) {
            (Some(error), _) => Err(CopyError::from(error.clone())),
            (None, None) => self.copy().await,
            (None, Some(limit)) => match tokio::time::timeout(limit, self.copy()).await {
                Ok(copied) => copied,
                Err(_) => Err(CopyError::TimedOut(limit)),
            },
        };
        match &copied {
            Ok(_) => host.record(Ok(())),
            Err(CopyError::Destination(error)) => host.record(Err(error)),
            // Says nothing about the destination.
            Err(CopyError::Source(_) | CopyError::TimedOut(_)) => {}
        }
        let mut result = CopyResult::unfinished(&self.image.job, &self.destination);
        result.seconds = (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        match copied {
            Ok((diff, bytes)) => {
                result.status = status(&diff);
                result.reason = note(&diff);
                if self.destination.tags.is_empty() {
                    result.reference = self.destination.repository.at(diff.root.clone());
                }
                result.diff = diff.tags.iter().map(TagState::diff).collect();
                result.incomplete = !diff.missing_platforms.is_empty();
                result.digest = Some(diff.root);
                result.bytes = bytes;
            }
            Err(error) => {
                result.http_status = error.status();
                result.reason = Some(error.to_string());
            }
        }
        result
    }

    async fn copy(&self) -> Result<(Diff, Bytes), CopyError> {
        let mut policy = self.image.job.policy.clone();
        let mut force = self.options.force;
        let mut round = 0;
        let mut as_ready = Bytes::default();
        if let Source::Pending(image) = &self.image.job.source {
            as_ready = self.uploader().upload_as_ready(image).await?;
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
                return Ok((diff, Bytes::default()));
            }
            diff.stripped = policy.attestations != self.image.job.policy.attestations;
            if round > 0 {
                // The registry claimed to have these blobs: do not trust it, nor another task that asked before.
                let host = &self.destination.host;
                let seen = diff.blobs.iter().map(|blob| host.blob(&blob.digest));
                seen.for_each(|locations| locations.invalidate());
            }
            let uploader = self.uploader();
            let uploaded = match self.options.mode {
                Mode::DryRun => Ok(uploader.simulate(&diff)),
                Mode::Apply if diff.manifests.is_empty() => Ok(Bytes::default()),
                Mode::Apply => uploader.apply(&diff).await,
            };
            match uploaded {
                Ok(mut bytes) => {
                    let sent = as_ready.uploaded + as_ready.mounted;
                    bytes.uploaded += as_ready.uploaded;
                    bytes.mounted += as_ready.mounted;
                    bytes.skipped = bytes.skipped.saturating_sub(sent);
                    return Ok((diff, bytes));
                }
                Err(CopyError::Destination(Error::ChildMissing(_))) if round < MAX_FORCED => {
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

    fn uploader(&self) -> Uploader<'_> {
        Uploader {
            image: &self.image,
            destination: &self.destination,
            repository: self.destination.at_registry(),
            listener: &self.listener,
            retries: self.options.retries,
        }
    }

    /// The digest of every tag, if an earlier run left the attestations out because the registry refuses them.
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
    /// A failure without a reason yet.
    pub(super) fn unfinished(job: &Job, destination: &Destination) -> CopyResult {
        let image = job.name.clone();
        CopyResult {
            destination: destination.host.name.clone(),
            reference: destination.reference(job.source.at()),
            tags: destination.tags.clone(),
            reason: None,
            ..CopyResult::failed(image, &destination.repository, String::new(), None)
        }
    }
}

impl TagState {
    fn diff(&self) -> TagDiff {
        TagDiff {
            tag: self.tag.clone(),
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
    if diff.stripped || !diff.missing_platforms.is_empty() {
        CopyStatus::Degraded
    } else if diff.manifests.is_empty() {
        CopyStatus::Equal
    } else if diff.stale_tags().any(|tag| tag.before.is_some()) {
        CopyStatus::Updated
    } else {
        CopyStatus::Created
    }
}

fn note(diff: &Diff) -> Option<String> {
    let root = &diff.root;
    if !diff.missing_platforms.is_empty() {
        let missing = filter::list(&diff.missing_platforms);
        return Some(format!(
            "the source has no image for {missing}; {root} is without"
        ));
    }
    diff.stripped
        .then(|| format!("the registry refuses the attestations; {root} is without them"))
}
