//! From projects to rules: asks the registries what repositories they hold.
//!
//! A registry that does not tell fails the rules that need it, and no others.

use std::collections::HashMap;

use anyhow::Result;
use futures_util::future::join_all;

use super::Request;
use super::probe::{Registries, Unavailable};
use super::project::{Project, ProjectError};
use super::rule::Rule;
use super::waiting::Waiting;
use crate::copy::{CopyResult, Mode};
use crate::exit::no_problems;
use crate::foreign::Foreign;
use crate::oci::RepositoryName;
use crate::registry::Error;
use crate::settings::Settings;

/// What became of the projects of a request.
#[derive(Default)]
pub(super) struct Listed {
    /// Those whose repositories are not known.
    pub failed: Vec<CopyResult>,
    pub warnings: Vec<String>,
    /// Those that no repository fits.
    pub empty_rules: Vec<String>,
    /// The registries that were asked.
    pub registries: Option<Registries>,
}

/// A host and a project there, where all the names are in one.
type Question<'p> = (&'p str, Option<&'p str>);

/// The repositories of a question, and what else the list names.
struct Names {
    repositories: Vec<RepositoryName>,
    wrong: Vec<Foreign>,
}

/// Adds a rule to `request` for every repository that fits one of its projects.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): refused logins, or a repository that would be copied onto itself.
pub(super) async fn expand(
    settings: &Settings,
    request: &mut Request,
    retries: u32,
    share: usize,
    waiting: &Waiting<'_>,
) -> Result<Listed> {
    let mut listed = Listed::default();
    let projects = std::mem::take(&mut request.projects);
    if projects.is_empty() {
        return Ok(listed);
    }
    let sources = Request {
        rules: projects.iter().map(source_alone).collect(),
        projects: Vec::new(),
        local: None,
        logins: request.logins.clone(),
        warnings: Vec::new(),
        wrong: Vec::new(),
        may_be_empty: false,
    };
    let registries =
        Registries::open(settings, &sources, retries, Mode::DryRun, share, waiting).await?;
    let mut questions: HashMap<Question, &RepositoryName> = HashMap::new();
    for project in &projects {
        let sample = &project.pattern.sample;
        let question = (sample.host(), project.pattern.project());
        questions.entry(question).or_insert(sample);
    }
    let asked = &registries;
    let ask = questions.into_iter().map(|(question, sample)| async move {
        let names = waiting.wait(question.0, names(question, sample, asked));
        (question, names.await)
    });
    let answers: HashMap<_, _> = join_all(ask).await.into_iter().collect();
    for ((host, _), answer) in &answers {
        listed
            .warnings
            .extend(answer.as_ref().ok().and_then(|it| wrong_names(host, it)));
    }
    let mut problems = Vec::new();
    for project in &projects {
        match &answers[&(project.pattern.sample.host(), project.pattern.project())] {
            Err(refusal) => listed.failed.extend(failed(project, refusal)),
            Ok(names) => add_rules(project, names, request, &mut listed, &mut problems),
        }
    }
    no_problems(&problems)?;
    listed.registries = Some(registries);
    Ok(listed)
}

/// To find the login of whoever reads there.
fn source_alone(project: &Project) -> Rule {
    Rule {
        source: project.pattern.sample.clone(),
        select: project.select.clone(),
        only: None,
        destinations: Vec::new(),
        policy: project.policy.clone(),
        origin: project.origin.clone(),
    }
}

async fn names(
    (host, project): Question<'_>,
    sample: &RepositoryName,
    registries: &Registries,
) -> Result<Names, Unavailable> {
    let connection = registries.of(sample);
    if let Some(refusal) = &connection.pull_error {
        return Err(refusal.clone());
    }
    let catalog = connection.registry.catalog(project).await;
    let catalog = catalog.map_err(|error| Unavailable {
        status: error.status(),
        reason: refusal(host, sample, &error),
    })?;
    let mut names = Names {
        repositories: Vec::new(),
        wrong: Vec::new(),
    };
    for name in catalog {
        match RepositoryName::new(host, &name) {
            Ok(name) => names.repositories.push(name),
            Err(_) => names.wrong.push(Foreign::new(&name)),
        }
    }
    Ok(names)
}

fn refusal(host: &str, sample: &RepositoryName, error: &Error) -> String {
    if !matches!(error.status(), Some(401 | 403 | 404 | 405 | 501)) {
        return format!("the repositories of `{host}` cannot be listed: {error}");
    }
    let folder = sample
        .path()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let folder = match folder {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    let said = error
        .response()
        .map(ToString::to_string)
        .unwrap_or_default();
    format!(
        "`{host}` does not list its repositories for this user: {said}; hint: name them, as in `source: [{host}/{folder}one, {host}/{folder}two]`"
    )
}

const SHOWN: usize = 3;

/// What stands in a list and is no repository, if anything.
fn wrong_names(host: &str, names: &Names) -> Option<String> {
    let shown: Vec<String> = names
        .wrong
        .iter()
        .take(SHOWN)
        .map(|it| format!("`{it}`"))
        .collect();
    let more = match names.wrong.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!shown.is_empty()).then(|| {
        format!(
            "`{host}` lists what cannot be repositories, which is left out: {}{more}",
            shown.join(", ")
        )
    })
}

fn failed(project: &Project, refusal: &Unavailable) -> Vec<CopyResult> {
    let places = project.places().into_iter().map(|place| {
        let reason = format!("source: {}", refusal.reason);
        CopyResult::failed(project.pattern.to_string(), &place, reason, refusal.status)
    });
    places.collect()
}

fn add_rules(
    project: &Project,
    names: &Names,
    request: &mut Request,
    listed: &mut Listed,
    problems: &mut Vec<String>,
) {
    let (pattern, origin) = (&project.pattern, &project.origin);
    let mut fitting = names
        .repositories
        .iter()
        .filter(|it| pattern.fits(it))
        .peekable();
    if fitting.peek().is_none() {
        let count = names.repositories.len();
        listed.empty_rules.push(format!(
            "{origin}: none of {count} repositories fits `{pattern}`, nothing is copied"
        ));
    }
    for name in fitting {
        match project.rule(name.clone()) {
            Ok(rule) => request.rules.push(rule),
            Err(error @ ProjectError::Itself { .. }) => problems.push(format!("{origin}: {error}")),
            // A name that is too long there, for one.
            Err(error) => listed
                .failed
                .extend(project.places().into_iter().map(|place| {
                    CopyResult::failed(name.to_string(), &place, format!("{origin}: {error}"), None)
                })),
        }
    }
}
