//! Finding a package again that was downloaded earlier: exactly one file, or why not.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::package::{is_for, runtime};

/// The downloaded package of `platform` (`linux/amd64`) in `directory`.
///
/// # Errors
/// [`Error::NoPackage`].
pub fn find(directory: &Path, platform: &str) -> Result<PathBuf, Error> {
    let wanted = runtime(platform);
    let mut names: Vec<String> = match directory.read_dir() {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect(),
        Err(_) => Vec::new(),
    };
    names.retain(|name| name.ends_with(".zip") && is_for(name, &wanted));
    names.sort();
    match &names[..] {
        [name] => Ok(directory.join(name)),
        [] => Err(Error::NoPackage(format!(
            "there is no package for `{platform}` in `{}`; hint: run `cargo xtask download`",
            directory.display()
        ))),
        names => {
            let names = names.iter().map(String::as_str);
            Err(Error::ambiguous(directory.display(), platform, names))
        }
    }
}
