//! Copies one image to one destination: diff, upload, and both again if the registry lost something that it claimed to
//! have, or refuses the attestations.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::diff::{self, Diff, TagState, diff};
use super::error::{CopyError, SourceError};
use super::filter;
use super::job::{
    Attestations, Before, Destination, Job, MissingPlatform, Mode, Options, Policy, Source,
};
use super::listed;
use super::result::{Bytes, Change, CopyResult, CopyStatus, Listener, TagDiff};
use super::source::SourceImage;
use super::upload::{Uploader, is_refusal};
use crate::oci::{Digest, Manifest};
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
    /// What [`Task::look_at_destination`] has found, for the first diff.
    pub before: Mutex<Option<Looked>>,
}

/// What a look has found, and when it began.
pub(super) type Looked = (Instant, Before);

impl Task {
    /// Asks what the image is at the source, unless its listing tells.
    pub async fn look_at_source(&self) -> Result<Digest, SourceError> {
        let image = &self.image;
        if diff::reads_source(&self.destination, &image.job.policy, self.options.force) {
            return Ok(image.root().await?.digest().clone());
        }
        image.seen().await
    }

    /// Asks what the tags name at the destination, unless its listing tells.
    pub async fn look_at_destination(&self) {
        if !self.destination.at_registry().is_listed().await {
            let start = Instant::now();
            let before = self.destination.tags_before().await;
            *self.before() = Some((start, before));
        }
    }

    /// Whether the look found all tags to name the image that is `seen` at the source.
    pub async fn is_seen_in_place(&self, seen: &Digest) -> bool {
        let policy = &self.image.job.policy;
        if self.options.force || policy.is_filter() || self.destination.tags.is_empty() {
            return false;
        }
        let before = self.before().as_ref().map(|(_, before)| before.clone());
        match before {
            Some(before) => {
                before.is_ok_and(|it| it.iter().all(|digest| digest.as_ref() == Some(seen)))
            }
            None => {
                let listed = listed::in_place(&self.image, &self.destination, policy, None);
                matches!(listed.await, Ok(Some(_)))
            }
        }
    }

    /// Forgets a look that failed: the registry may be back.
    pub fn forget_failed_look(&self) {
        self.before().take_if(|(_, before)| before.is_err());
    }

    fn take_before(&self) -> Option<Before> {
        self.before().take().map(|(_, before)| before)
    }

