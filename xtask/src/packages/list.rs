//! What a package would be extracted to, for those who take its files out of the zip themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::archive::{Archive, ZippedFile};
use super::error::Error;
use super::layout::Kind;

/// A file, directory or link, by its path in the directory that the package is extracted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    pub kind: ListedKind,
    /// Unix permissions.
    pub mode: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListedKind {
    Directory,
    /// Whether it has the CRC that the zip says is found out when it is read.
    File(ZippedFile),
    /// A symbolic link and its target.
    Link(String),
}

/// Lists what [`extract`](super::extract()) would make of `zip`, directories that only have to be there too. Blocking.
///
/// # Errors
/// [`Error::Refused`] for an archive that is hostile or has no intact directory; [`Error::Io`].
pub fn list(zip: &Path) -> Result<BTreeMap<PathBuf, ListedEntry>, Error> {
    let (mut archive, entries) = Archive::open(zip)?;
    let mut listed = BTreeMap::new();
    for entry in entries {
        let above = entry.path.ancestors().skip(1);
        for directory in above.filter(|path| *path != Path::new("")) {
            listed.insert(directory.to_owned(), DIRECTORY);
        }
        let listing = match entry.kind {
            Kind::Directory => DIRECTORY,
            Kind::Link(target) => ListedEntry {
                kind: ListedKind::Link(target),
                mode: 0o777,
            },
            Kind::File => ListedEntry {
                kind: ListedKind::File(archive.locate(&entry)?),
                mode: entry.mode,
            },
        };
        listed.insert(entry.path, listing);
    }
    Ok(listed)
}

const DIRECTORY: ListedEntry = ListedEntry {
    kind: ListedKind::Directory,
    mode: 0o755,
};
