//! What `copy` and `tags` name on the command line, as a rule: the names are those of image-syncer's form, with
//! skopeo's `docker://` before them or not.

use super::formats::add_destination;
use super::image_pattern::{ImagePattern, ImagePatternError};
use super::request::{DestinationTags, Rule};
use super::tags::Select;
use crate::copy::Policy;
use crate::exit::Problems;

/// One source and where it goes.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub source: String,
    /// `tags` has none.
    pub destinations: Vec<String>,
}

/// The rule, which copies everything as it is; or `None`, with the problems recorded.
pub(super) fn rule(named: &Named, problems: &mut Problems) -> Option<Rule> {
    let mut names = [&named.source].into_iter().chain(&named.destinations);
    if let Some(kind) = names.find_map(|it| local_kind(it)) {
        problems.push(format!(
            "`{kind}:` is not in a registry, and only what is in one is copied; hint: `docker.io/library/{kind}:TAG` if Docker Hub's image of that name is meant"
        ));
        return None;
    }
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
    for text in &named.destinations {
        let text = bare(text);
        // Nobody has to write a digest there, and it could only be another one.
        if text.contains('@') {
            problems.push("a destination has a digest; hint: `REPOSITORY` or `REPOSITORY:TAG`, the digest is that of the source");
            continue;
        }
        let is_all = matches!(&select, Select::Tags(filter) if filter.is_all());
        match source.destination(&select, text) {
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
        origin: "the command line".to_owned(),
    })
}

/// skopeo's word for where else an image may be, if `text` begins with one: as a name it would be an image on Docker
/// Hub, which nobody means.
fn local_kind(text: &str) -> Option<&str> {
    let (kind, rest) = text.split_once(':')?;
    let is_local = [
        "docker",
        "docker-daemon",
        "docker-archive",
        "oci",
        "oci-archive",
        "dir",
        "containers-storage",
    ]
    .contains(&kind);
    (is_local && !rest.starts_with("//")).then_some(kind)
}

/// Without the prefix that skopeo wants.
fn bare(text: &str) -> &str {
    text.strip_prefix("docker://").unwrap_or(text)
}
