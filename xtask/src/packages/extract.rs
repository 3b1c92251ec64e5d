//! A package becomes a directory, whole or not at all: `into` holds either what it held before or the complete content
//! of the archive, and nothing else is left beside it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::archive::{Archive, DeflatedFile};
use super::error::Error;
use super::layout::{Kind, Placed};

/// What was extracted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    pub files: usize,
    pub bytes: u64,
    /// Where in the zip the content of the deflated files is.
    pub deflated: Vec<DeflatedFile>,
}

/// Extracts `zip` and puts the result in place of `into`, whose parent is made if need be.
///
/// Unix permissions are kept, except set-user-id and its like; links are kept if they stay inside. Blocking: call it
/// in `spawn_blocking`.
///
/// # Errors
/// [`Error::Refused`] for an archive that is damaged or hostile, [`Error::Io`].
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
    directory(root, root)?;
    for entry in entries {
        let path = root.join(&entry.path);
        match &entry.kind {
            Kind::Directory => {
                directory(&path, root)?;
                permit(&path, entry.mode)?;
            }
            Kind::File => {
                directory(path.parent().unwrap_or(root), root)?;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&path)
                    .map_err(Error::io("create", &path))?;
                extracted.bytes += archive.copy(entry, &mut file, &path)?;
                extracted.files += 1;
                extracted.deflated.extend(archive.deflated(entry)?);
                permit(&path, entry.mode)?;
            }
            Kind::Link(target) => {
                directory(path.parent().unwrap_or(root), root)?;
                std::os::unix::fs::symlink(target, &path).map_err(Error::io("create", &path))?;
            }
        }
    }
    Ok(extracted)
}

/// Makes the directories from `root` down to `path` that are not there yet, readable by everyone.
fn directory(path: &Path, root: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|_| path != root) {
        directory(parent, root)?;
    }
    fs::create_dir(path).map_err(Error::io("create", path))?;
    permit(path, 0o755)
}

fn permit(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::io("change", path))
}
