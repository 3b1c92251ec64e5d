//! Whether a file is the package it should be. Every byte is read: for its SHA-256 where the index gives one, otherwise
//! every entry of the zip for its CRC, so that a file of an earlier run is trusted for what it is and not for a note
//! beside it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::archive::Archive;
use super::error::Error;
use super::layout::Kind;
use super::package::Package;

/// The file's SHA-256 in lowercase hex, or `None` if there is no file. A file that is something else is removed.
///
/// # Errors
/// [`Error::Refused`] for the file that was removed, [`Error::Io`].
pub(super) async fn settle(path: &Path, package: &Package) -> Result<Option<String>, Error> {
    let (file, package) = (path.to_owned(), package.clone());
    let work = move || {
        if !file.exists() {
            return Ok(None);
        }
        let verified = verify(&file, &package);
        if let Err(Error::Refused { .. }) = &verified {
            fs::remove_file(&file).map_err(Error::io("remove", &file))?;
        }
        verified.map(Some)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::io("verify", path)(io::Error::other(error)))?
}

fn verify(path: &Path, package: &Package) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    if length != package.size {
        let reason = format!("it has {length} bytes, expected {}", package.size);
        return Err(Error::refused(path, reason));
    }
    let sha256 = sha256(&mut file).map_err(Error::io("read", path))?;
    match &package.sha256 {
        Some(expected) if *expected == sha256 => {}
        Some(expected) => {
            let reason = format!("its sha256 is `{sha256}`, expected `{expected}`");
            return Err(Error::refused(path, reason));
        }
        None => {
            let (mut archive, entries) = Archive::open(path)?;
            for entry in entries.iter().filter(|entry| entry.kind == Kind::File) {
                archive.copy(entry, &mut io::sink(), path)?;
            }
        }
    }
    Ok(sha256)
}

/// The SHA-256, in lowercase hex, of what is left to read.
pub fn sha256(file: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let digest = hasher.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
