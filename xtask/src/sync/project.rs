//! Many repositories of one registry as a source: `registry.example.com/team/*`, where `*` is any text and `?` any one
//! character, as in patterns of tags. Which there are is known once the registry has listed them. No network.

use regex_lite::Regex;

use super::image_pattern::{ImagePattern, ImagePatternError};
use super::rule::{Rule, RuleDestination, add_destination};
use super::tags::{Select, TagFilter};
use super::template::{self, TemplateError};
use crate::copy::Policy;
use crate::oci::{ReferenceError, RepositoryName};

/// The names of repositories at one registry.
#[derive(Clone, Debug)]
pub struct RepositoryPattern {
    /// One that fits: every wildcard is a letter.
    pub sample: RepositoryName,
    /// The path, as it is written.
    path: String,
    regex: Regex,
}

/// A rule for every repository that fits a pattern.
#[derive(Debug)]
pub struct Project {
    pub pattern: RepositoryPattern,
    pub select: Select,
    /// What the command line leaves of the selection; `None` is all of it.
    pub only: Option<TagFilter>,
    pub policy: Policy,
    pub origin: String,
    /// As they are written; at least one.
    pub destinations: Vec<String>,
    image: ImagePattern,
}

/// Why a project cannot be a source.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProjectError {
    #[error(transparent)]
    Name(#[from] ImagePatternError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the name of a registry cannot be a pattern; hint: `registry.example.com/team/*`")]
    Host,
    #[error("a digest is of one image, and `{0}` of many repositories")]
    Digest(String),
    #[error(
        "the destination `{0}` names tags, and what stands before them is not the whole repository; hint: `acme.azurecr.io/mirror/{{repository}}:v1`"
    )]
    Tags(String),
    #[error("`{destination}` is a destination, and one of the sources `{pattern}` as well")]
    Itself {
        destination: RepositoryName,
        pattern: String,
    },
}

impl RepositoryPattern {
    /// The name `text` of a source and what follows it, if the name is a pattern.
    pub(super) fn split(text: &str) -> Option<(&str, &str)> {
        let end = match (text.split_once(":/"), text.split_once('@')) {
            (Some((name, _)), _) | (None, Some((name, _))) => name.len(),
            (None, None) => text
                .rfind(':')
                .filter(|at| !text[*at..].contains('/'))
                .unwrap_or(text.len()),
        };
        let (name, rest) = text.split_at(end);
        name.contains(['*', '?']).then_some((name, rest))
    }

    pub(super) fn parse(name: &str) -> Result<RepositoryPattern, ProjectError> {
        let wrong = |error: ReferenceError| ProjectError::Name(error.into());
        let sample: RepositoryName = name.replace(['*', '?'], "a").parse().map_err(wrong)?;
        // On Docker Hub, the first part may be missing.
        let path = match name.split_once('/') {
            Some((host, path)) if sample.path().len() == path.len() => {
                if host.contains(['*', '?']) {
                    return Err(ProjectError::Host);
                }
                path.to_owned()
            }
            _ if sample.path().len() == name.len() => name.to_owned(),
            _ => format!("library/{}", name.rsplit('/').next().unwrap_or_default()),
        };
        let glob = regex_lite::escape(&path);
        let glob = glob.replace(r"\*", ".*").replace(r"\?", ".");
        let regex = Regex::new(&format!("^{glob}$"))
            .map_err(|_| wrong(ReferenceError::Path(path.clone())))?;
        Ok(RepositoryPattern {
            sample,
            path,
            regex,
        })
    }

    /// The first part of the path, where it is the same for all.
    pub(super) fn project(&self) -> Option<&str> {
        let (project, _) = self.path.split_once('/')?;
        (!project.contains(['*', '?'])).then_some(project)
    }

    pub(super) fn fits(&self, name: &RepositoryName) -> bool {
        let there = RepositoryName::new(name.host(), self.sample.path());
        there.is_ok_and(|it| it.is_same(&self.sample)) && self.regex.is_match(name.path())
    }

