//! Walks a build context.
//!
//! The same files give the same list: names are sorted. What no image can hold is an error that names it, and what is
//! lost on the way is told.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::ignore::Ignore;
use crate::foreign::Foreign;

/// The files that a build may use.
#[derive(Debug, Default)]
pub struct Context {
    /// Sorted, a directory before what is below it.
    pub entries: Vec<Entry>,
    /// What the files have and the image will not, as sentences.
    pub warnings: Vec<String>,
    ignore: Ignore,
}

/// One file, directory or link.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Relative to the context, with slashes.
    pub name: String,
    /// Where it is.
    pub source: PathBuf,
    pub kind: Kind,
    /// The permissions with the set-id and sticky bits: `0o7777` at most.
    pub mode: u32,
    /// The time of its last change, in seconds and nanoseconds.
    pub changed: (i64, i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File { size: u64 },
    Link { target: String },
}

/// What cannot be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}` of the build context: {reason}", path.display())]
pub struct ContextError {
    pub path: PathBuf,
    pub reason: io::Error,
}

const IGNORE_FILE: &str = ".dockerignore";

impl Context {
    /// Lists `directory`; `dockerfile` is the path of the Dockerfile in it, whose own ignore file counts first.
    ///
    /// # Errors
    /// A file that cannot be read, an ignore file with a malformed pattern, and whatever no image can hold: sockets,
    /// FIFOs, devices, names that are not UTF-8.
    pub fn read(directory: &Path, dockerfile: &str) -> Result<Context, ContextError> {
        Context::list(directory, dockerfile, None)
    }

    /// As [`Context::read`], with the Dockerfile even if it is excluded: an engine reads it from the context.
    pub fn read_for_engine(directory: &Path, dockerfile: &str) -> Result<Context, ContextError> {
        Context::list(directory, dockerfile, Some(dockerfile))
    }

    fn list(
        directory: &Path,
        dockerfile: &str,
        kept: Option<&str>,
    ) -> Result<Context, ContextError> {
        let mut ignore = ignore_file(directory, dockerfile)?;
        if let Some(path) = kept {
            ignore.keep(path);
        }
        let mut walk = Walk {
            ignore,
            entries: Vec::new(),
            attributes: Vec::new(),
        };
        walk.directory(directory, "")?;
        Ok(Context {
            warnings: walk.warnings(),
            entries: walk.entries,
            ignore: walk.ignore,
        })
    }

    /// Whether the file or directory at `path`, which need not be on the disk, is excluded.
    pub fn excludes(&self, path: &str) -> bool {
        self.ignore.excludes(path)
    }
}

/// The rules for this build: of `<Dockerfile>.dockerignore`, else of `.dockerignore`, else none.
fn ignore_file(context: &Path, dockerfile: &str) -> Result<Ignore, ContextError> {
    for name in [&*format!("{dockerfile}{IGNORE_FILE}"), IGNORE_FILE] {
        let path = context.join(name);
        let rules = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            text => text.and_then(|text| {
                Ignore::parse(&text)
                    .map_err(|it| io::Error::other(Foreign::sentence(&it).to_string()))
            }),
        };
        return rules.map_err(|reason| ContextError { path, reason });
    }
    Ok(Ignore::default())
}

struct Walk {
    ignore: Ignore,
    entries: Vec<Entry>,
    /// Names of files with extended attributes that matter, and one of these.
    attributes: Vec<(String, String)>,
}

