//! What `copy` and `tags` name on the command line, as a rule: the names are those of image-syncer's form, with
//! skopeo's `docker://` before them or not.

use super::formats::add_destination;
use super::image_pattern::ImagePattern;
use super::request::Rule;
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
        match source.destination(&select, text) {
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

/// Without the prefix that skopeo wants.
fn bare(text: &str) -> &str {
    text.strip_prefix("docker://").unwrap_or(text)
}
