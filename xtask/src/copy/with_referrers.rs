//! Copies an image with what refers to it: signatures, SBOMs and attestations that stand beside it.
//!
//! They are looked for also where the image is in place, because signatures are often added later. Where there are
//! some, a tag is set only when they are there.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Semaphore;

use super::error::{CopyError, SourceError};
use super::job::{Destination, Mode, Referrers as Wanted, Source};
use super::referrer_list::{self, Extended};
use super::referrers::{KnownReferrers, Referrer, ReferrerName, Referrers, images, parts};
use super::result::{Bytes, CopyResult, CopyStatus};
use super::task::{Task, within};
use crate::oci::{Content, Digest, Tag, TagOrDigest};
use crate::registry::{Error, Repository};

/// Copies the image and its referrers. What is to be copied waits for one of the `places`; a look does not.
pub(super) async fn run(task: Task, known: &KnownReferrers, places: &Semaphore) -> CopyResult {
    let Source::Registry { repository, .. } = &task.image.job.source else {
        let _place = places.acquire().await;
        return task.run_image().await;
    };
    let mut copies = Copies {
        task: &task,
        known,
        source: repository,
        bytes: Bytes::default(),
        is_list_new: false,
        new: 0,
        count: 0,
        problems: Vec::new(),
        failure: None,
    };
    let limit = task.options.timeout;
    let begun = Instant::now();
    let looked = within(limit, Box::pin(copies.look(begun))).await;
    let looked = looked.unwrap_or_else(|error| Err(Box::new(task.failed(error, begun))));
    let (seen, of_image) = match looked {
        Ok(looked) => looked,
        Err(ended) => return *ended,
    };
    let left = limit.map(|it| it.saturating_sub(begun.elapsed()));
    let is_in_place = task.is_seen_in_place(&seen).await;
    let nothing_refers = of_image.is_none_or(|it| it.found.is_empty());
    let mut place = None;
    if !(is_in_place && nothing_refers) {
        place = places.try_acquire().ok();
        if place.is_none() {
            place = places.acquire().await.ok();
            task.forget_failed_look();
        }
    }
    let copied = within(left, copies.run(of_image, is_in_place)).await;
    drop(place);
    copied.unwrap_or_else(|_| task.failed(CopyError::TimedOut(limit.unwrap_or_default()), begun))
}

/// A look: what the image is at the source, and what refers to it there if that is wanted; or the end.
type Looked<'t> = Result<(Digest, Option<&'t Referrers>), Box<CopyResult>>;

struct Copies<'t> {
    task: &'t Task,
    known: &'t KnownReferrers,
    source: &'t Repository,
    /// Of the referrers.
    bytes: Bytes,
    /// A list of them was written.
    is_list_new: bool,
    /// Those that were not there before.
    new: usize,
    /// Those that are in place now.
    count: usize,
    /// What stays behind, for good reasons.
    problems: Vec<String>,
    /// What another run may mend.
    failure: Option<(String, Option<u16>)>,
}

