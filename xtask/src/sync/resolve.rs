//! From rules to jobs: asks the sources for their tags.
//!
//! Whatever a rule asks for becomes a job, a failed result or a warning.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Result;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::conflict::conflicts;
use super::created::CreationDates;
use super::probe::{Registries, Unavailable};
use super::tags::Dates;
use super::waiting::Waiting;
use super::{DestinationTags, ImageCopy, Request, Rule, RuleDestination};
use crate::copy::{CopyResult, Destination, Job, Source};
use crate::exit::no_problems;
use crate::oci::{RepositoryName, Tag, TagOrDigest};
use crate::registry::{Error, TagList};

/// The jobs, and what cannot be done.
#[derive(Default)]
pub(super) struct Resolved {
    pub jobs: Vec<Job>,
    /// Rules whose source cannot be listed, and images whose destination is out of reach.
    pub failed: Vec<CopyResult>,
    /// Rules that cannot be meant.
    pub wrong: Vec<CopyResult>,
    /// Rules that choose nothing.
    pub empty_rules: Vec<String>,
    /// Lists with what is no tag, and images without a date.
    pub warnings: Vec<String>,
    /// Reads an image that is in no registry; stops when it is dropped.
    pub reader: JoinSet<()>,
    /// Bytes of that image so far.
    pub bytes_read: Arc<AtomicU64>,
}

/// # Errors
/// [`BadInput`](crate::exit::BadInput): two images for one tag.
pub(super) async fn resolve(
    request: &Request,
    registries: &Registries,
    waiting: &Waiting<'_>,
) -> Result<Resolved> {
    let listed = list(request, registries, waiting).await;
    let wrong = request.wrong.iter().map(|it| {
        let (name, reason) = (it.origin.clone(), it.reason.clone());
        CopyResult::failed(name, &it.destination, reason, None)
    });
    let mut resolved = Resolved {
        wrong: wrong.collect(),
        ..Resolved::default()
    };
    let mut told = HashSet::new();
    let mut work = Vec::new();
    let dates = &CreationDates::of(registries);
    let listed = &listed;
    let chosen = request.rules.iter().map(|rule| async move {
        let list = match &listed[&rule.source] {
            Ok(list) => list,
            Err(refusal) => return (rule, Err(refusal)),
        };
        let choose = |dates: &Dates| rule.dated_copies(&list.tags, dates);
        (rule, Ok((list, dates.choose(&rule.source, choose).await)))
    });
    let mut chosen = stream::iter(chosen).buffered(LISTS);
    while let Some((rule, chosen)) = chosen.next().await {
        match chosen {
            Err(refusal) => {
                let rows = rule.destinations.iter().map(|destination| {
                    let reason = format!("source: {}", refusal.reason);
                    let source = rule.source.to_string();
                    CopyResult::failed(source, &destination.repository, reason, refusal.status)
                });
                resolved.failed.extend(rows);
            }
            Ok((list, dated)) => {
                let undecided = dated.results(rule);
                let is_decided = undecided.is_empty();
                resolved.failed.extend(undecided);
                for warning in dated.warnings(&rule.source) {
                    if !resolved.warnings.contains(&warning) {
                        resolved.warnings.push(warning);
                    }
                }
                let mut copies = dated.chosen;
                resolved.wrong.extend(many_for_one(rule, &mut copies));
                if told.insert(&rule.source) {
                    let wrong = wrong_tags(&rule.source, list);
                    resolved.warnings.extend(wrong);
                }
                if copies.is_empty() && is_decided {
                    let (origin, source) = (&rule.origin, &rule.source);
                    let hint = rule.hint_for_nothing(&list.tags);
                    resolved.empty_rules.push(format!(
                        "{origin}: no tag of `{source}` is chosen, nothing is copied{hint}"
                    ));
                }
                work.push((rule, copies));
            }
        }
    }
    no_problems(&conflicts(&work))?;
    // Without conflicts, a tag that is chosen twice gets the same image twice: once is enough.
    let mut chosen = HashSet::new();
    for (rule, copies) in work {
        for mut copy in copies {
            copy.to.retain_mut(|(repository, tags)| {
                let is_untagged = tags.is_empty();
                tags.retain(|tag| chosen.insert((repository.clone(), tag.clone())));
                is_untagged || !tags.is_empty()
            });
            resolved.add(rule, copy, registries);
        }
    }
    Ok(resolved)
}

