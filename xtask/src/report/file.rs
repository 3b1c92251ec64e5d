//! The files a run writes: tried before the work, replaced as a whole at its end, and the report that is read back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use serde::Deserialize;
use serde_json::Value;

use super::schema::{Content, ReleaseReport, Report, SCHEMA, SyncReport};
use crate::exit::{bad_input, no_problems};

/// How the names of files begin that are there for a moment.
const HIDDEN: &str = ".xtask-";

/// Finds out whether each of `paths` can be written, and changes none of them.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): those that cannot.
pub fn check_writable<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<()> {
    let problems = paths.into_iter().filter_map(|path| {
        let error = try_write(path).err()?;
        Some(unwritable(path, &error).to_string())
    });
    no_problems(&problems.collect::<Vec<_>>())
}

fn try_write(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        // Opening a pipe waits for its reader.
        Ok(found) if !found.is_file() && !found.is_dir() => Ok(()),
        Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let trial = directory(path).join(format!("{HIDDEN}{}", std::process::id()));
            File::create_new(&trial)?;
            fs::remove_file(&trial)
        }
        Err(error) => Err(error),
    }
}

/// Puts `text` in the place of the file at once: whoever reads it, or kills the program, has the old file or the new
/// one. Where that is not possible (a device, a file mounted into a container) it is written in place.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let written = match fs::metadata(path) {
        Ok(found) if !found.is_file() => fs::write(path, text),
        found => replace_file(path, found.ok().as_ref(), text).or_else(|_| fs::write(path, text)),
    };
    written.map_err(|error| unwritable(path, &error))
}

fn replace_file(path: &Path, found: Option<&fs::Metadata>, text: &str) -> io::Result<()> {
    // What a link names is replaced, not the link.
    let path = match found {
        Some(_) => fs::canonicalize(path)?,
        None => path.to_owned(),
    };
    let mode = found.map_or(0o666, |found| found.permissions().mode());
    let mut file = tempfile::Builder::new()
        .prefix(HIDDEN)
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(directory(&path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// Adds `text` to the file.
pub(super) fn append(path: &Path, text: &str) -> Result<()> {
    let written = open_append(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| unwritable(path, &error))
}

pub(super) fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> anyhow::Error {
    anyhow!("`{}` cannot be written: {error}", path.display())
}

fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// What every version of the report has.
#[derive(Deserialize)]
struct Header {
    schema: u32,
    tool_version: String,
}

impl Report {
    /// Reads what `--report` wrote; `kind` is the kind of report that is wanted.
    fn read(path: &Path, kind: &str) -> Result<Report> {
        let file = path.display();
        let is_none = |why: &str, hint: &str| {
            bad_input(format!(
                "`{file}`{why}: this is not the report of a {kind}; hint: {hint}"
            ))
        };
        let text = fs::read(path)
            .map_err(|error| bad_input(format!("`{file}` cannot be read: {error}")))?;
        if text.trim_ascii().is_empty() {
            return Err(is_none(" is empty", WRITTEN));
        }
        let value: Value = serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            is_none(&format!(", line {line}, column {column}"), WRITTEN)
        })?;
        let Ok(header) = Header::deserialize(&value) else {
            let hint = "reports of versions without a schema are not read";
            return Err(is_none(" has no `schema` and `tool_version`", hint));
        };
        if header.schema != SCHEMA {
            let (schema, version) = (header.schema, header.tool_version);
            return Err(bad_input(format!(
                "`{file}` has schema {schema} of reports, and this version reads schema {SCHEMA}; \
                 hint: version {version} wrote it"
            )));
        }
        Report::deserialize(&value)
            .map_err(|error| bad_input(format!("`{file}` is not a valid report: {error}")))
    }
}

const WRITTEN: &str = "what `--report` wrote";

impl ReleaseReport {
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): this is not the report of a release.
    pub fn read(path: &Path) -> Result<ReleaseReport> {
        match Report::read(path, "release")?.content {
            Content::Release(report) => Ok(report),
            Content::Sync(_) => Err(bad_input(format!(
                "`{}` is the report of a sync; hint: `verify` compares the report of a release",
                path.display()
            ))),
        }
    }
}

impl SyncReport {
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): this is not the report of a sync, or of one that did not know its images.
    pub fn read(path: &Path) -> Result<SyncReport> {
        let file = path.display();
        let report = Report::read(path, "sync")?;
        match (report.content, report.exit_code) {
            (Content::Release(_), _) => Err(bad_input(format!(
                "`{file}` is the report of a release; hint: `--only-failed` takes the report of a sync"
            ))),
            // Interrupted before its images were known, for example: nothing failed, and nothing is in place.
            (Content::Sync(report), code) if code != 0 && report.failed().next().is_none() => {
                Err(bad_input(format!(
                    "`{file}` is of a run that ended with {code} and names no image that failed; \
                     hint: run without `--only-failed`"
                )))
            }
            (Content::Sync(report), _) => Ok(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    }

    #[test]
    fn a_trial_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        fs::write(&old, "old").unwrap();
        check_writable([&*old, &*new]).unwrap();
        assert_eq!(names(directory.path()), ["old"]);
        assert_eq!(fs::read_to_string(&old).unwrap(), "old");
        let no = directory.path().join("no/such");
        let error = check_writable([&*no, directory.path()])
            .unwrap_err()
            .to_string();
        assert_eq!(error.lines().count(), 2, "{error}");
        assert!(
            error.contains("/no/such` cannot be written: No such file"),
            "{error}"
        );
    }

    #[test]
    fn what_a_link_names_is_replaced_and_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
        symlink("file", &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o604
        );
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(directory.path()), ["file", "link"]);
    }

    #[test]
    fn a_new_file_is_as_readable_as_any() {
        let directory = tempfile::tempdir().unwrap();
        let (file, plain) = (
            directory.path().join("file"),
            directory.path().join("plain"),
        );
        replace(&file, "new").unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&file), mode(&plain));
    }

    #[test]
    fn a_device_is_written_and_stays_one() {
        replace(Path::new("/dev/null"), "text").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