    fn before(&self) -> MutexGuard<'_, Option<Looked>> {
        self.before.lock().expect("no holder panics")
    }

    /// Copies the image, with tries again, and counts its bytes.
    pub async fn copy_image(&self, bytes: &mut Bytes) -> Result<Diff, CopyError> {
        let mut copied = self.try_once(bytes).await;
        for _ in 0..self.options.retries {
            let Err(CopyError::Destination(error)) = &copied else {
                break;
            };
            let Some(turn) = self.destination.host.turn(error).await else {
                break;
            };
            turn.wait(&self.destination.host.name, error).await;
            copied = self.try_once(bytes).await;
        }
        copied
    }

    /// The same, told.
    pub async fn run_image(&self) -> CopyResult {
        let start = Instant::now();
        let mut bytes = Bytes::default();
        let copied = self.copy_image(&mut bytes).await;
        self.told(copied, bytes, start)
    }

    /// The image, if it is in place.
    pub async fn in_place(&self) -> Option<CopyResult> {
        let start = Instant::now();
        let (policy, force) = (&self.image.job.policy, self.options.force);
        let (destination, count) = (&self.destination, self.tags_in_repository);
        let before = self.take_before();
        let diff = diff(&self.image, destination, policy, count, force, before);
        let diff = Box::pin(diff).await.ok()?;
        if !diff.manifests.is_empty() {
            return None;
        }
        self.destination.host.record(start, Ok(()));
        Some(self.told(Ok(diff), Bytes::default(), start))
    }

    /// The result of an image that was begun at `start` and could not be copied.
    pub fn failed(&self, error: CopyError, start: Instant) -> CopyResult {
        self.told(Err(error), Bytes::default(), start)
    }

    fn told(&self, copied: Result<Diff, CopyError>, bytes: Bytes, start: Instant) -> CopyResult {
        let mut result = CopyResult::unfinished(&self.image.job, &self.destination);
        result.bytes = bytes;
        result.seconds = (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        match copied {
            Ok(diff) => {
                result.status = status(&diff);
                result.reason = note(&diff);
                if self.destination.tags.is_empty() {
                    result.reference = self.destination.repository.at(diff.root.clone());
                }
                result.diff = diff.tags.iter().map(|it| it.diff(&diff.root)).collect();
                result.incomplete = !diff.missing_platforms.is_empty();
                result.digest = Some(diff.root);
            }
            Err(error) => {
                result.http_status = error.status();
                result.reason = Some(match self.is_to_be_skipped(&error) {
                    true => format!("{error}; what is there under this name stays"),
                    false => error.to_string(),
                });
                if self.is_to_be_skipped(&error) {
                    result.status = CopyStatus::Skipped;
                }
            }
        }
        result
    }

    fn is_to_be_skipped(&self, error: &CopyError) -> bool {
        let is_lack = matches!(error, CopyError::Source(SourceError::NoPlatform { .. }));
        is_lack && self.image.job.policy.missing_platform == MissingPlatform::Skip
    }

    /// Copies the image once, and tells the registry's health how that ended.
    async fn try_once(&self, bytes: &mut Bytes) -> Result<Diff, CopyError> {
        let host = &self.destination.host;
        // Those whose looks failed together have met one trouble.
        let start = match &*self.before() {
            Some((start, Err(_))) => *start,
            _ => Instant::now(),
        };
        if let Some(error) = host.circuit_open() {
            return Err(error.into());
        }
        let copied = within(self.options.timeout, self.copy(bytes)).await;
        let copied = copied.flatten();
        match &copied {
            Ok(_) => host.record(start, Ok(())),
            Err(CopyError::Destination(error)) => host.record(start, Err(error)),
            // Says nothing about the destination.
            Err(CopyError::Source(_) | CopyError::TimedOut(_)) => {}
        }
        copied
    }

    async fn copy(&self, bytes: &mut Bytes) -> Result<Diff, CopyError> {
        let policy = &self.image.job.policy;
        if let Source::Pending(image) = &self.image.job.source
            && self.options.mode == Mode::Apply
            && !policy.is_filter()
            && !image.is_finished()
        {
            let uploader = self.uploader(&self.destination);
            uploader.upload_as_ready(image, bytes).await?;
        }
        match self.copy_under(policy, &self.destination, bytes).await {
            Err(error) if policy.attestations == Attestations::Auto && is_refusal(&error) => {
                Box::pin(self.copy_without_attestations(error, bytes)).await
            }
            copied => copied,
        }
    }

    /// Copies the image without its attestations, if that is what the registry refuses: it takes the same image without
    /// them, and refuses the whole once more after that. A later run tries the whole again.
    async fn copy_without_attestations(
        &self,
        refusal: CopyError,
        bytes: &mut Bytes,
    ) -> Result<Diff, CopyError> {
        let policy = &self.image.job.policy;
        let stripped = policy.stripped();
        let whole = self.image.filtered(policy).await?;
        match self.image.filtered(&stripped).await {
            Ok(other) if other.manifest != whole.manifest => {}
            _ => return Err(refusal),
        }
        let untagged = Destination {
            tags: Vec::new(),
            ..self.destination.clone()
        };
        if self.copy_under(&stripped, &untagged, bytes).await.is_err() {
            return Err(refusal);
        }
        match self.copy_under(policy, &self.destination, bytes).await {
            Err(again) if is_refusal(&again) => {}
            copied => return copied,
        }
        let mut diff = self.copy_under(&stripped, &self.destination, bytes).await?;
        diff.stripped = true;
        Ok(diff)
    }

    /// Copies the image under a policy; again if the registry lost something that it claimed to have.
    async fn copy_under(
        &self,
        policy: &Policy,
        destination: &Destination,
        bytes: &mut Bytes,
    ) -> Result<Diff, CopyError> {
        let mut force = self.options.force;
        let mounted = bytes.mounted;
        for round in 0.. {
            let (count, before) = (self.tags_in_repository, self.take_before());
            // Boxed, as it is larger than what holds its size while the blobs travel.
            let diff = diff(&self.image, destination, policy, count, force, before);
            let mut diff = Box::pin(diff).await?;
            if round > 0 {
                // The registry claimed to have these: do not trust it, nor another task that asked before.
                let manifests = diff.manifests.iter().map(Manifest::digest);
                let all = diff.blobs.iter().map(|blob| &blob.digest).chain(manifests);
                all.for_each(|digest| destination.host.blob(digest).invalidate());
            }
            let uploader = Uploader {
                // What it said it had mounted may be what it lacks.
                mounts: round == 0,
                ..self.uploader(destination)
            };
            // What this copy has sent before was not there already.
            let sent = bytes.uploaded + bytes.mounted;
            bytes.skipped = 0;
            let uploaded = match self.options.mode {
                Mode::DryRun if self.was_stripped(&diff, policy).await? => {
                    diff.stripped = true;
                    Ok(diff.root.clone())
                }
                Mode::DryRun => {
                    *bytes = uploader.simulate(&diff);
                    Ok(diff.root.clone())
                }
                Mode::Apply if diff.manifests.is_empty() => Ok(diff.root.clone()),
                Mode::Apply => uploader.apply(&diff, bytes).await,
            };
            bytes.skipped = bytes.skipped.saturating_sub(sent);
            match uploaded {
                Err(CopyError::Destination(Error::ChildMissing(_))) if round < MAX_FORCED => {
                    force = true;
                    bytes.mounted = mounted;
                }
                uploaded => return uploaded.map(|root| Diff { root, ..diff }),
            }
        }
        unreachable!("a round that is not the last ends it")
    }

    fn uploader<'u>(&'u self, destination: &'u Destination) -> Uploader<'u> {
        Uploader {
            image: &self.image,
            destination,
            repository: destination.at_registry(),
            listener: &self.listener,
            retries: self.options.retries,
            mounts: true,
        }
    }

    /// Whether an earlier run left the attestations out because the registry refuses them.
    async fn was_stripped(&self, diff: &Diff, policy: &Policy) -> Result<bool, CopyError> {
        let Some(Some(first)) = diff.tags.first().map(|tag| &tag.before) else {
            return Ok(false);
        };
        let mut tags = diff.tags.iter();
        let is_one = tags.all(|tag| tag.before.as_ref() == Some(first));
        if policy.attestations != Attestations::Auto || !is_one || *first == diff.root {
            return Ok(false);
        }
        match self.image.filtered(&policy.stripped()).await {
            Ok(stripped) => Ok(stripped.manifest.digest() == first),
            Err(SourceError::OnlyAttestations) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// What comes of `work` in that time, if it has a limit.
pub(super) async fn within<T>(
    limit: Option<Duration>,
    work: impl Future<Output = T>,
) -> Result<T, CopyError> {
    let Some(limit) = limit else {
        return Ok(work.await);
    };
    let ended = tokio::time::timeout(limit, work).await;
    ended.map_err(|_| CopyError::TimedOut(limit))
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
    /// Against `root`, which the tag gets.
    fn diff(&self, root: &Digest) -> TagDiff {
        TagDiff {
            tag: self.tag.clone(),
            before: self.before.clone(),
            change: match &self.before {
                None => Change::Missing,
                // Also of one that is set again all the same.
                Some(before) if before == root => Change::Equal,
                Some(_) => Change::Changed,
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
    if diff.is_no_image {
        return Some("it is no image, so that it has no platform: copied whole".to_owned());
    }
    diff.stripped
        .then(|| format!("the registry refuses the attestations; {root} is without them"))
}
