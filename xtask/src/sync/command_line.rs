//! What `copy` and `tags` name on the command line, as a rule: the names are those of image-syncer's form, with
//! skopeo's `docker://` before them or not. What `copy` takes from elsewhere than a registry is named by its kind.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::formats::Parsed;
use super::image_pattern::{ImagePattern, ImagePatternError, Selector, has_login, local_kind};
use super::project::{Project, RepositoryPattern};
use super::request::LocalImage;
use super::rule::{DestinationTags, Rule, add_destination};
use super::tags::Select;
use super::template;
use crate::copy::Policy;
use crate::exit::Problems;
use crate::image::Location;
use crate::oci::{ReferenceError, RepositoryName, Tag};

/// One source and where it goes.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub source: String,
    /// `tags` has none.
    pub destinations: Vec<String>,
}

/// What is copied, as it is: it becomes one of the rules that were `found`, or is returned. Problems are recorded.
pub(super) fn read(
    named: &Named,
    found: &mut Parsed,
    problems: &mut Problems,
) -> Option<LocalImage> {
    if let Some(kind) = named.destinations.iter().find_map(|it| local_kind(it)) {
        problems.push(format!(
            "a destination: `{kind}:` is not in a registry, and only into one is copied; hint: `REGISTRY/REPOSITORY:TAG`"
        ));
        return None;
    }
    let Some(kind) = local_kind(&named.source) else {
        match RepositoryPattern::split(bare(&named.source)) {
            None => found.rules.extend(rule(named, problems)),
            Some(split) => found.projects.extend(project(named, split, problems)),
        }
        return None;
    };
    if named.destinations.is_empty() {
        problems.push(format!(
            "`{kind}:` is not in a registry, and has no tags to list; hint: `docker.io/library/{kind}` if Docker Hub's image of that name is meant"
        ));
        return None;
    }
    local(named, problems)
}

fn local(named: &Named, problems: &mut Problems) -> Option<LocalImage> {
    let name = &named.source;
    let Some(location) = Location::parse(name) else {
        let forms = Location::FORMS;
        problems.push(format!("the source `{name}` names no image; hint: {forms}"));
        return None;
    };
    if let Some(kind) = location.absent() {
        let hint = match (name.ends_with(":-"), location.instead()) {
            (true, _) => {
                "standard input is not read, because what an archive holds stands at its end".into()
            }
            (false, Some(instead)) => instead,
            (false, None) => "a path is from the current directory".to_owned(),
        };
        problems.push(format!(
            "`{name}`: there is no {kind} of that name; hint: {hint}"
        ));
    }
    let mut destinations: IndexMap<RepositoryName, Vec<Tag>> = IndexMap::new();
    for text in &named.destinations {
        match local_destination(&location, bare(text)) {
            Ok((repository, tags)) => {
                let known = destinations.entry(repository).or_default();
                known.extend(tags);
                let mut seen = HashSet::new();
                known.retain(|tag| seen.insert(tag.clone()));
            }
            Err(problem) => problems.push(format!("a destination: {problem}")),
        }
    }
    Some(LocalImage {
        name: name.clone(),
        location,
        destinations: destinations.into_iter().collect(),
        policy: Policy::default(),
    })
}

/// Where an image goes that has this location: without a tag, under the one that the location names, and where that
/// names a digest, under none.
fn local_destination(
    location: &Location,
    text: &str,
) -> Result<(RepositoryName, Vec<Tag>), String> {
    if text.contains(['{', '}']) {
        return Err(format!(
            "`{text}`: a part in braces is of the source's name in a registry, and this source is in none; hint: write the name"
        ));
    }
    let pattern = ImagePattern::parse(text).map_err(|error| error.to_string())?;
    let repository = pattern.repository;
    let tags = match pattern.what {
        Selector::Tags(names) => {
            let tags = names.iter().map(|name| name.parse());
            tags.collect::<Result<_, _>>()
                .map_err(|error: ReferenceError| error.to_string())?
        }
        Selector::Digest(..) => return Err(NO_DIGEST.to_owned()),
        Selector::Nothing => match (location.tag(), location.chosen()) {
            (Some(tag), _) => vec![tag],
            (None, Some(_)) => Vec::new(),
            (None, None) => {
                return Err(format!(
                    "`{repository}` has no tag, and neither has the source; hint: `{repository}:TAG`"
                ));
            }
        },
    };
    Ok((repository, tags))
}

const NO_DIGEST: &str =
    "it has a digest, which is the source's; hint: `REPOSITORY` or `REPOSITORY:TAG`";

fn project(named: &Named, split: (&str, &str), problems: &mut Problems) -> Option<Project> {
    if named.destinations.is_empty() {
        problems.push("the tags of one repository are shown, and a pattern is of many");
        return None;
    }
    if named
        .destinations
        .iter()
        .any(|it| it.contains('@') && !has_login(it))
    {
        problems.push(format!("a destination: {NO_DIGEST}"));
        return None;
    }
    let destinations = named.destinations.iter();
    let destinations = destinations.map(|it| bare(it).to_owned()).collect();
    let project = Project::new(split, None, destinations, ORIGIN.to_owned());
    project
        .map_err(|error| problems.push(error.to_string()))
        .ok()
}

const ORIGIN: &str = "the command line";

/// The rule, which copies everything as it is; or `None`, with the problems recorded.
fn rule(named: &Named, problems: &mut Problems) -> Option<Rule> {
    let source = ImagePattern::parse(bare(&named.source));
    let read = source.and_then(|source| Ok((source.select()?, source)));
    let (select, source) = match read {
        Ok(read) => read,
        Err(error) => {
            problems.push(format!("the source: {error}"));
            return None;
        }
    };
    let mut destinations = Vec::new();
    let texts = named.destinations.iter().map(|text| bare(text));
    let texts = texts.flat_map(|text| one_by_one(text, select.names().len()));
    for text in &texts.collect::<Vec<_>>() {
        // Nobody has to write a digest there, and it could only be another one.
        if text.contains('@') && !has_login(text) {
            problems.push(format!("a destination: {NO_DIGEST}"));
            continue;
        }
        let is_all = matches!(&select, Select::Tags(filter) if filter.is_all());
        let text = match template::filled(text, &source.repository) {
            Ok(text) => text,
            Err(error) => {
                problems.push(format!("a destination: {error}"));
                continue;
            }
        };
        match source.destination(&select, &text) {
            Ok(it) if is_all && matches!(it.tags, DestinationTags::Named(_)) => {
                let error = ImagePatternError::Unequal(it.repository);
                problems.push(format!("a destination: {error}"));
            }
            Ok(destination) => add_destination(&mut destinations, destination, select.names()),
            Err(error) => problems.push(format!("a destination: {error}")),
        }
    }
    Some(Rule {
        source: source.repository,
        select,
        only: None,
        destinations,
        policy: Policy::default(),
        origin: ORIGIN.to_owned(),
    })
}

/// One image, of `count` that are chosen, gets all the tags of a destination: `app:v1,latest` is two of them.
fn one_by_one(text: &str, count: usize) -> Vec<String> {
    match text.rsplit_once(':') {
        Some((name, tags)) if count == 1 && !tags.contains('/') => tags
            .split(',')
            .map(|tag| format!("{name}:{}", tag.trim()))
            .collect(),
        _ => vec![text.to_owned()],
    }
}

/// Without the prefix that skopeo wants.
fn bare(text: &str) -> &str {
    text.strip_prefix("docker://").unwrap_or(text)
}
