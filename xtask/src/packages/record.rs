//! What is known of a package that was read whole and found intact: its digest, in `NAME.verified` beside it, for as
//! long as nobody has touched it.
//!
//! The kernel dates a file with every change to it and gives no program a way to set that date back, so a file with the
//! recorded inode, size and times is the one that was read. Only a disk that loses bits goes unseen here: the CRC of
//! each entry shows that when the entry is used.

use std::fs::{self, File, Metadata};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::error::Error;
use crate::oci::{Digest, Hasher};

#[derive(Serialize, Deserialize)]
struct Record {
    state: State,
    digest: Digest,
}

#[derive(Serialize, Deserialize, PartialEq)]
struct State {
    inode: u64,
    size: u64,
    /// In seconds and nanoseconds.
    modified: (i64, i64),
    /// The time of the last change to content, owner, mode or name.
    changed: (i64, i64),
}

impl State {
    fn of(metadata: &Metadata) -> State {
        State {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The digest of the package at `path`, if it was verified before and is the same file.
pub fn known(path: &Path) -> Option<Digest> {
    let record: Record = serde_json::from_slice(&fs::read(record(path)).ok()?).ok()?;
    let state = State::of(&path.metadata().ok()?);
    (record.state == state).then_some(record.digest)
}

/// The digest of the intact package at `path`; it is read only if the digest is not known yet. Blocking.
pub fn digest(path: &Path) -> Result<Digest, Error> {
    if let Some(digest) = known(path) {
        return Ok(digest);
    }
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut hasher = Hasher::sha256();
    hasher
        .read_all(&mut file)
        .map_err(Error::io("read", path))?;
    let digest = hasher.finish();
    remember(path, &digest);
    Ok(digest)
}

/// Records that the package at `path` is intact. Without a record it is read again, so a failure does not matter.
pub(super) fn remember(path: &Path, digest: &Digest) {
    let write = || {
        let record_of_it = Record {
            state: State::of(&path.metadata()?),
            digest: digest.clone(),
        };
        let mut file = NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(&serde_json::to_vec(&record_of_it)?)?;
        file.persist(record(path))?;
        Ok::<_, std::io::Error>(())
    };
    let _ = write();
}

fn record(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".verified");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_digest_is_known_until_the_file_is_touched_whatever_its_date() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.zip");
        fs::write(&path, "one").unwrap();
        assert_eq!(known(&path), None);
        let one = digest(&path).unwrap();
        assert_eq!(one, Digest::sha256_of(b"one"));
        assert_eq!(known(&path), Some(one.clone()));
        let modified = path.metadata().unwrap().modified().unwrap();
        // The kernel's clock ticks every few milliseconds.
        let start = SystemTime::now();
        while start.elapsed().unwrap() < Duration::from_millis(20) {}
        fs::write(&path, "two").unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        assert_eq!(known(&path), None);
        assert_eq!(digest(&path).unwrap(), Digest::sha256_of(b"two"));
        fs::write(record(&path), "{").unwrap();
        assert_eq!(known(&path), None);
    }
}
