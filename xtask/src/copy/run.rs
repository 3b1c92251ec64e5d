//! Every job to every place: each destination at its own pace, each image at each place with its own verdict.
//!
//! Invariant: there is one [`Row`] for each place of each job, whatever happens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::apply::{Writer, distrust, is_refusal};
use super::filter;
use super::image::{Image, Shelf};
use super::job::{Attestations, Job, Place, Policy};
use super::outcome::{Bytes, Event, Listener, Row, Verdict};
use super::survey::{CopyError, Diff, survey};
use crate::registry::{Content, Error};

/// How often a place is surveyed anew after the registry said that something it had is missing.
const ROUNDS: u32 = 2;

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Apply,
    DryRun,
}

/// How a run goes about it.
#[derive(Clone, Debug)]
pub struct Options {
    pub mode: Mode,
    /// Images that are on their way to one destination at once.
    pub concurrency: usize,
    /// Further tries of an upload.
    pub retries: u32,
    /// For one image at one place.
    pub timeout: Option<Duration>,
    /// Moves everything, whatever is there.
    pub force: bool,
}

/// Copies every job to all its places; rows come in the order of the jobs. When `cancel` completes, what has not ended
/// has failed.
pub async fn run(
    jobs: Vec<Job>,
    options: &Options,
    listener: Arc<dyn Listener>,
    cancel: impl Future<Output = ()>,
) -> Vec<Row> {
    let mut siblings: HashMap<(String, String), usize> = HashMap::new();
    let mut lanes: HashMap<String, Arc<Semaphore>> = HashMap::new();
    for place in jobs.iter().flat_map(|job| &job.places) {
        *siblings.entry(key(place)).or_default() += place.tags.len();
        lanes
            .entry(place.destination.host.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(options.concurrency)));
    }
    let shelf = Shelf::new(Arc::clone(&listener));
    let mut rows = Vec::new();
    let mut tasks = JoinSet::new();
    for job in jobs {
        let places = job.places.clone();
        let image = Image::new(job, Arc::clone(&shelf));
        for place in places {
            let number = rows.len();
            rows.push(unfinished(&image.job, &place));
            let task = Task {
                lane: Arc::clone(&lanes[&place.destination.host]),
                siblings: siblings[&key(&place)],
                image: Arc::clone(&image),
                place,
                options: options.clone(),
                listener: Arc::clone(&listener),
            };
            tasks.spawn(async move { (number, task.run().await) });
        }
    }
    let mut cancel = std::pin::pin!(cancel);
    loop {
        tokio::select! {
            biased;
            () = &mut cancel => break,
            ended = tasks.join_next() => match ended {
                Some(Ok((number, row))) => {
                    listener.event(Event::Finished { row: &row });
                    rows[number] = row;
                }
                // A panic is told by the runtime; its row stays unfinished.
                Some(Err(_)) => {}
                None => break,
            }
        }
    }
    rows
}

fn key(place: &Place) -> (String, String) {
    (place.destination.host.clone(), place.path.clone())
}

fn unfinished(job: &Job, place: &Place) -> Row {
    Row {
        image: job.name.clone(),
        destination: place.destination.host.clone(),
        reference: place.reference(&job.at),
        tags: place.tags.iter().map(ToString::to_string).collect(),
        verdict: Verdict::Failed,
        digest: None,
        bytes: Bytes::default(),
        duration: Duration::ZERO,
        reason: Some("interrupted".to_owned()),
        http_status: None,
        incomplete: false,
    }
}

/// One image on its way to one place.
struct Task {
    lane: Arc<Semaphore>,
    /// Tags that this run sets in the same repository.
    siblings: usize,
    image: Arc<Image>,
    place: Place,
    options: Options,
    listener: Arc<dyn Listener>,
}

struct Done {
    verdict: Verdict,
    diff: Diff,
    bytes: Bytes,
}

impl Task {
    async fn run(self) -> Row {
        let _permit = self.lane.acquire().await;
        let start = Instant::now();
        let ended = match (self.place.destination.down(), self.options.timeout) {
            (Some(error), _) => Err(CopyError::from(error.clone())),
            (None, None) => self.copy().await,
            (None, Some(limit)) => match tokio::time::timeout(limit, self.copy()).await {
                Ok(ended) => ended,
                Err(_) => Err(CopyError::Late(limit)),
            },
        };
        self.place.destination.learn(match &ended {
            Ok(_) => Ok(()),
            Err(CopyError::Destination(error)) => Err(error),
            Err(_) => Ok(()),
        });
        let mut row = unfinished(&self.image.job, &self.place);
        row.duration = start.elapsed();
        match ended {
            Ok(done) => {
                row.verdict = done.verdict;
                row.digest = Some(done.diff.root.to_string());
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
        loop {
            let mut diff = survey(&self.image, &self.place, &policy, self.siblings, force).await?;
            if policy.attestations == Attestations::Auto
                && let Some(stripped) = self.was_stripped(&diff, &policy).await?
            {
                diff.root = stripped;
                diff.stripped = true;
                return Ok(Done {
                    verdict: Verdict::Degraded,
                    bytes: Bytes::default(),
                    diff,
                });
            }
            diff.stripped = policy.attestations != self.image.job.policy.attestations;
            let verdict = verdict(&diff);
            if self.options.mode == Mode::DryRun || diff.manifests.is_empty() {
                return Ok(Done {
                    verdict,
                    bytes: diff.bytes(),
                    diff,
                });
            }
            let writer = Writer {
                image: &self.image,
                place: &self.place,
                listener: &self.listener,
                retries: self.options.retries,
            };
            match writer.apply(&diff).await {
                Ok(bytes) => {
                    return Ok(Done {
                        verdict,
                        bytes,
                        diff,
                    });
                }
                Err(CopyError::Destination(Error::ChildMissing(_))) if round < ROUNDS => {
                    let images = diff.manifests.iter().filter_map(|it| match it.content() {
                        Ok(Content::Image(image)) => Some(image),
                        _ => None,
                    });
                    let blobs = images.flat_map(|it| it.layers.into_iter().chain([it.config]));
                    distrust(&self.place, blobs.map(|blob| blob.digest));
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

    /// The digest that every wrong tag names, if it is what an earlier run had to leave the attestations out for.
    async fn was_stripped(
        &self,
        diff: &Diff,
        policy: &Policy,
    ) -> Result<Option<crate::registry::Digest>, CopyError> {
        if diff.wrong.is_empty()
            || diff.wrong.iter().any(|(_, digest)| digest.is_none())
            || self.options.force
        {
            return Ok(None);
        }
        let policy = Policy {
            attestations: Attestations::Strip,
            ..policy.clone()
        };
        let stripped = self
            .image
            .filtered(&policy)
            .await?
            .manifest
            .digest()
            .clone();
        let is_it = stripped != diff.root
            && diff
                .wrong
                .iter()
                .all(|(_, digest)| digest.as_ref() == Some(&stripped));
        Ok(is_it.then_some(stripped))
    }
}

fn verdict(diff: &Diff) -> Verdict {
    let is_degraded = diff.stripped || !diff.missing.is_empty();
    match &diff.wrong[..] {
        [] if diff.manifests.is_empty() && !is_degraded => Verdict::Equal,
        _ if is_degraded => Verdict::Degraded,
        wrong if wrong.iter().any(|(_, digest)| digest.is_some()) => Verdict::Updated,
        _ => Verdict::Created,
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
