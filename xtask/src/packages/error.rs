//! What can go wrong with packages, and whose fault it is: [`Error::Io`] is the machine's fault, [`Error::Network`] and
//! a download that may succeed later the network's, everything else is the fault of an input that a person has to
//! change or provide again. Addresses are in their public form.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::foreign::Foreign;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "`{address}` is not the address of a package index; hint: give a base such as `https://host/packages/`, \
         an index such as `https://host/index.json`, or the SAS URL of an Azure container"
    )]
    Source { address: String },

    #[error(
        "the package index `{index}` cannot be read: {reason}; hint: check the address and its signature"
    )]
    Unreachable { index: String, reason: String },

    /// Nobody has to change anything: it is the network, or a server that may answer later.
    #[error(
        "the package index `{index}` cannot be reached over the network: {reason}; hint: run the same again when it answers"
    )]
    Network { index: String, reason: String },

    #[error(
        "the package index `{index}` is not JSON: {}; hint: open the address, it may answer with a login page",
        Foreign::new(.reason)
    )]
    NotJson { index: String, reason: String },

    #[error(
        "the package index `{index}` does not have the expected form: {}; hint: an object with `versions`, as in README.md",
        Foreign::new(.reason)
    )]
    Shape { index: String, reason: String },

    /// No package, or more than one, is what was asked for.
    #[error("{0}")]
    NoPackage(String),

    /// Every source failed; one complaint for each different failure, in order.
    #[error("the package `{name}` cannot be downloaded{}: {}",
        if *.is_network { " over the network" } else { "" }, .complaints.join("; "))]
    Download {
        name: String,
        complaints: Vec<String>,
        /// It may come when a source is asked again.
        is_network: bool,
    },

    /// The bytes are not the package: wrong size, wrong digest, damaged or hostile archive.
    #[error("the package `{}` is refused: {}", .file.display(), Foreign::new(.reason))]
    Refused { file: PathBuf, reason: String },

    #[error("cannot {doing} `{}`", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl Error {
    /// Whether an input is at fault, and not this machine or the network: running again without a change would not
    /// help.
    pub fn is_input(&self) -> bool {
        match self {
            Error::Io { .. } | Error::Network { .. } => false,
            Error::Download { is_network, .. } => !is_network,
            _ => true,
        }
    }

    /// For `map_err`: an [`Error::Io`] that says what was being done to which file.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io {
            doing,
            path,
            source,
        }
    }

    pub(super) fn ambiguous<'n>(
        version: impl fmt::Display,
        platform: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Error {
        let names = list(names);
        Error::NoPackage(format!(
            "version `{version}` has more than one package for `{platform}`: {names}"
        ))
    }

    pub(super) fn refused(file: &Path, reason: impl fmt::Display) -> Error {
        Error::Refused {
            file: file.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Names for a person: each in backticks, or the word for none.
pub(super) fn list<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted = |name: &str| format!("`{}`", name.escape_debug());
    let names: Vec<String> = names.into_iter().map(quoted).collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}
