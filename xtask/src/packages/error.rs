//! What can go wrong with packages, and whose fault it is: [`Error::Io`] is the machine's fault, everything else is the
//! fault of an input that a person has to change or provide again. Addresses are in their public form.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

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

    #[error(
        "the package index `{index}` is not JSON: {reason}; hint: open the address, it may answer with a login page"
    )]
    NotJson { index: String, reason: String },

    #[error("the package index `{index}` does not have the expected form: {reason}")]
    Shape { index: String, reason: String },

    #[error(
        "version `{version}` is not in the package index `{index}`; hint: the newest there: {}",
        List(.newest)
    )]
    NoVersion {
        version: String,
        index: String,
        newest: Vec<String>,
    },

    #[error(
        "version `{version}` has no package for `{platform}` (a .zip named with `{wanted}`); hint: it has {}",
        List(.assets)
    )]
    NoPackage {
        version: String,
        platform: String,
        wanted: String,
        assets: Vec<String>,
    },

    #[error("version `{version}` has more than one package for `{platform}`: {}", List(.assets))]
    Ambiguous {
        version: String,
        platform: String,
        assets: Vec<String>,
    },

    #[error("there is no package for `{platform}` in `{}`; hint: run `cargo xtask download`", .directory.display())]
    NotDownloaded {
        directory: PathBuf,
        platform: String,
    },

    /// Every source failed; one complaint for each different failure, in order.
    #[error("the package `{name}` cannot be downloaded: {}", .complaints.join("; "))]
    Download {
        name: String,
        complaints: Vec<String>,
    },

    /// The bytes are not the package: wrong size, wrong digest, damaged or hostile archive.
    #[error("the package `{}` is refused: {reason}", .file.display())]
    Refused { file: PathBuf, reason: String },

    #[error("cannot {doing} `{}`", .path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl Error {
    /// Whether an input is at fault, and not this machine: running again without a change would not help.
    pub fn is_input(&self) -> bool {
        !matches!(self, Error::Io { .. })
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

    pub(super) fn refused(file: &Path, reason: impl fmt::Display) -> Error {
        Error::Refused {
            file: file.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Names for a person: each in backticks, or the word for none.
struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (n, name) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}`{}`", name.escape_debug())?;
        }
        Ok(())
    }
}
