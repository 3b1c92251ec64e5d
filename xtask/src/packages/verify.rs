//! Whether a file is the package it should be. Every byte is read: for its SHA-256 where the index gives one, otherwise
//! every entry of the zip for its CRC. Once that was done, the record of it is enough.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::archive::Archive;
use super::error::Error;
use super::layout::Kind;
use super::package::Package;
use super::record;

/// Whether the package is there. A file that is something else is removed.
///
/// # Errors
/// [`Error::Refused`] for the file that was removed, [`Error::Io`].
pub(super) async fn verify_or_remove(path: &Path, package: &Package) -> Result<bool, Error> {
    let (file, package) = (path.to_owned(), package.clone());
    let work = move || {
        if !file.exists() {
            return Ok(false);
        }
        let verified = verify(&file, &package);
        if let Err(Error::Refused { .. }) = &verified {
            fs::remove_file(&file).map_err(Error::io("remove", &file))?;
        }
        verified.map(|()| true)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::io("verify", path)(io::Error::other(error)))?
}

fn verify(path: &Path, package: &Package) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    if length != package.size {
        let reason = format!("it has {length} bytes, expected {}", package.size);
        return Err(Error::refused(path, reason));
    }
    let known = record::known(path);
    if known.is_some() && (package.digest.is_none() || known == package.digest) {
        return Ok(());
    }
    let Some(expected) = &package.digest else {
        let (mut archive, entries) = Archive::open(path)?;
        for entry in entries.iter().filter(|entry| entry.kind == Kind::File) {
            archive.copy(entry, &mut io::sink(), path)?;
        }
        return Ok(());
    };
    let mut hasher = expected.hasher();
    hasher.read_all(file).map_err(Error::io("read", path))?;
    let digest = hasher.finish();
    if digest == *expected {
        return Ok(());
    }
    let reason = format!("its digest is `{digest}`, expected `{expected}`");
    Err(Error::refused(path, reason))
}
