//! When images were created, which `newer:` chooses by: asked of the registries, each manifest once, and only where it
//! decides.
//!
//! Each tag costs a HEAD; each image that the tags name, a manifest and a config, and one manifest more if it is an
//! index. That is read of the first image that an index lists: the others are of the same build.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, stream};
use tokio::sync::{OnceCell, Semaphore};

use super::probe::{Registries, Unavailable};
use super::rule::{ImageCopy, Rule};
use super::tags::Dates;
use crate::copy::CopyResult;
use crate::foreign::Foreign;
use crate::oci::{Content, Descriptor, ImageConfig, RepositoryName, Tag, TagOrDigest, media_type};
use crate::registry::{Error, Repository};

/// What is known of one image. A clone is the same.
#[derive(Clone)]
enum Created {
    At(SystemTime),
    /// It does not tell.
    Undated,
    /// The tag was deleted after it was listed.
    Gone,
    Unknown(Unavailable),
}

/// Read by whoever asks first.
type Answer = Arc<OnceCell<Created>>;

/// The dates of a run.
pub(super) struct CreationDates<'r> {
    registries: &'r Registries,
    now: SystemTime,
    asked: Mutex<HashMap<(RepositoryName, TagOrDigest), Answer>>,
    permits: Semaphore,
}

/// A choice, and what could not be chosen by its date.
pub(super) struct Dated<T> {
    pub chosen: T,
    /// Images whose dates cannot be read.
    pub failed: Vec<(Tag, Unavailable)>,
    /// Or dated in the future.
    undated: Vec<Tag>,
    gone: Vec<Tag>,
}

/// As much as clocks differ. A date after that says nothing: the image would be new for ever.
const CLOCKS: Duration = Duration::from_secs(86_400);

/// Images that are asked at a time.
const ASKED: usize = 32;

