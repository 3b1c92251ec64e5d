//! A package becomes a directory, whole or not at all: `into` holds either what it held before or the complete content
//! of the archive, and nothing else is left beside it.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::archive::{Archive, ZippedFile};
use super::error::Error;
use super::layout::{Kind, Placed};

/// What was extracted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    pub files: usize,
    pub bytes: u64,
    /// Where in the zip the content of the deflated files is.
    pub deflated: Vec<ZippedFile>,
}

/// Extracts `zip` and puts the result in place of `into`, whose parent is made if need be.
///
/// Everybody may read what is extracted, whatever the archive and the umask say, as the user of a container has to:
/// directories have mode 0755, files 0644, or 0755 if their owner may run them. Links are kept if they stay inside.
/// Blocking: call it in `spawn_blocking`.
///
/// # Errors
/// [`Error::Refused`] for an archive that is damaged or hostile, or holds names that this disk does not tell apart;
/// [`Error::Io`].
pub fn extract(zip: &Path, into: &Path) -> Result<Extracted, Error> {
    let (mut archive, entries) = Archive::open(zip)?;
    let (Some(parent), Some(name)) = (into.parent(), into.file_name()) else {
        let reason = io::Error::from(io::ErrorKind::InvalidInput);
        return Err(Error::io("extract to", into)(reason));
    };
    let parent = if parent == Path::new("") {
        Path::new(".")
    } else {
        parent
    };
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let prefix = format!(".{}.extracting", name.to_string_lossy());
    // Beside `into`, so that it can be renamed; always the same name, so that a run clears what a killed one left.
    let stale = parent.join(&prefix);
    if stale.exists() {
        fs::remove_dir_all(&stale).map_err(Error::io("remove", &stale))?;
    }
    // Removes itself, and `old` with it, on every way out.
    let workshop = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(0)
        .tempdir_in(parent)
        .map_err(Error::io("create", &stale))?;
    let (new, old) = (workshop.path().join("new"), workshop.path().join("old"));
    let extracted = write(&mut archive, &entries, &new)?;
    let had = into.symlink_metadata().is_ok();
    if had {
        fs::rename(into, &old).map_err(Error::io("move", into))?;
    }
    fs::rename(&new, into).map_err(|error| {
        if had {
            // Only the first error is reported.
            let _ = fs::rename(&old, into);
        }
        Error::io("create", into)(error)
    })?;
    workshop.close().map_err(Error::io("remove", &stale))?;
    Ok(extracted)
}

fn write(archive: &mut Archive<'_>, entries: &[Placed], root: &Path) -> Result<Extracted, Error> {
    let mut extracted = Extracted::default();
    let mut directories = Directories::default();
    directories.make(root, root)?;
    for entry in entries {
        let path = root.join(&entry.path);
        let parent = path.parent().unwrap_or(root);
        let folded = |error: Error| match error {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                let name = entry.path.display();
                archive.refuse(format!(
                    "its entry `{name}` has the path of another one on this disk, which ignores case"
                ))
            }
            error => error,
        };
        match &entry.kind {
            Kind::Directory => directories.make(&path, root).map_err(folded)?,
            Kind::File => {
                directories.make(parent, root).map_err(folded)?;
                let file = OpenOptions::new().write(true).create_new(true).open(&path);
                let mut file = file.map_err(Error::io("create", &path)).map_err(folded)?;
                extracted.bytes += archive.copy(entry, &mut file, &path)?;
                extracted.files += 1;
                let zipped = archive.locate(entry)?;
                extracted
                    .deflated
                    .extend(zipped.is_deflated.then_some(zipped));
                permit(&path, entry.mode)?;
            }
            Kind::Link(target) => {
                directories.make(parent, root).map_err(folded)?;
                std::os::unix::fs::symlink(target, &path)
                    .map_err(Error::io("create", &path))
                    .map_err(folded)?;
            }
        }
    }
    Ok(extracted)
}
/// The directories that were made. What else is found on the disk is another entry's.
#[derive(Default)]
struct Directories(HashSet<PathBuf>);

impl Directories {
    /// Makes the directories down to `path` that were not made yet, readable by everyone.
    fn make(&mut self, path: &Path, root: &Path) -> Result<(), Error> {
        if self.0.contains(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent().filter(|_| path != root) {
            self.make(parent, root)?;
        }
        fs::create_dir(path).map_err(Error::io("create", path))?;
        self.0.insert(path.to_owned());
        permit(path, 0o755)
    }
}

fn permit(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("change", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_disk_folds_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let zip = directory.path().join("p.zip");
        let bytes = fakes::zips::zip(&[("views/a", 0o644, b"a"), ("Views/b", 0o644, b"b")]);
        fs::write(&zip, bytes).unwrap();
        let (mut archive, entries) = Archive::open(&zip).unwrap();
        let root = directory.path().join("kept");
        assert_eq!(write(&mut archive, &entries, &root).unwrap().files, 2);
        // As a disk that ignores case has it: the path is another entry's.
        for taken in ["views/a", "views/a/b"] {
            let root = directory.path().join(taken.replace('/', "-"));
            let (mut archive, mut entries) = Archive::open(&zip).unwrap();
            entries[1].path = taken.into();
            let error = write(&mut archive, &entries, &root).unwrap_err();
            assert!(error.is_input(), "{error}");
            assert!(error.to_string().contains("on this disk"), "{error}");
        }
        // A directory that only looks as if it had been made.
        let error = Directories::default().make(&root.join("views"), &root);
        assert!(error.is_err());
    }
}
