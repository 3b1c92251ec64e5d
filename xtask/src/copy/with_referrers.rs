//! Copies an image, then what refers to it: signatures, SBOMs and attestations that stand beside it.
//!
//! They are looked for also where the image is in place, because signatures are often added later.

use std::sync::Arc;

use super::error::{CopyError, SourceError};
use super::job::{Destination, Mode, Referrers as Wanted, Source};
use super::referrers::{KnownReferrers, Referrer, ReferrerName, Referrers};
use super::result::{CopyResult, CopyStatus};
use super::task::Task;
use crate::oci::{Content, Descriptor, Digest, Tag, index_of};
use crate::registry::{Error, Repository};

/// Copies the image and its referrers.
pub(super) async fn run(task: Task, known: &KnownReferrers) -> CopyResult {
    let mut result = task.run_image().await;
    let job = &task.image.job;
    let (Source::Registry { repository, .. }, Some(digest), Wanted::Keep) =
        (&job.source, &result.digest, job.policy.referrers)
    else {
        return result;
    };
    let mut copies = Copies {
        task: &task,
        known,
        source: repository,
        is_new: false,
        new: 0,
        count: 0,
        problems: Vec::new(),
        failure: None,
    };
    let digest = digest.clone();
    if let Err(error) = copies.all(&digest, &mut result).await {
        let status = error.status();
        copies.fails(error.to_string(), status, is_transient(&error));
    }
    copies.tell(result)
}

struct Copies<'t> {
    task: &'t Task,
    known: &'t KnownReferrers,
    source: &'t Repository,
    /// Something was written.
    is_new: bool,
    /// Referrers that were not there before.
    new: usize,
    /// Referrers that are in place now.
    count: usize,
    /// What stays behind, for good reasons.
    problems: Vec<String>,
    /// What another run may mend.
    failure: Option<(String, Option<u16>)>,
}