    /// What follows the folder in which all of them are.
    fn relative<'n>(&self, name: &'n RepositoryName) -> &'n str {
        let fixed = self.path.find(['*', '?']).unwrap_or(self.path.len());
        let folder = self.path[..fixed].rfind('/').map_or(0, |at| at + 1);
        &name.path()[folder..]
    }
}

impl std::fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sample = self.sample.to_string();
        let host = &sample[..sample.len() - self.sample.path().len()];
        write!(f, "{host}{}", self.path)
    }
}

impl Project {
    /// The project that `source` names, with the tags that `patterns` choose or, if there are none, it says itself.
    pub(super) fn new(
        (name, rest): (&str, &str),
        patterns: Option<TagFilter>,
        destinations: Vec<String>,
        origin: String,
    ) -> Result<Project, ProjectError> {
        let pattern = RepositoryPattern::parse(name)?;
        let image = ImagePattern::parse(&format!("{}{rest}", pattern.sample))?;
        let select = match patterns {
            Some(filter) => Select::Tags(filter),
            None => image.select()?,
        };
        if matches!(select, Select::Digest(_)) {
            return Err(ProjectError::Digest(pattern.to_string()));
        }
        let project = Project {
            select,
            only: None,
            policy: Policy::default(),
            origin,
            destinations,
            image,
            pattern,
        };
        // What is wrong with every repository is wrong now.
        project.rule(project.pattern.sample.clone())?;
        Ok(project)
    }

    /// The rule for one of its repositories.
    pub(super) fn rule(&self, source: RepositoryName) -> Result<Rule, ProjectError> {
        let image = ImagePattern {
            repository: source.clone(),
            ..self.image.clone()
        };
        let mut destinations: Vec<RuleDestination> = Vec::new();
        for text in &self.destinations {
            let destination = image.destination(&self.select, &self.name(text, &source)?)?;
            if self.pattern.fits(&destination.repository) {
                return Err(ProjectError::Itself {
                    destination: destination.repository,
                    pattern: self.pattern.to_string(),
                });
            }
            add_destination(&mut destinations, destination, self.select.names());
        }
        Ok(Rule {
            source,
            select: self.select.clone(),
            only: self.only.clone(),
            destinations,
            policy: self.policy.clone(),
            origin: self.origin.clone(),
        })
    }

    /// A template is filled; anything else is the folder in which the repositories have the names that they have in
    /// that of the pattern.
    fn name(&self, text: &str, source: &RepositoryName) -> Result<String, ProjectError> {
        // That alone says no more than that the tags are the source's.
        let text = template::without_tag(text);
        if text.contains(['{', '}']) {
            return Ok(template::filled(text, source)?);
        }
        let folder = text.trim_end_matches('/');
        match folder.rsplit_once(':') {
            // A port stands before any slash.
            Some((before, tag))
                if !tag.contains('/') && (before.contains('/') || tag.parse::<u16>().is_err()) =>
            {
                Err(ProjectError::Tags(folder.to_owned()))
            }
            _ => Ok(format!("{folder}/{}", self.pattern.relative(source))),
        }
    }

