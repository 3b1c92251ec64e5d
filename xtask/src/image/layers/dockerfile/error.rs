//! What is wrong with a Dockerfile, and where.

use std::fmt;

use crate::foreign::Foreign;

/// A problem that only a change of the Dockerfile or of a build argument solves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerfileError {
    file: String,
    /// From 1; `None` if the whole file is at fault.
    line: Option<usize>,
    problem: String,
}

impl DockerfileError {
    pub(super) fn new(file: &str, line: impl Into<Option<usize>>, problem: String) -> Self {
        DockerfileError {
            file: file.to_owned(),
            line: line.into(),
            problem: Foreign::sentence(&problem).to_string(),
        }
    }
}

impl fmt::Display for DockerfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "`{}`, line {line}: {}", self.file, self.problem),
            None => write!(f, "`{}`: {}", self.file, self.problem),
        }
    }
}

impl std::error::Error for DockerfileError {}

/// Longer names are not compared, which takes memory for each pair of their characters.
const LONGEST_NAME: usize = 100;

/// The one of `known` that is most similar to `wrong`, if one is.
pub(super) fn nearest<'k>(
    wrong: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let is_short = |name: &&str| name.len() <= LONGEST_NAME;
    let known = known.into_iter().filter(is_short);
    let known = known.filter(|_| is_short(&wrong));
    let distances = known.map(|name| {
        let (name_as_told, wrong) = (name.to_ascii_uppercase(), wrong.to_ascii_uppercase());
        (strsim::damerau_levenshtein(&name_as_told, &wrong), name)
    });
    let nearest = distances.min().filter(|(distance, _)| *distance <= 2);
    nearest.map(|(_, name)| name)
}

/// `text` for a message: its beginning.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