impl Walk {
    /// Lists what is below `directory`, whose name ends in a slash or is empty.
    fn directory(&mut self, directory: &Path, name: &str) -> Result<(), ContextError> {
        let mut children = fs::read_dir(directory)
            .and_then(|children| children.collect::<io::Result<Vec<_>>>())
            .map_err(failed(directory))?;
        children.sort_by_key(|child| child.file_name());
        for child in children {
            let path = child.path();
            let Some(own) = child.file_name().to_str().map(|own| format!("{name}{own}")) else {
                return Err(failed(&path)(invalid("its name is not UTF-8")));
            };
            let excluded = self.ignore.excludes(&own);
            let metadata = child.metadata().map_err(failed(&path))?;
            let at = self.entries.len();
            if metadata.is_dir() && (!excluded || self.ignore.may_keep_below(&own)) {
                self.directory(&path, &format!("{own}/"))?;
            }
            // An excluded directory is listed, before its children, if one of them is.
            if !excluded || self.entries.len() > at {
                if let Some(attribute) = attribute(&path, &metadata) {
                    self.attributes.push((own.clone(), attribute));
                }
                let entry = Entry {
                    kind: kind(&path, &metadata).map_err(failed(&path))?,
                    name: own,
                    mode: metadata.permissions().mode() & 0o7777,
                    changed: (metadata.ctime(), metadata.ctime_nsec()),
                    source: path,
                };
                self.entries.insert(at, entry);
            }
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        let Some((name, attribute)) = self.attributes.first() else {
            return Vec::new();
        };
        let others = match self.attributes.len() - 1 {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        vec![format!(
            "the image will lack the extended attributes of `{name}` (`{attribute}`){others}"
        )]
    }
}

fn kind(path: &Path, metadata: &Metadata) -> io::Result<Kind> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        Ok(Kind::Directory)
    } else if kind.is_file() {
        Ok(Kind::File {
            size: metadata.len(),
        })
    } else if kind.is_symlink() {
        let target = fs::read_link(path)?.into_os_string().into_string();
        let target = target.map_err(|_| invalid("its target is not UTF-8"))?;
        Ok(Kind::Link { target })
    } else {
        let what = match kind {
            _ if kind.is_fifo() => "FIFO",
            _ if kind.is_socket() => "socket",
            _ => "device",
        };
        Err(invalid(&format!(
            "it is a {what}, which no image can have; hint: remove it, or exclude it in `{IGNORE_FILE}`"
        )))
    }
}

