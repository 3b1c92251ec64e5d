//! From rules to jobs: the sources are asked which tags they have.

use std::collections::HashMap;

use anyhow::Result;
use futures_util::future::join_all;

use super::connect::Registries;
use crate::copy::{Job, Place, Row};
use crate::exit::bad_input;
use crate::registry::{Error, RepositoryName, Tag, TagOrDigest};
use crate::sync::{ImageCopy, Request, Rule, conflicts};

/// What is to be done, and what cannot be.
pub(super) struct Resolved {
    pub jobs: Vec<Job>,
    /// Rules whose source cannot be listed.
    pub failed: Vec<Row>,
    /// Rules that choose nothing.
    pub warnings: Vec<String>,
}

/// # Errors
/// [`BadInput`](crate::exit::BadInput): refused credentials, or two images for one tag.
pub(super) async fn resolve(request: &Request, registries: &Registries<'_>) -> Result<Resolved> {
    let listed = list(request, registries).await?;
    let mut resolved = Resolved {
        jobs: Vec::new(),
        failed: Vec::new(),
        warnings: Vec::new(),
    };
    let mut work: Vec<(&Rule, Vec<ImageCopy>)> = Vec::new();
    for rule in &request.rules {
        match listed.get(&rule.source) {
            Some(Err(error)) if rule.needs_listing() => {
                resolved.failed.extend(rule.targets.iter().map(|target| {
                    Row::failed(
                        rule.source.to_string(),
                        &target.repository,
                        format!("source: {error}"),
                        error.status(),
                    )
                }));
            }
            listed => {
                let tags = match listed {
                    Some(Ok(tags)) => &tags[..],
                    _ => &[],
                };
                let copies = rule.copies(tags);
                if copies.is_empty() {
                    let of = if tags.is_empty() {
                        "it has no tags"
                    } else {
                        "none of its tags is chosen"
                    };
                    resolved.warnings.push(format!(
                        "{}: nothing of `{}` is copied: {of}",
                        rule.origin, rule.source
                    ));
                }
                work.push((rule, copies));
            }
        }
    }
    let problems = conflicts(work.iter().map(|(rule, copies)| (*rule, &copies[..])));
    if !problems.is_empty() {
        return Err(bad_input(problems.join("\n")));
    }
    for (rule, copies) in work {
        for copy in copies {
            resolved.jobs.push(job(rule, copy, registries).await?);
        }
    }
    Ok(resolved)
}

type Listed = HashMap<RepositoryName, Result<Vec<Tag>, Error>>;

/// The tags of every source that has to be listed, each asked once.
async fn list(request: &Request, registries: &Registries<'_>) -> Result<Listed> {
    let mut sources: Vec<&RepositoryName> = Vec::new();
    for rule in request.rules.iter().filter(|rule| rule.needs_listing()) {
        if !sources.contains(&&rule.source) {
            sources.push(&rule.source);
        }
    }
    let questions = sources.into_iter().map(|name| async move {
        let tags = registries
            .source(name)
            .await?
            .repository(name.path())
            .tags()
            .await;
        anyhow::Ok((name.clone(), tags))
    });
    let listed: Listed = join_all(questions)
        .await
        .into_iter()
        .collect::<Result<_>>()?;
    let refused: Vec<String> = listed
        .values()
        .filter_map(|it| it.as_ref().err())
        .filter(|it| matches!(it, Error::Rejected { .. }))
        .map(ToString::to_string)
        .collect();
    if refused.is_empty() {
        Ok(listed)
    } else {
        Err(bad_input(refused.join("\n")))
    }
}

async fn job(rule: &Rule, copy: ImageCopy, registries: &Registries<'_>) -> Result<Job> {
    let mut places = Vec::new();
    for (repository, tags) in copy.to {
        let destination = registries.destination(&repository).await?;
        places.push(Place {
            destination,
            path: repository.path().to_owned(),
            tags,
        });
    }
    let separator = if matches!(copy.at, TagOrDigest::Tag(_)) {
        ':'
    } else {
        '@'
    };
    Ok(Job {
        name: format!("{}{separator}{}", rule.source, copy.at),
        source: registries
            .source(&rule.source)
            .await?
            .repository(rule.source.path()),
        at: copy.at,
        policy: rule.policy.clone(),
        places,
    })
}
