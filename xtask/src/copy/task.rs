//! One image on its way to one place: surveyed, written, and surveyed again where the registry says that it has less
//! than it said before, or takes less than there is.
//!
//! It refuses to know how many others there are. Invariant: however it ends, it ends in a [`Row`].

use std::sync::Arc;
use std::time::Instant;

use super::apply::{Writer, is_refusal};
use super::error::CopyError;
use super::filter;
use super::image::Image;
use super::job::{Attestations, Job, Place, Policy, Source};
use super::outcome::{Bytes, Change, Listener, Row, TagDiff, Verdict};
use super::run::{Mode, Options};
use super::survey::{Diff, Found, survey};
use crate::oci::Digest;
use crate::registry::Error;

/// How often a place is surveyed anew after the registry said that something it had is missing.
const ROUNDS: u32 = 2;

pub(super) struct Task {
    /// Tags that this run sets in the same repository.
    pub siblings: usize,
    pub image: Arc<Image>,
    pub place: Place,
    pub options: Arc<Options>,
    pub listener: Arc<dyn Listener>,
}

struct Done {
    verdict: Verdict,
    diff: Diff,
    bytes: Bytes,
}

impl Task {
    pub async fn run(self) -> Row {
        let start = Instant::now();
        let destination = &self.place.destination;
        let ended = match (destination.down(), self.options.timeout) {
            (Some(error), _) => Err(CopyError::from(error.clone())),
            (None, None) => self.copy().await,
            (None, Some(limit)) => match tokio::time::timeout(limit, self.copy()).await {
                Ok(ended) => ended,
                Err(_) => Err(CopyError::Late(limit)),
            },
        };
        match &ended {
            Ok(_) => destination.learn(Ok(())),
            Err(CopyError::Destination(error)) => destination.learn(Err(error)),
            // Says nothing of the destination.
            Err(CopyError::Source(_) | CopyError::Late(_)) => {}
        }
        let mut row = Row::of(&self.image.job, &self.place);
        row.duration = start.elapsed();
        match ended {
            Ok(done) => {
                if self.place.tags.is_empty() {
                    row.reference = format!(
                        "{}/{}@{}",
                        destination.host, self.place.path, done.diff.root
                    );
                }
                row.verdict = done.verdict;
                row.digest = Some(done.diff.root.to_string());
                row.diff = done.diff.tags.iter().map(Found::diff).collect();
                row.bytes = done.bytes;
                row.incomplete = !done.diff.missing.is_empty();
                row.reason = remark(&done);
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
        if let Source::Feed { feed, .. } = &self.image.job.source {
            early = self.writer().keep_up(feed).await?;
        }
        loop {
            let mut diff = survey(&self.image, &self.place, &policy, self.siblings, force).await?;
            if policy.attestations == Attestations::Auto
                && let Some(stripped) = self.was_stripped(&diff, &policy).await?
            {
                diff.tags.iter_mut().for_each(|tag| tag.is_wrong = false);
                diff.root = stripped;
                diff.stripped = true;
                return Ok(Done {
                    verdict: Verdict::Degraded,
                    bytes: Bytes::default(),
                    diff,
                });
            }
            diff.stripped = policy.attestations != self.image.job.policy.attestations;
            if round > 0 {
                // Whoever has seen these blobs there has been told wrong.
                let destination = &self.place.destination;
                let seen = diff.blobs.iter().map(|blob| destination.blob(&blob.digest));
                seen.for_each(|whereabouts| whereabouts.forget());
            }
            let writer = self.writer();
            let written = match self.options.mode {
                Mode::DryRun => Ok(writer.pretend(&diff)),
                Mode::Apply if diff.manifests.is_empty() => Ok(Bytes::default()),
                Mode::Apply => writer.apply(&diff).await,
            };
            match written {
                Ok(mut bytes) => {
                    let moved = early.uploaded + early.mounted;
                    bytes.uploaded += early.uploaded;
                    bytes.mounted += early.mounted;
                    bytes.skipped = bytes.skipped.saturating_sub(moved);
                    let verdict = verdict(&diff);
                    return Ok(Done {
                        verdict,
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

    fn writer(&self) -> Writer<'_> {
        Writer {
            image: &self.image,
            place: &self.place,
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

impl Row {
    /// The row of what has not ended.
    pub(super) fn of(job: &Job, place: &Place) -> Row {
        let host = &place.destination.host;
        Row {
            image: job.name.clone(),
            destination: host.clone(),
            reference: place.reference(job.source.at()),
            tags: place.tags.iter().map(ToString::to_string).collect(),
            diff: Vec::new(),
            verdict: Verdict::Failed,
            digest: None,
            bytes: Bytes::default(),
            duration: std::time::Duration::ZERO,
            reason: None,
            http_status: None,
            incomplete: false,
        }
    }
}

impl Found {
    fn diff(&self) -> TagDiff {
        TagDiff {
            tag: self.tag.to_string(),
            before: self.before.as_ref().map(ToString::to_string),
            change: match (&self.before, self.is_wrong) {
                (None, _) => Change::Missing,
                (Some(_), true) => Change::Changed,
                (Some(_), false) => Change::Equal,
            },
        }
    }
}

fn verdict(diff: &Diff) -> Verdict {
    if diff.stripped || !diff.missing.is_empty() {
        Verdict::Degraded
    } else if diff.manifests.is_empty() {
        Verdict::Equal
    } else if diff.wrong().any(|tag| tag.before.is_some()) {
        Verdict::Updated
    } else {
        Verdict::Created
    }
}

fn remark(done: &Done) -> Option<String> {
    let Diff { missing, root, .. } = &done.diff;
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        return Some(format!(
            "the source has no image for {}; {root} is without",
            missing.join(", ")
        ));
    }
    (done.verdict == Verdict::Degraded)
        .then(|| format!("the registry refuses the attestations; {root} is without them"))
}
