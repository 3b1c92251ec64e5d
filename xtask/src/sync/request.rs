//! What to copy where, as plain data: the same for every input format.
//!
//! The names are valid, and no rule copies an image onto itself.

use super::project::Project;
use super::rule::Rule;
use crate::copy::Policy;
use crate::credentials::Logins;
use crate::image::Location;
use crate::oci::{RepositoryName, Tag};

/// Everything the files asked for.
#[derive(Debug)]
pub struct Request {
    /// In the order of the files.
    pub rules: Vec<Rule>,
    /// Rules for repositories that have to be listed first.
    pub projects: Vec<Project>,
    /// An image that is in no registry, if the command line names one.
    pub local: Option<LocalImage>,
    /// Who signs in where, as far as the files say it.
    pub logins: Logins,
    /// What the files say that is not done, and stops nothing.
    pub warnings: Vec<String>,
    /// Rules that fail alone.
    pub wrong: Vec<WrongRule>,
    /// A run of which nothing is chosen is done, as with image-syncer: there is no other format among the files.
    pub may_be_empty: bool,
}

/// A rule that cannot be meant.
#[derive(Debug)]
pub struct WrongRule {
    /// Where it is written: "`images.yaml`, line 3".
    pub origin: String,
    /// Where it copies to, as far as that can be read.
    pub destination: RepositoryName,
    pub reason: String,
}

/// An image that is in no registry, and where it goes.
#[derive(Debug)]
pub struct LocalImage {
    /// As it was written: `oci:app:1.2`.
    pub name: String,
    pub location: Location,
    /// At least one. Without tags, the image is only reachable by its digest.
    pub destinations: Vec<(RepositoryName, Vec<Tag>)>,
    pub policy: Policy,
}

impl Request {
    /// Every repository that is written to.
    pub fn destinations(&self) -> impl Iterator<Item = &RepositoryName> {
        let of_rules = self.rules.iter().flat_map(|rule| &rule.destinations);
        let of_local = self.local.iter().flat_map(|image| &image.destinations);
        let of_rules = of_rules.map(|it| &it.repository);
        of_rules.chain(of_local.map(|(repository, _)| repository))
    }

    /// Every repository that is read from.
    pub fn sources(&self) -> impl Iterator<Item = &RepositoryName> {
        self.rules.iter().map(|rule| &rule.source)
    }
}