/// Takes out the destinations that have a name for one image, where more are chosen: they fail.
fn many_for_one(rule: &Rule, copies: &mut [ImageCopy]) -> Vec<CopyResult> {
    let count = copies.len();
    let mut failed = Vec::new();
    for RuleDestination { repository, tags } in &rule.destinations {
        let DestinationTags::Named(tags) = tags else {
            continue;
        };
        if count < 2 {
            continue;
        }
        for copy in copies.iter_mut() {
            copy.to.retain(|to| (&to.0, &to.1) != (repository, tags));
        }
        let (origin, source) = (&rule.origin, rule.source.to_string());
        let reason = format!(
            "{origin}: {count} tags are chosen, and the destination has a name for one; hint: no tag at the destination"
        );
        failed.push(CopyResult::failed(source, repository, reason, None));
    }
    failed
}

type Listed = HashMap<RepositoryName, Result<TagList, Unavailable>>;

/// Lists that are read at a time: of one registry, and in all. A list may be long, and a registry slow.
const LISTS_OF_A_HOST: usize = 32;
const LISTS: usize = 64;

/// The tags of every source, each asked once, and only if it has to be listed; or why it cannot be read.
async fn list(request: &Request, registries: &Registries, waiting: &Waiting<'_>) -> Listed {
    let mut sources: HashMap<&RepositoryName, bool> = HashMap::new();
    for rule in &request.rules {
        *sources.entry(&rule.source).or_default() |= rule.needs_listing();
    }
    let mut hosts: HashMap<&str, Vec<_>> = HashMap::new();
    for (name, needs_listing) in sources {
        let question = (name, needs_listing);
        hosts.entry(name.host()).or_default().push(question);
    }
    let permits = &Semaphore::new(LISTS);
    let hosts = hosts.into_iter().map(|(host, questions)| async move {
        let lists = questions
            .into_iter()
            .map(|(name, needs_listing)| async move {
                let _permit = permits.acquire().await;
                (
                    name.clone(),
                    list_one(name, needs_listing, registries).await,
                )
            });
        let lists = stream::iter(lists).buffer_unordered(LISTS_OF_A_HOST);
        waiting.wait(host, lists.collect::<Vec<_>>()).await
    });
    join_all(hosts).await.into_iter().flatten().collect()
}

/// The tags of a repository, sorted.
pub(super) async fn list_one(
    name: &RepositoryName,
    needs_listing: bool,
    registries: &Registries,
) -> Result<TagList, Unavailable> {
    let source = registries.of(name);
    if let Some(refusal) = &source.pull_error {
        return Err(refusal.clone());
    }
    if !needs_listing {
        return Ok(TagList::default());
    }
    let listed = source.registry.repository(name.path()).list().await;
    let mut list = listed.map_err(|error| Unavailable {
        status: error.status(),
        reason: match error {
            Error::NotFound(_) => {
                format!(
                    "`{name}` does not exist; hint: check the name, and that the user may pull it"
                )
            }
            error => error.to_string(),
        },
    })?;
    // Registries list in any order, some a tag twice, and reports of two days should be comparable.
    list.tags.sort();
    list.tags.dedup();
    Ok(list)
}

/// What stands in the list of `source` and is no tag, if anything.
pub(super) fn wrong_tags(source: &RepositoryName, list: &TagList) -> Option<String> {
    let shown: Vec<String> = list.wrong.iter().map(|it| format!("`{it}`")).collect();
    let more = match list.wrong_count.checked_sub(shown.len())? {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (list.wrong_count > 0).then(|| {
        format!(
            "the registry lists what cannot be tags of `{source}`, which is left out: {}{more}",
            shown.join(", ")
        )
    })
}

impl Resolved {
    fn add(&mut self, rule: &Rule, copy: ImageCopy, registries: &Registries) {
        let name = rule.source.at(copy.at.clone()).to_string();
        let destinations = self.destinations(&name, Some(&copy.at), copy.to, registries);
        if destinations.is_empty() {
            return;
        }
        let source = &registries.of(&rule.source).registry;
        self.jobs.push(Job {
            name,
            source: Source::Registry {
                repository: source.repository(rule.source.path()),
                at: copy.at,
            },
            policy: rule.policy.clone(),
            destinations,
        });
    }

    /// The destinations that are in reach; at the others, the image `name` has failed.
    pub fn destinations(
        &mut self,
        name: &str,
        at: Option<&TagOrDigest>,
        to: Vec<(RepositoryName, Vec<Tag>)>,
        registries: &Registries,
    ) -> Vec<Destination> {
        let mut destinations = Vec::with_capacity(to.len());
        for (repository, tags) in to {
            let connection = registries.of(&repository);
            let destination = Destination {
                host: connection.host.clone(),
                repository: repository.clone(),
                tags,
            };
            match &connection.push_error {
                None => destinations.push(destination),
                Some(Unavailable { reason, status }) => self.failed.push(CopyResult {
                    reference: destination.reference(at),
                    tags: destination.tags.clone(),
                    ..CopyResult::failed(name.to_owned(), &repository, reason.clone(), *status)
                }),
            }
        }
        destinations
    }
}
