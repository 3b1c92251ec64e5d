//! Whether a file is the package it should be. Every byte is read: for its SHA-256 where the index gives one, otherwise
//! every entry of the zip for its CRC, so that a file of an earlier run is trusted for what it is and not for a note
//! beside it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::archive::Archive;
use super::error::Error;
use super::layout::Kind;
use super::package::Package;
use crate::oci::{Digest, Hasher};

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
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    if length != package.size {
        let reason = format!("it has {length} bytes, expected {}", package.size);
        return Err(Error::refused(path, reason));
    }
    let Some(expected) = &package.digest else {
        let (mut archive, entries) = Archive::open(path)?;
        for entry in entries.iter().filter(|entry| entry.kind == Kind::File) {
            archive.copy(entry, &mut io::sink(), path)?;
        }
        return Ok(());
    };
    let digest = digest_of(&mut file).map_err(Error::io("read", path))?;
    if digest == *expected {
        return Ok(());
    }
    let reason = format!("its digest is `{digest}`, expected `{expected}`");
    Err(Error::refused(path, reason))
}

/// The SHA-256 of what is left to read.
pub fn digest_of(file: &mut impl Read) -> io::Result<Digest> {
    let mut hasher = Hasher::sha256();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
