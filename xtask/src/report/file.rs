//! The files a run writes: tried before the work, replaced as a whole at its end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::IntoRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use crate::exit::{end_on_interrupt, no_problems};

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
    if path == Path::new("-") {
        let why = "that is no file; hint: `/dev/stdout` is standard output, and `./-` a file";
        return Err(io::Error::other(why));
    }
    match fs::metadata(path) {
        Ok(found) => {
            let file = open_append(path)?;
            if found.file_type().is_fifo() {
                // Its reader would take a close for the end of the text, so it stays open.
                let _ = file.into_raw_fd();
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = directory(&followed(path)?);
            let mut trial = tempfile::Builder::new();
            trial.prefix(HIDDEN).tempfile_in(directory)?.close()
        }
        Err(error) => Err(error),
    }
}

/// Puts `text` in the place of the file at once: whoever reads it, or kills the program, has the old file or the new
/// one. Where that is not possible (a device, a file mounted into a container) it is written in place.
pub(super) fn replace(path: &Path, text: &str) -> Result<()> {
    let written = followed(path).and_then(|path| match fs::metadata(&path) {
        Ok(found) if !found.is_file() || is_descriptor(&path) => write_on(&path, text),
        found => match replace_file(&path, found.ok().as_ref(), text) {
            Err(error) if is_in_place_only(&error) => fs::write(&path, text),
            written => written,
        },
    });
    written.map_err(|error| unwritable(path, &error))
}

/// Whether the file may be writable although nothing can be renamed over it. On a full disk it must not be tried: that
/// would cost the old text too.
fn is_in_place_only(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    let kinds = [
        K::CrossesDevices,
        K::ResourceBusy,
        K::PermissionDenied,
        K::ReadOnlyFilesystem,
    ];
    kinds.contains(&error.kind())
}

fn replace_file(path: &Path, found: Option<&fs::Metadata>, text: &str) -> io::Result<()> {
    let mode = found.map_or(0o666, |found| found.permissions().mode());
    let mut file = tempfile::Builder::new()
        .prefix(HIDDEN)
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(directory(path))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// What `path` stands for: what a link names is written, not the link, also if it is not there yet.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let name = match path.file_name() {
            Some(name) if !path.as_os_str().as_bytes().ends_with(b"/") => name,
            _ => return Err(io::ErrorKind::IsADirectory.into()),
        };
        path = fs::canonicalize(directory(&path))?.join(name);
        match fs::read_link(&path) {
            Ok(link) if !is_descriptor(&path) => path = directory(&path).join(link),
            _ => return Ok(path),
        }
    }
    Err(io::Error::other("too many links"))
}

/// As many as Linux follows.
const LINKS: usize = 40;

/// Whether it is a file that this or another process has open, such as stdout: its text goes on.
fn is_descriptor(path: &Path) -> bool {
    let directory = directory(path);
    directory == Path::new("/dev/fd") || directory.starts_with("/proc") && directory.ends_with("fd")
}

/// Adds `text` to the file, on a line of its own.
pub(super) fn append(path: &Path, text: &str) -> Result<()> {
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    let old = if is_file { fs::read(path).ok() } else { None };
    let is_open = old.is_some_and(|old| !old.is_empty() && !old.ends_with(b"\n"));
    let text = format!("{}{text}", if is_open { "\n" } else { "" });
    write_on(path, &text).map_err(|error| unwritable(path, &error))
}

fn write_on(path: &Path, text: &str) -> io::Result<()> {
    let mut file = open_append(path)?;
    if !file.metadata()?.is_file() {
        // The reader of a pipe may have stopped to read.
        end_on_interrupt();
    }
    file.write_all(text.as_bytes())
}

/// Does not wait for the reader of a pipe.
pub(super) fn open_append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path).map_err(|error| {
        let is_fifo = || fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
        match Errno::from_io_error(&error) {
            Some(Errno::NXIO) if is_fifo() => io::Error::other("nobody reads it"),
            _ => error,
        }
    })?;
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

/// Whether both are one file that is there.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let [one, other] = [one, other].map(|path| fs::canonicalize(path).ok());
    one.is_some() && one == other
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
    fn a_link_to_nothing_makes_its_target() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("new")).unwrap();
        symlink("new/r", path("link")).unwrap();
        symlink("no/r", path("lost")).unwrap();
        check_writable([&*path("link")]).unwrap();
        replace(&path("link"), "text").unwrap();
        assert_eq!(fs::read_to_string(path("new/r")).unwrap(), "text");
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        for wrong in ["lost", "r/"] {
            check_writable([&*path(wrong)]).unwrap_err();
        }
    }

    #[test]
    fn an_open_file_is_written_where_it_ends() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "old\n").unwrap();
        let path = format!(
            "/dev/fd/{}",
            std::os::fd::AsRawFd::as_raw_fd(file.as_file())
        );
        check_writable([Path::new(&path)]).unwrap();
        replace(Path::new(&path), "new\n").unwrap();
        let text = io::read_to_string(file.as_file()).unwrap();
        assert_eq!(text, "old\nnew\n");
    }

    #[test]
    fn a_full_disk_is_no_reason_to_write_in_place() {
        for (errno, expected) in [
            (Errno::XDEV, true),
            (Errno::BUSY, true),
            (Errno::ACCESS, true),
            (Errno::PERM, true),
            (Errno::ROFS, true),
            (Errno::NOSPC, false),
            (Errno::DQUOT, false),
            (Errno::IO, false),
        ] {
            assert_eq!(is_in_place_only(&errno.into()), expected, "{errno}");
        }
    }

    #[test]
    fn what_is_appended_begins_a_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (old, new) in [
            ("", "a=1\n"),
            ("b=2", "b=2\na=1\n"),
            ("b=2\n", "b=2\na=1\n"),
        ] {
            fs::write(&file, old).unwrap();
            append(file.path(), "a=1\n").unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), new);
        }
    }

    #[test]
    fn the_trial_of_a_pipe_is_not_the_end_of_its_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let mut options = OpenOptions::new();
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut reader = options.read(true).custom_flags(flags).open(&path).unwrap();
        check_writable([&*path]).unwrap();
        let mut text = [0; 8];
        let nothing = io::Read::read(&mut reader, &mut text).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        replace(&path, "text").unwrap();
        let count = io::Read::read(&mut reader, &mut text).unwrap();
        assert_eq!(&text[..count], b"text");
        drop(reader);
        let error = replace(&path, "text").unwrap_err().to_string();
        assert!(
            error.ends_with("cannot be written: nobody reads it"),
            "{error}"
        );
    }

    #[test]
    fn a_device_is_written_and_stays_one() {
        replace(Path::new("/dev/null"), "text").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