/// An extended attribute that somebody gave the file, not the system. Of a file system without attributes: none.
fn attribute(path: &Path, metadata: &Metadata) -> Option<String> {
    if metadata.is_symlink() {
        return None;
    }
    let mut list = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut list[..]).ok()?;
    let names = list[..length].split(|byte| *byte == 0);
    let mut names = names.map(String::from_utf8_lossy);
    let is_given = |name: &str| {
        name == "security.capability"
            || name.starts_with("system.posix_acl_")
            || name.starts_with("user.")
    };
    names
        .find(|name| is_given(name))
        .map(|name| name.into_owned())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ContextError + Copy {
    move |reason| ContextError {
        path: path.to_owned(),
        reason,
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A directory with these files; a name that ends in a slash is a directory.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            if name.ends_with('/') {
                fs::create_dir_all(path).unwrap();
            } else {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
        }
        root
    }

    fn names(context: Context) -> Vec<String> {
        let entries = context.entries.into_iter();
        entries.map(|entry| entry.name).collect()
    }

    fn engine_names(root: &tempfile::TempDir, dockerfile: &str) -> Vec<String> {
        names(Context::read_for_engine(root.path(), dockerfile).unwrap())
    }

    #[test]
    fn names_are_sorted_and_excluded_ones_missing() {
        let root = directory(&[
            (".dockerignore", "*.tmp\ndata\n!data/keep/it"),
            ("Dockerfile", ""),
            ("b/2", ""),
            ("b/1.tmp", ""),
            ("a.tmp", ""),
            ("a", ""),
            ("data/drop", ""),
            ("data/keep/it", ""),
            ("data/other/", ""),
        ]);
        assert_eq!(
            engine_names(&root, "Dockerfile"),
            [
                ".dockerignore",
                "Dockerfile",
                "a",
                "b",
                "b/1.tmp",
                "b/2",
                "data",
                "data/keep",
                "data/keep/it",
            ]
        );
    }

    #[test]
    fn the_engine_gets_the_dockerfile_even_when_it_is_excluded() {
        let root = directory(&[
            (".dockerignore", "**"),
            ("docker/Dockerfile", ""),
            ("docker/x", ""),
        ]);
        assert_eq!(
            engine_names(&root, "docker/Dockerfile"),
            ["docker", "docker/Dockerfile"]
        );
        let context = Context::read(root.path(), "docker/Dockerfile").unwrap();
        assert_eq!(names(context), [""; 0]);
    }

    #[test]
    fn a_dockerfiles_own_ignore_file_goes_first() {
        let root = directory(&[
            (".dockerignore", "a"),
            ("Dockerfile", ""),
            ("Dockerfile.dockerignore", "b"),
            ("a", ""),
            ("b", ""),
        ]);
        assert_eq!(
            engine_names(&root, "Dockerfile"),
            [
                ".dockerignore",
                "Dockerfile",
                "Dockerfile.dockerignore",
                "a"
            ]
        );
    }

    #[test]
    fn a_malformed_ignore_file_is_named() {
        let root = directory(&[(".dockerignore", "ok\n[a"), ("Dockerfile", "")]);
        let error = Context::read(root.path(), "Dockerfile").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(".dockerignore") && text.contains("line 2"),
            "{text}"
        );
    }

    #[test]
    fn modes_and_links_are_listed() {
        let root = directory(&[("run", "#!")]);
        let set_user_id = fs::Permissions::from_mode(0o4755);
        fs::set_permissions(root.path().join("run"), set_user_id).unwrap();
        symlink("/nowhere", root.path().join("lost")).unwrap();
        let context = Context::read(root.path(), "Dockerfile").unwrap();
        let target = "/nowhere".to_owned();
        assert_eq!(context.entries[0].kind, Kind::Link { target });
        assert_eq!(context.entries[1].kind, Kind::File { size: 2 });
        assert_eq!(context.entries[1].mode, 0o4755);
    }

    #[test]
    fn a_socket_is_an_error_unless_it_is_ignored() {
        let root = directory(&[("Dockerfile", ""), ("run/", "")]);
        let _socket = UnixListener::bind(root.path().join("run/app.sock")).unwrap();
        let error = Context::read(root.path(), "Dockerfile").unwrap_err();
        assert!(error.path.ends_with("run/app.sock"));
        let reason = error.reason.to_string();
        assert!(
            reason.starts_with("it is a socket, which no image can have; hint: "),
            "{reason}"
        );
        fs::write(root.path().join(".dockerignore"), "**/*.sock").unwrap();
        let context = Context::read(root.path(), "Dockerfile").unwrap();
        assert_eq!(names(context), [".dockerignore", "Dockerfile", "run"]);
    }

    #[test]
    fn extended_attributes_are_told() {
        let root = directory(&[("a", ""), ("b", ""), ("c", ""), ("program", "")]);
        let give = |name: &str, attribute: &str, value: &[u8]| {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(root.path().join(name), attribute, value, flags).is_ok()
        };
        let warnings = || {
            let context = Context::read(root.path(), "Dockerfile");
            context.unwrap().warnings
        };
        // What `setcap cap_net_bind_service=ep` leaves; root's alone to give.
        let capability = [[1, 0, 0, 2], [0, 4, 0, 0], [0; 4], [0; 4], [0; 4]].concat();
        if give("program", "security.capability", &capability) {
            let expected =
                "the image will lack the extended attributes of `program` (`security.capability`)";
            assert_eq!(warnings(), [expected]);
        }
        fs::remove_file(root.path().join("program")).unwrap();
        if give("a", "user.note", b"x") && give("c", "user.note", b"x") {
            let expected =
                "the image will lack the extended attributes of `a` (`user.note`) and 1 more";
            assert_eq!(warnings(), [expected]);
        }
    }
}