impl<'r> CreationDates<'r> {
    pub fn of(registries: &'r Registries) -> CreationDates<'r> {
        CreationDates {
            registries,
            now: SystemTime::now(),
            asked: Mutex::default(),
            permits: Semaphore::new(ASKED),
        }
    }

    /// What `choose` makes of the dates of images of `source`, once it has those that it asks for.
    pub async fn choose<T>(
        &self,
        source: &RepositoryName,
        choose: impl Fn(&Dates) -> Result<T, Vec<Tag>>,
    ) -> Dated<T> {
        let mut dates = Dates::at(self.now);
        let (mut failed, mut undated, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let chosen = loop {
            let unknown = match choose(&dates) {
                Ok(chosen) => break chosen,
                Err(unknown) => unknown,
            };
            let ask = unknown.into_iter().map(|tag| async {
                let created = self.created(source, tag.clone().into()).await;
                (tag, created)
            });
            let mut answers = stream::iter(ask).buffered(ASKED);
            while let Some((tag, created)) = answers.next().await {
                let date = match created {
                    Created::At(date) if date <= self.now + CLOCKS => Some(date),
                    Created::At(_) | Created::Undated => {
                        undated.push(tag.clone());
                        None
                    }
                    Created::Gone => {
                        gone.push(tag.clone());
                        None
                    }
                    Created::Unknown(why) => {
                        failed.push((tag.clone(), why));
                        None
                    }
                };
                dates.add(tag, date);
            }
        };
        Dated {
            chosen,
            failed,
            undated,
            gone,
        }
    }

    async fn created(&self, source: &RepositoryName, at: TagOrDigest) -> Created {
        let cell = {
            let mut asked = self.asked.lock().expect("no holder panics");
            Arc::clone(asked.entry((source.clone(), at.clone())).or_default())
        };
        let ask = || async {
            let repository = self
                .registries
                .of(source)
                .registry
                .repository(source.path());
            let asked = match &at {
                TagOrDigest::Tag(_) => self.of_tag(source, &repository, &at).await,
                TagOrDigest::Digest(_) => {
                    let _permit = self.permits.acquire().await;
                    of_manifest(&repository, at.clone()).await
                }
            };
            asked.unwrap_or_else(|error| {
                let reason = match &error {
                    DateError::Registry(error) => error.to_string(),
                    DateError::Image(reason) => reason.clone(),
                };
                Created::Unknown(Unavailable {
                    reason: format!("source: when it was created is not known: {reason}"),
                    status: match error {
                        DateError::Registry(error) => error.status(),
                        DateError::Image(_) => None,
                    },
                })
            })
        };
        cell.get_or_init(ask).await.clone()
    }

    async fn of_tag(
        &self,
        source: &RepositoryName,
        repository: &Repository,
        tag: &TagOrDigest,
    ) -> Result<Created, DateError> {
        let head = {
            let _permit = self.permits.acquire().await;
            repository.head_manifest(tag).await?
        };
        match head {
            Some(head) => Ok(Box::pin(self.created(source, head.digest.into())).await),
            None => Ok(Created::Gone),
        }
    }
}

impl<T> Dated<T> {
    /// The results of the images of `rule` that cannot be chosen.
    pub fn results(&self, rule: &Rule) -> Vec<CopyResult> {
        let mut results = Vec::new();
        for (tag, Unavailable { reason, status }) in &self.failed {
            let ImageCopy { at, to } = rule.copy(tag.clone().into());
            let image = rule.source.at(at).to_string();
            for (repository, tags) in to {
                let failed =
                    CopyResult::failed(image.clone(), &repository, reason.clone(), *status);
                results.push(CopyResult {
                    reference: repository.at(tags.first().unwrap_or(tag).clone()),
                    tags,
                    ..failed
                });
            }
        }
        results
    }

    /// What is left out without having failed.
    pub fn warnings(&self, source: &RepositoryName) -> impl Iterator<Item = String> {
        let undated = (
            &self.undated,
            "the images of these tags do not tell when they were created, as those of reproducible builds, or say a day \
             that is yet to come, so that `newer:` leaves them out",
        );
        let gone = (
            &self.gone,
            "these tags were listed, and are not there any more",
        );
        [undated, gone]
            .into_iter()
            .filter(|it| !it.0.is_empty())
            .map(move |(tags, why)| {
                let shown: Vec<String> = tags
                    .iter()
                    .take(SHOWN)
                    .map(|it| format!("`{it}`"))
                    .collect();
                let more = match tags.len() - shown.len() {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!(
                    "`{source}`: {why}: {} ({}{more})",
                    tags.len(),
                    shown.join(", ")
                )
            })
    }
}

/// Of many tags, those that are named.
pub(super) const SHOWN: usize = 3;

/// Why a date cannot be read.
enum DateError {
    Registry(Error),
    Image(String),
}

impl From<Error> for DateError {
    fn from(error: Error) -> Self {
        DateError::Registry(error)
    }
}

/// Indexes within indexes that are followed.
const DEEPEST: usize = 4;

/// The largest config, in bytes, that is read into memory.
const LARGEST_CONFIG: u64 = 8 << 20;

async fn of_manifest(repository: &Repository, mut at: TagOrDigest) -> Result<Created, DateError> {
    for _ in 0..DEEPEST {
        let manifest = repository.get_manifest(&at).await?;
        let manifest = manifest.ok_or_else(|| DateError::Image(format!("{at} is not there")))?;
        let wrong = |error| DateError::Registry(Error::from(error));
        match manifest.content().map_err(wrong)? {
            Content::Image(image) if media_type::is_config(&image.config.media_type) => {
                let config = config(repository, &image.config).await?;
                return Ok(config.created().map_or(Created::Undated, Created::At));
            }
            Content::Image(_) | Content::Artifact(_) => return Ok(Created::Undated),
            Content::Index(index) => {
                let is_image = |it: &&Descriptor| {
                    it.attested().is_none()
                        && !it.platform.as_ref().is_some_and(|it| it.is_unknown())
                };
                match index.manifests.iter().find(is_image) {
                    Some(first) => at = first.digest.clone().into(),
                    None => return Ok(Created::Undated),
                }
            }
        }
    }
    Err(DateError::Image(format!(
        "more than {DEEPEST} indexes are within each other"
    )))
}

async fn config(repository: &Repository, config: &Descriptor) -> Result<ImageConfig, DateError> {
    let wrong = |why: &str| DateError::Image(format!("the config {} {why}", config.digest));
    if config.size > LARGEST_CONFIG {
        return Err(wrong("is larger than 8 MiB"));
    }
    let blob = repository.get_blob(config).await?;
    let mut blob = blob.ok_or_else(|| wrong("is not there"))?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let error = Foreign::new(&error.to_string());
        wrong(&format!("cannot be read: {error}"))
    })
}