impl<'t> Copies<'t> {
    /// Asks both sides at once, as one may be as far away as the other.
    async fn look(&mut self, begun: Instant) -> Looked<'t> {
        let (task, image, known) = (self.task, &self.task.image, self.known);
        if task.destination.host.circuit_open().is_some() {
            return Err(Box::new(task.run_image().await));
        }
        let at_source = async {
            let seen = task.look_at_source().await?;
            let of_image = match image.job.policy.referrers {
                Wanted::Keep => Some(known.of_image(image).await),
                Wanted::Strip => None,
            };
            Ok::<_, SourceError>((seen, of_image))
        };
        let (at_source, ()) = tokio::join!(at_source, task.look_at_destination());
        let (seen, of_image) =
            at_source.map_err(|error| Box::new(task.failed(error.into(), begun)))?;
        match of_image.transpose() {
            Ok(of_image) => Ok((seen, of_image.map(|(_, found)| found))),
            Err(error) => {
                self.fails(error.into());
                let result = CopyResult::unfinished(&image.job, &task.destination);
                Err(Box::new(self.tell(result)))
            }
        }
    }

    async fn run(&mut self, of_image: Option<&Referrers>, is_in_place: bool) -> CopyResult {
        let (task, image) = (self.task, &self.task.image);
        let Some(of_image) = of_image else {
            return task.run_image().await;
        };
        let refers =
            !of_image.found.is_empty() || !is_in_place && self.children_are_referred_to().await;
        if !refers {
            let result = task.run_image().await;
            Box::pin(self.all(&result, result.status == CopyStatus::Equal)).await;
            return self.tell(result);
        }
        let there = match task.options.mode {
            Mode::DryRun => Some(task.run_image().await),
            Mode::Apply => task.in_place().await,
        };
        if let Some(result) = there {
            Box::pin(self.all(&result, result.status == CopyStatus::Equal)).await;
            return self.tell(result);
        }
        let mut result = self.with(Vec::new()).run_image().await;
        // A run that ended early may have left it there without its tags: it counts as new.
        Box::pin(self.all(&result, false)).await;
        if self.failure.is_some() || result.digest.is_none() {
            result.digest = None;
            result.tags = task.destination.tags.clone();
            result.reference = task.destination.reference(image.job.source.at());
        } else if !task.destination.tags.is_empty() {
            let bytes = result.bytes;
            result = task.run_image().await;
            // What it finds there now was brought by this run.
            result.bytes = bytes;
        }
        self.tell(result)
    }

    /// The image's task with other tags.
    fn with(&self, tags: Vec<Tag>) -> Task {
        let task = self.task;
        Task {
            tags_in_repository: task.tags_in_repository,
            image: Arc::clone(&task.image),
            destination: Destination {
                tags,
                ..task.destination.clone()
            },
            options: Arc::clone(&task.options),
            listener: Arc::clone(&task.listener),
            before: Mutex::default(),
        }
    }

    /// Copies the referrers of an image that is in place as `result` says, and of its children.
    async fn all(&mut self, result: &CopyResult, is_in_place: bool) {
        let Some(digest) = &result.digest else {
            return;
        };
        if let Err(error) = self.all_of_image(digest).await {
            self.fails(error.into());
        }
        match self.of_children(digest, is_in_place).await {
            Ok(Some(of_children)) => {
                self.problems.extend(of_children.problems.iter().cloned());
                self.copy_all(of_children).await;
            }
            Ok(None) => {}
            Err(error) => self.fails(error),
        }
    }

    async fn all_of_image(&mut self, digest: &Digest) -> Result<(), SourceError> {
        let image = &self.task.image;
        let (seen, whole) = (self.known.of_image(image).await?, image.seen().await?);
        let late;
        let of_image = match seen.0 == whole {
            true => &seen.1,
            // A listing was late, and the copy has asked for the tag itself.
            false => {
                late = Referrers::of(image, vec![whole.clone()]).await?;
                &late
            }
        };
        self.problems.extend(of_image.problems.iter().cloned());
        if whole == *digest {
            self.copy_all(of_image).await;
        } else if !of_image.found.is_empty() {
            self.problems.push(format!(
                "{} of the whole index, of which only a part was chosen",
                of_image.found.len()
            ));
        }
        Ok(())
    }

    /// What refers to the images of an index, as each may have been signed. Where the index is in place, they are
    /// looked for only if tags of the source are named after other digests: to ask the API for each would cost a
    /// request for each, each night.
    async fn of_children(
        &self,
        digest: &Digest,
        is_in_place: bool,
    ) -> Result<Option<&'t Referrers>, CopyError> {
        let (image, destination) = (&self.task.image, &self.task.destination);
        let is_in_place = is_in_place && !self.task.options.force;
        let manifest = if !is_in_place {
            let policy = &image.job.policy;
            match image.filtered(policy).await {
                Ok(filtered) if filtered.manifest.digest() == digest => Some(filtered.manifest),
                _ => Some(image.filtered(&policy.stripped()).await?.manifest),
            }
        } else if self.source.has_tags_of_others(digest).await? {
            // From the destination: at a source, reading it may count as a pull.
            let at = digest.clone().into();
            let repository = destination.at_registry();
            let index = repository.get_manifest(&at);
            destination.host.request(index).await?
        } else {
            None
        };
        let content = manifest.map(|it| it.content()).transpose();
        let Some(Content::Index(index)) = content.map_err(Error::from)? else {
            return Ok(None);
        };
        Ok(Some(self.known.of_children(image, images(index)).await?))
    }

    /// Whether something refers to an image of the index that is to be copied, or that cannot be told now.
    async fn children_are_referred_to(&self) -> bool {
        let image = &self.task.image;
        let filtered = image.filtered(&image.job.policy).await;
        let content = filtered.map(|it| it.manifest.content());
        let Ok(Ok(Content::Index(index))) = content else {
            return false;
        };
        let of_children = self.known.of_children(image, images(index)).await;
        of_children.map_or(true, |it| !it.found.is_empty())
    }

    /// Copies them; where the destination has no API, the tags that stand in for it list them too.
    async fn copy_all(&mut self, referrers: &Referrers) {
        let found = &referrers.found;
        for of_one in found.chunk_by(|one, next| one.subject == next.subject) {
            let mut listed = Vec::new();
            for referrer in of_one {
                match self.copy(referrer).await {
                    Ok(true) => {
                        self.count += 1;
                        if let ReferrerName::Listed(digest) = &referrer.name {
                            listed.push((digest, referrer));
                        }
                    }
                    Ok(false) => {}
                    Err(error) => self.fails(error),
                }
            }
            if self.task.options.mode == Mode::DryRun || listed.is_empty() {
                continue;
            }
            let subject = &of_one[0].subject;
            match referrer_list::extend(&self.task.destination, subject, &listed).await {
                Ok(Extended::No) => {}
                Ok(Extended::Yes) => self.is_list_new = true,
                Ok(Extended::Left(problem)) => self.problems.push(problem),
                Err(error) => self.fails(error),
            }
        }
    }

    /// Copies one; returns whether it is in place.
    async fn copy(&mut self, referrer: &Referrer) -> Result<bool, CopyError> {
        let destination = &self.task.destination;
        // Looked at and set by one copy at a time: another image with this digest may come with another signature.
        let subject = destination.host.blob(&referrer.subject);
        let way = subject.way_to(destination.repository.path());
        let _alone = match &referrer.name {
            ReferrerName::Tag(_) => Some(way.lock().await),
            ReferrerName::Listed(_) => None,
        };
        let tags = match &referrer.name {
            ReferrerName::Tag(tag) if self.has_other_parts(referrer, tag).await? => {
                self.problems.push(format!(
                    "the destination's `{tag}` has what the source's has not, and is left; hint: `--force` replaces it"
                ));
                return Ok(false);
            }
            ReferrerName::Tag(tag) => vec![tag.clone()],
            ReferrerName::Listed(digest) => {
                // What is in place was looked at by the run that put it there.
                if destination.digest_of(digest.clone()).await?.is_none()
                    && referrer.about().await?.is_none()
                {
                    let subject = &referrer.subject;
                    self.problems
                        .push(format!("{digest} is listed, but is not about {subject}"));
                    return Ok(false);
                }
                Vec::new()
            }
        };
        let task = Task {
            tags_in_repository: 1,
            image: Arc::clone(&referrer.image),
            ..self.with(tags)
        };
        let mut bytes = Bytes::default();
        // Boxed, as it is the same kind of work inside itself.
        let copied = Box::pin(task.copy_image(&mut bytes)).await;
        self.bytes.uploaded += bytes.uploaded;
        self.bytes.mounted += bytes.mounted;
        self.bytes.skipped += bytes.skipped;
        if !copied?.manifests.is_empty() {
            self.new += 1;
        }
        Ok(true)
    }

    /// Whether a tag at the destination names signatures that the source does not have, so that setting it would lose
    /// them: somebody has signed there.
    async fn has_other_parts(&self, referrer: &Referrer, tag: &Tag) -> Result<bool, CopyError> {
        let destination = &self.task.destination;
        let there = destination.digest_of(tag.clone()).await?;
        let Some(there) = there.filter(|_| !self.task.options.force) else {
            return Ok(false);
        };
        if there == *referrer.image.digest().await? {
            return Ok(false);
        }
        let (at, repository) = (TagOrDigest::from(there), destination.at_registry());
        let there = repository.get_manifest(&at);
        // What cannot be read may be anything.
        let Some(there) = destination.host.request(there).await? else {
            return Ok(true);
        };
        let (there, here) = (parts(&there)?, parts(referrer.image.root().await?)?);
        Ok(!there.is_subset(&here))
    }

    fn fails(&mut self, error: CopyError) {
        let may_pass = match &error {
            CopyError::TimedOut(_) | CopyError::Source(SourceError::NoSpool { .. }) => true,
            CopyError::Source(SourceError::Registry(error)) => error.is_transient(),
            CopyError::Source(_) => false,
            // A registry that says no to it will say so again; all else may pass.
            CopyError::Destination(error) => {
                !matches!(error.status(), Some(400 | 403..=407 | 409..=428))
            }
        };
        match may_pass {
            true => self.failure = Some((error.to_string(), error.status())),
            false => self.problems.push(error.to_string()),
        }
    }

    /// The image's result with what became of its referrers.
    fn tell(&mut self, mut result: CopyResult) -> CopyResult {
        result.referrers = self.count;
        result.bytes.uploaded += self.bytes.uploaded;
        result.bytes.mounted += self.bytes.mounted;
        result.bytes.skipped += self.bytes.skipped;
        if (self.new > 0 || self.is_list_new) && result.status == CopyStatus::Equal {
            result.status = CopyStatus::Updated;
            // Else nobody sees what there is to do: the digest is the same, and a dry run knows no bytes.
            result.reason = Some(match self.new {
                0 => "only the list of its referrers is new".to_owned(),
                1 => "only 1 of its referrers is new".to_owned(),
                new => format!("only {new} of its referrers are new"),
            });
        }
        if let Some((reason, status)) = self.failure.take() {
            result.status = CopyStatus::Failed;
            result.reason = Some(format!("its referrers: {reason}"));
            result.http_status = status;
        } else if let Some(first) = self.problems.first()
            && !matches!(result.status, CopyStatus::Failed | CopyStatus::Skipped)
        {
            let more = match self.problems.len() - 1 {
                0 => String::new(),
                more => format!(", and {more} more like it"),
            };
            let before = result.reason.take().map(|it| it + "; ").unwrap_or_default();
            result.reason = Some(format!("{before}not all its referrers: {first}{more}"));
            result.status = CopyStatus::Degraded;
        }
        result
    }
}
