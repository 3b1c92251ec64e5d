//! From rules to jobs: asks the sources for their tags.
//!
//! Whatever a rule asks for becomes a job, a failed result or a warning.

use std::collections::HashMap;

use anyhow::Result;
use futures_util::future::join_all;

use super::conflict::conflicts;
use super::probe::{Registries, Unavailable};
use super::{ImageCopy, Request, Rule};
use crate::copy::{CopyResult, Destination, Job, Source};
use crate::exit::no_problems;
use crate::oci::{RepositoryName, Tag};
use crate::registry::Error;

/// The jobs, and what cannot be done.
#[derive(Default)]
pub(super) struct Resolved {
    pub jobs: Vec<Job>,
    /// Rules whose source cannot be listed, and images whose destination is out of reach.
    pub failed: Vec<CopyResult>,
    /// Rules that choose nothing.
    pub warnings: Vec<String>,
}

/// # Errors
/// [`BadInput`](crate::exit::BadInput): two images for one tag.
pub(super) async fn resolve(request: &Request, registries: &Registries) -> Result<Resolved> {
    let listed = list(request, registries).await;
    let mut resolved = Resolved::default();
    let mut work = Vec::new();
    for rule in &request.rules {
        match &listed[&rule.source] {
            Err(refusal) => {
                let rows = rule.destinations.iter().map(|destination| {
                    let reason = format!("source: {}", refusal.reason);
                    let source = rule.source.to_string();
                    CopyResult::failed(source, &destination.repository, reason, refusal.status)
                });
                resolved.failed.extend(rows);
            }
            Ok(tags) => {
                let copies = rule.copies(tags);
                if copies.is_empty() {
                    let (origin, source) = (&rule.origin, &rule.source);
                    let warning =
                        format!("{origin}: no tag of `{source}` is chosen, nothing is copied");
                    resolved.warnings.push(warning);
                }
                work.push((rule, copies));
            }
        }
    }
    no_problems(&conflicts(&work))?;
    for (rule, copies) in work {
        for copy in copies {
            resolved.add(rule, copy, registries);
        }
    }
    Ok(resolved)
}

type Listed = HashMap<RepositoryName, Result<Vec<Tag>, Unavailable>>;

/// The tags of every source, each asked once, and only if it has to be listed; or why it cannot be read.
async fn list(request: &Request, registries: &Registries) -> Listed {
    let mut sources: HashMap<&RepositoryName, bool> = HashMap::new();
    for rule in &request.rules {
        *sources.entry(&rule.source).or_default() |= rule.needs_listing();
    }
    let questions = sources.into_iter().map(|(name, needs_listing)| async move {
        let source = registries.of(name);
        if let Some(refusal) = &source.pull_error {
            return (name.clone(), Err(refusal.clone()));
        }
        if !needs_listing {
            return (name.clone(), Ok(Vec::new()));
        }
        let mut tags = source.registry.repository(name.path()).tags().await;
        if let Ok(tags) = &mut tags {
            // Registries list in any order, and reports of two days should be comparable.
            tags.sort();
        }
        let tags = tags.map_err(|error| Unavailable {
            status: error.status(),
            reason: match error {
                Error::NotFound(_) => {
                    format!("`{name}` does not exist; hint: check the name, and that the user may pull it")
                }
                error => error.to_string(),
            },
        });
        (name.clone(), tags)
    });
    join_all(questions).await.into_iter().collect()
}

impl Resolved {
    fn add(&mut self, rule: &Rule, copy: ImageCopy, registries: &Registries) {
        let name = rule.source.at(copy.at.clone()).to_string();
        let mut destinations = Vec::new();
        for (repository, tags) in copy.to {
            let connection = registries.of(&repository);
            let destination = Destination {
                host: connection.host.clone(),
                repository: repository.clone(),
                tags,
            };
            match &connection.push_error {
                None => destinations.push(destination),
                Some(Unavailable { reason, status }) => self.failed.push(CopyResult {
                    reference: destination.reference(Some(&copy.at)),
                    tags: destination.tags.clone(),
                    ..CopyResult::failed(name.clone(), &repository, reason.clone(), *status)
                }),
            }
        }
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
}