impl Copies<'_> {
    async fn all(&mut self, digest: &Digest, result: &mut CopyResult) -> Result<(), CopyError> {
        let image = &self.task.image;
        let of_image = self.known.of_image(image).await?;
        if image.seen().await? == *digest {
            self.copy_all(of_image, result).await?;
        } else if !of_image.found.is_empty() {
            self.problems.push(format!(
                "{} of the whole index, of which only a part was chosen",
                of_image.found.len()
            ));
        }
        let children = self.children(digest, result.status).await?;
        if !children.is_empty() {
            let of_children = self.known.of_children(image, children).await?;
            self.copy_all(of_children, result).await?;
        }
        Ok(())
    }

    /// The images of an index, as each may have been signed. Where the index is in place, they are looked for only if
    /// tags of the source are named after other digests: to ask the API for each would cost a request for each, each
    /// night.
    async fn children(
        &self,
        digest: &Digest,
        status: CopyStatus,
    ) -> Result<Vec<Digest>, CopyError> {
        let (image, destination) = (&self.task.image, &self.task.destination);
        let is_in_place = status == CopyStatus::Equal && !self.task.options.force;
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
            destination
                .host
                .request(repository.get_manifest(&at))
                .await?
        } else {
            None
        };
        let content = manifest.map(|it| it.content()).transpose();
        Ok(match content.map_err(Error::from)? {
            Some(Content::Index(index)) => {
                let images = index.manifests.into_iter();
                let images = images.filter(|it| it.attested().is_none());
                images.map(|it| it.digest).collect()
            }
            Some(Content::Image(_) | Content::Artifact(_)) | None => Vec::new(),
        })
    }

    /// Copies them; where the destination has no API, the tags that stand in for it list them too.
    async fn copy_all(
        &mut self,
        referrers: &Referrers,
        result: &mut CopyResult,
    ) -> Result<(), CopyError> {
        self.problems.extend(referrers.problems.iter().cloned());
        for of_one in referrers
            .found
            .chunk_by(|one, next| one.subject == next.subject)
        {
            let mut listed = Vec::new();
            for referrer in of_one {
                if self.copy(referrer, result).await? {
                    self.count += 1;
                    if let ReferrerName::Listed(descriptor) = &referrer.name {
                        listed.push(Descriptor::clone(descriptor));
                    }
                }
            }
            if self.task.options.mode == Mode::Apply && !listed.is_empty() {
                self.list(&of_one[0].subject, listed).await?;
            }
        }
        Ok(())
    }

    /// Copies one; returns whether it is in place.
    async fn copy(
        &mut self,
        referrer: &Referrer,
        result: &mut CopyResult,
    ) -> Result<bool, CopyError> {
        let tags = match &referrer.name {
            ReferrerName::Tag(tag) => vec![tag.clone()],
            ReferrerName::Listed(descriptor) => {
                // What is in place was looked at by the run that put it there.
                let digest = descriptor.digest.clone();
                if self.task.destination.digest_of(digest).await?.is_none()
                    && let subject = referrer.image.root().await?.subject()
                    && subject.as_ref() != Some(&referrer.subject)
                {
                    let (digest, subject) = (&descriptor.digest, &referrer.subject);
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
            destination: Destination {
                tags,
                ..self.task.destination.clone()
            },
            options: Arc::clone(&self.task.options),
            listener: Arc::clone(&self.task.listener),
        };
        let copied = Box::pin(task.run_image()).await;
        result.seconds += copied.seconds;
        result.bytes.uploaded += copied.bytes.uploaded;
        result.bytes.mounted += copied.bytes.mounted;
        result.bytes.skipped += copied.bytes.skipped;
        if matches!(copied.status, CopyStatus::Created | CopyStatus::Updated) {
            self.is_new = true;
            self.new += 1;
        }
        if copied.status != CopyStatus::Failed {
            return Ok(true);
        }
        // A registry that says no to it will say so again; all else may pass.
        let status = copied.http_status;
        let may_pass = !matches!(status, Some(400 | 403..=407 | 409..=428));
        self.fails(copied.reason.unwrap_or_default(), status, may_pass);
        Ok(false)
    }

    /// Adds to the tag that stands in for the API (distribution specification, "Pushing Manifests with Subject").
    async fn list(&mut self, subject: &Digest, copied: Vec<Descriptor>) -> Result<(), CopyError> {
        let destination = &self.task.destination;
        let (host, repository) = (&destination.host, destination.at_registry());
        let by_api = host.request(repository.referrers_by_api(subject)).await?;
        if by_api.is_some() {
            return Ok(());
        }
        // One at a time: two copies that merge at once would lose entries.
        let way = host.blob(subject).way_to(destination.repository.path());
        let _alone = way.lock().await;
        let tag: Tag = subject.tag_prefix().parse().map_err(Error::from)?;
        let at = tag.clone().into();
        let mut all = match host.request(repository.get_manifest(&at)).await? {
            None => Vec::new(),
            Some(manifest) => match manifest.content().map_err(Error::from)? {
                Content::Index(index) => index.manifests,
                Content::Image(_) | Content::Artifact(_) => {
                    self.problems.push(format!(
                        "the destination's tag `{tag}` names an image where a list of referrers should be; it is left"
                    ));
                    return Ok(());
                }
            },
        };
        let before = all.len();
        for descriptor in copied {
            if all.iter().all(|it| it.digest != descriptor.digest) {
                all.push(descriptor);
            }
        }
        if all.len() > before {
            let index = index_of(&all);
            host.request(repository.put_manifest(&at, &index)).await?;
            self.is_new = true;
        }
        Ok(())
    }

    fn fails(&mut self, reason: String, status: Option<u16>, may_pass: bool) {
        match may_pass {
            true => self.failure = Some((reason, status)),
            false => self.problems.push(reason),
        }
    }

    /// The image's result with what became of its referrers.
    fn tell(self, mut result: CopyResult) -> CopyResult {
        result.referrers = self.count;
        if self.is_new && result.status == CopyStatus::Equal {
            result.status = CopyStatus::Updated;
            // Else nobody sees what there is to do: the digest is the same, and a dry run knows no bytes.
            result.reason = Some(match self.new {
                0 => "only the list of its referrers is new".to_owned(),
                1 => "only 1 of its referrers is new".to_owned(),
                new => format!("only {new} of its referrers are new"),
            });
        }
        if let Some((reason, status)) = self.failure {
            result.status = CopyStatus::Failed;
            result.reason = Some(format!("its referrers: {reason}"));
            result.http_status = status;
        } else if let Some(first) = self.problems.first() {
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

fn is_transient(error: &CopyError) -> bool {
    match error {
        CopyError::Destination(error) | CopyError::Source(SourceError::Registry(error)) => {
            error.is_transient()
        }
        CopyError::TimedOut(_) => true,
        CopyError::Source(_) => false,
    }
}