    /// Where the repositories go, as far as that can be said without knowing them.
    pub(super) fn places(&self) -> Vec<RepositoryName> {
        let rule = self.rule(self.pattern.sample.clone());
        let destinations = rule.into_iter().flat_map(|rule| rule.destinations);
        let folder = |name: RepositoryName| match name.path().rsplit_once('/') {
            Some((folder, _)) => RepositoryName::new(name.host(), folder).unwrap_or(name),
            None => name,
        };
        destinations.map(|it| folder(it.repository)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(source: &str, destinations: &[&str]) -> Result<Project, String> {
        let split = RepositoryPattern::split(source).unwrap();
        let destinations = destinations.iter().map(|it| (*it).to_owned()).collect();
        let project = Project::new(split, None, destinations, "line 1".to_owned());
        project.map_err(|error| error.to_string())
    }

    #[test]
    fn a_pattern_is_a_name_with_wildcards() {
        for (source, name, fit, other) in [
            (
                "r.io/team/*",
                "r.io/team/*",
                "r.io/team/a/b",
                "r.io/teams/a",
            ),
            ("r.io:5000/*:v*", "r.io:5000/*", "r.io:5000/a", "r.io/a"),
            (
                "r.io/t?-*/x:/^v/",
                "r.io/t?-*/x",
                "r.io/t1-a/x",
                "r.io/t12-a/x",
            ),
            (
                "team/*",
                "docker.io/team/*",
                "docker.io/team/a",
                "docker.io/library/a",
            ),
            (
                "docker.io/*",
                "docker.io/library/*",
                "nginx",
                "docker.io/team/a",
            ),
        ] {
            let pattern = project(source, &["b.io/x"]).unwrap().pattern;
            assert_eq!(pattern.to_string(), name);
            assert!(pattern.fits(&fit.parse().unwrap()), "{source} {fit}");
            assert!(!pattern.fits(&other.parse().unwrap()), "{source} {other}");
        }
        for name in ["r.io/team/app", "r.io/team/app:v*", "localhost:5000/x:/.*/"] {
            assert!(RepositoryPattern::split(name).is_none(), "{name}");
        }
        let of = |source| project(source, &["b.io/x"]).unwrap().pattern;
        assert_eq!(of("r.io/team/a*").project(), Some("team"));
        assert_eq!(of("r.io/te*/a").project(), None);
        assert_eq!(of("r.io/*").project(), None);
    }

    #[test]
    fn each_repository_has_its_name_in_the_folder_of_the_destination_or_what_a_template_says() {
        let to = [
            "a.io/mirror",
            "b.io:5000",
            "c.io/{name}",
            "d.io:5000/x/:{tag}",
        ];
        for (source, name, places) in [
            (
                "r.io/team/*",
                "r.io/team/sub/app",
                "a.io/mirror/sub/app b.io:5000/sub/app c.io/app d.io:5000/x/sub/app",
            ),
            (
                "r.io/*",
                "r.io/team/app",
                "a.io/mirror/team/app b.io:5000/team/app c.io/app d.io:5000/x/team/app",
            ),
            (
                "r.io/team/app-*",
                "r.io/team/app-1",
                "a.io/mirror/app-1 b.io:5000/app-1 c.io/app-1 d.io:5000/x/app-1",
            ),
        ] {
            let rule = project(source, &to)
                .unwrap()
                .rule(name.parse().unwrap())
                .unwrap();
            let found: Vec<_> = rule
                .destinations
                .iter()
                .map(|it| it.repository.to_string())
                .collect();
            assert_eq!(found.join(" "), places);
        }
        let renamed = project("r.io/team/*:v1", &["a.io/{repository}:latest"]).unwrap();
        let rule = renamed.rule("r.io/team/x".parse().unwrap()).unwrap();
        assert_eq!(rule.copies(&[])[0].to[0].1[0].as_str(), "latest");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_before_anything_is_listed() {
        for (source, destination, said) in [
            (
                "*.io/team/x",
                "a.io/x",
                "the name of a registry cannot be a pattern",
            ),
            ("r.io/Team/*", "a.io/x", "is not a repository path"),
            ("r.io/team/*:/(/", "a.io/x", "is not a regular expression"),
            (
                "r.io/team/*@sha256:14b267eb38aa85fd12d0e168fffa2d8a6187ac53a14a0212b0d4fce8d729598c",
                "a.io/x",
                "a digest is of one image",
            ),
            (
                "r.io/team/*",
                "a.io/x:v1",
                "hint: `acme.azurecr.io/mirror/{repository}:v1`",
            ),
            ("r.io/team/*", "a.io/{nam}", "did you mean `{name}`?"),
            ("r.io/team/*", "r.io/team", "is both source and destination"),
            (
                "r.io/*",
                "r.io/mirror",
                "`r.io/mirror/a` is a destination, and one of the sources `r.io/*` as well",
            ),
            (
                "localhost:5000/*",
                "127.0.0.1:5000/mirror",
                "one of the sources",
            ),
        ] {
            let error = project(source, &[destination]).unwrap_err();
            assert!(error.contains(said), "{source}: {error}");
        }
    }
}
