//! Files of what one run found out and the next need not: the first line of each has the digest of everything after it.
//!
//! They are safe to delete. One that cannot be read, or is damaged, does not exist: what it says goes into images.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use crate::oci::Digest;

/// What a file holds after its first line.
pub fn read(path: &Path) -> Option<Vec<u8>> {
    let mut text = fs::read(path).ok()?;
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let content = text.split_off(end + 1);
    let sum = Digest::sha256_of(&content);
    (sum.as_str().as_bytes() == &text[..end]).then_some(content)
}

/// Replaces a file, whose directory is made if need be.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    writeln!(file, "{}", Digest::sha256_of(content))?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

/// Notes that a file was used. Where that is not possible, it goes earlier.
pub fn touch(path: &Path) {
    let file = fs::File::options().append(true).open(path);
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

/// Removes all but `most` files; those that were not used for the longest time go first.
pub fn prune(directory: &Path, most: usize) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in directory.read_dir()? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    for (_, path) in files.iter().rev().skip(most) {
        fs::remove_file(path)?;
    }
    Ok(())
}
