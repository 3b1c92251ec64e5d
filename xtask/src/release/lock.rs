//! One run at a time in the output directory: two would pull the build context from under each other.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use anyhow::Result;

use crate::exit::bad_input;

/// Locks `output` until the file is dropped or the process ends.
pub(super) fn lock(output: &Path) -> Result<File> {
    let path = output.join("lock");
    let wrong = |why: String| bad_input(format!("`{}`: {why}", path.display()));
    if output.exists() && !output.is_dir() {
        let output = output.display();
        return Err(bad_input(format!(
            "`{output}` is no directory, and a release works in it\nhint: move it away"
        )));
    }
    let denied = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "\nhint: a release works in `output/`, where this user has to write"
            }
            _ => "",
        };
        wrong(format!("{error}{hint}"))
    };
    std::fs::create_dir_all(output).map_err(denied)?;
    let lock = File::create(&path).map_err(denied)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(wrong(
            "another run is at work here\nhint: wait until it has ended".to_owned(),
        )),
        // On a file system without locks the run goes on without.
        Err(TryLockError::Error(_)) => Ok(lock),
    }
}
