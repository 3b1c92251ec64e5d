//! What the target `extract` made of each package, kept beside the build context: the way from its files back to the
//! zip for `docker-build`, and how to tell that they are still there unchanged.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::plan::ReleasePlan;
use crate::image::layers::{Origins, ZipEntry, ZipOrigin};
use crate::oci::{Digest, Hasher, Platform};
use crate::packages::{self, Extracted, ZippedFile};

#[derive(Serialize, Deserialize)]
struct Record {
    /// The digest of the package.
    zip: Digest,
    files: usize,
    /// Of everything that [`tree`] sees in the directory.
    tree: Digest,
    origins: Origins,
}

/// Records what was extracted from `zip` into `lib`. Blocking.
pub fn save(file: &Path, zip: &Path, lib: &Path, extracted: &Extracted) -> Result<()> {
    let zip_digest = packages::digest(zip)?;
    let folder = lib.file_name().unwrap_or_default();
    let mut origins = Origins::new();
    for entry in &extracted.deflated {
        let metadata = fs::metadata(lib.join(&entry.path))?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        let name = Path::new(folder).join(&entry.path);
        // What is not UTF-8 is compressed like any other file.
        let Some(name) = name.to_str() else { continue };
        let entry = zip_entry(zip, &zip_digest, entry);
        origins.insert(name.to_owned(), ZipOrigin { entry, changed });
    }
    let record = Record {
        zip: zip_digest,
        files: extracted.files,
        tree: tree(lib)?,
        origins,
    };
    let text = serde_json::to_vec(&record)?;
    fs::write(file, text).with_context(|| format!("`{}`", file.display()))
}

/// Where the layer builder finds a file of `zip`.
pub fn zip_entry(zip: &Path, zip_digest: &Digest, file: &ZippedFile) -> ZipEntry {
    ZipEntry {
        zip: zip.to_owned(),
        zip_digest: zip_digest.clone(),
        offset: file.offset,
        compressed: file.compressed,
        size: file.size,
        crc: file.crc,
        is_deflated: file.is_deflated,
    }
}

/// The number of files in `lib`, if they are those that were extracted from this `zip`, and no others. Blocking.
pub fn unchanged(file: &Path, zip: &Path, lib: &Path) -> Option<usize> {
    let record = read(file)?;
    let is_same = packages::known(zip)? == record.zip && tree(lib).ok()? == record.tree;
    is_same.then_some(record.files)
}

/// What was recorded for all platforms. Without it, or if it cannot be read, files are compressed.
pub fn load(plan: &ReleasePlan) -> Origins {
    let platforms = plan.platforms.iter();
    let records = platforms.filter_map(|platform| read(&path(plan, platform)));
    records.flat_map(|record| record.origins).collect()
}

/// The record of one platform.
pub fn path(plan: &ReleasePlan, platform: &Platform) -> PathBuf {
    let name = format!("lib-{}.origins.json", platform.architecture);
    plan.packages.join(name)
}

fn read(file: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// The digest of the names, modes, sizes, targets and times of what is in a directory. The time of the last change is
/// one of them, which no program can set back: a file of another content has another.
fn tree(directory: &Path) -> io::Result<Digest> {
    let mut entries = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in directory.read_dir()? {
            let path = entry?.path();
            let metadata = path.symlink_metadata()?;
            if metadata.is_dir() {
                open.push(path.clone());
            }
            entries.insert(path, metadata);
        }
    }
    let mut hasher = Hasher::sha256();
    for (path, metadata) in entries {
        let facts = [
            u64::from(metadata.mode()),
            metadata.len(),
            metadata.ino(),
            metadata.mtime() as u64,
            metadata.mtime_nsec() as u64,
            metadata.ctime() as u64,
            metadata.ctime_nsec() as u64,
        ];
        let path = path.as_os_str().as_encoded_bytes();
        hasher.update(&(path.len() as u64).to_le_bytes());
        hasher.update(path);
        for fact in facts {
            hasher.update(&fact.to_le_bytes());
        }
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_unchanged_until_one_is_touched_added_or_gone() {
        let root = tempfile::tempdir().unwrap();
        let (zip, lib) = (root.path().join("a.zip"), root.path().join("lib-amd64"));
        let record = root.path().join("lib-amd64.origins.json");
        fs::write(&zip, "zip").unwrap();
        let fresh = || {
            let _ = fs::remove_dir_all(&lib);
            fs::create_dir_all(lib.join("d")).unwrap();
            fs::write(lib.join("d/a"), "a").unwrap();
            std::os::unix::fs::symlink("d", lib.join("l")).unwrap();
            let extracted = Extracted {
                files: 1,
                ..Extracted::default()
            };
            save(&record, &zip, &lib, &extracted).unwrap();
            assert_eq!(unchanged(&record, &zip, &lib), Some(1));
        };
        let changes: [&dyn Fn(); 6] = [
            &|| fs::write(lib.join("d/b"), "b").unwrap(),
            &|| fs::write(lib.join("d/a"), "aa").unwrap(),
            &|| fs::remove_file(lib.join("l")).unwrap(),
            &|| fs::remove_dir_all(&lib).unwrap(),
            &|| fs::write(&zip, "another").unwrap(),
            &|| fs::write(&record, "{").unwrap(),
        ];
        for (number, change) in changes.iter().enumerate() {
            fresh();
            change();
            assert_eq!(unchanged(&record, &zip, &lib), None, "change {number}");
        }
    }
}
