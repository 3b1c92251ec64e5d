//! Where an archive's entries would land, decided before a byte is written.
//!
//! Names in, paths out, or the reason why not. Every path and every symbolic link of the result stays inside the
//! directory it is extracted to, and no path is taken twice. Names that differ only in case are different names, as on
//! Linux; whoever writes to a disk that folds them finds out there.

use std::collections::HashMap;
use std::path::PathBuf;

/// What an archive says of an entry, and what becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    /// A symbolic link and its target.
    Link(String),
}

/// An entry as the archive names it.
pub(super) struct Named {
    pub name: String,
    pub kind: Kind,
    /// Unix permissions, where the archive has them.
    pub mode: Option<u32>,
}

/// An entry with its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// The entry's position in the archive.
    pub index: usize,
    /// Relative, of plain components, never empty.
    pub path: PathBuf,
    pub kind: Kind,
    pub mode: u32,
}

/// The directory that packages wrap their content in.
const WRAPPER: &str = "lib";

/// Gives every entry its place; an archive that holds nothing but one top-level `lib/` is hoisted out of it.
///
/// # Errors
/// A sentence that names the first entry that cannot be placed.
pub(super) fn place(named: Vec<Named>) -> Result<Vec<Placed>, String> {
    let mut entries = Vec::with_capacity(named.len());
    for entry in named {
        let parts = parts(&entry.name)?;
        entries.push((parts, entry));
    }
    let wrapped = is_wrapped(&entries);
    let mut tree = Tree::default();
    let mut placed = Vec::with_capacity(entries.len());
    for (index, (mut parts, entry)) in entries.into_iter().enumerate() {
        // Also one whose name is only the root's, which has none.
        parts.drain(..parts.len().min(usize::from(wrapped)));
        if parts.is_empty() {
            // The root itself, or the wrapper.
            continue;
        }
        let refuse = |why: &str| format!("its entry `{}` {why}", entry.name.escape_debug());
        if let Kind::Link(target) = &entry.kind
            && !stays_inside(target, parts.len() - 1)
        {
            return Err(refuse(
                "is a symbolic link that may lead out of the directory",
            ));
        }
        let directory = entry.kind == Kind::Directory;
        if !tree.take(&parts, directory) {
            return Err(refuse("takes a path that another entry has"));
        }
        placed.push(Placed {
            index,
            path: parts.iter().collect(),
            mode: mode(entry.mode, directory),
            kind: entry.kind,
        });
    }
    Ok(placed)
}

/// Of a file, on nearly every disk, in bytes.
const LONGEST_NAME: usize = 255;

/// Of an entry, in bytes. Linux takes 4,095, with the folder that it is extracted to.
const LONGEST_PATH: usize = 2_000;

/// The plain components of an entry's name. A backslash separates too: archives made by old .NET have it.
fn parts(name: &str) -> Result<Vec<String>, String> {
    let refuse = |why: &str| Err(format!("its entry `{}` {why}", name.escape_debug()));
    let name = name.replace('\\', "/");
    // A long name is a record of a layer's header, which some readers take to end with the line.
    if name.contains(char::is_control) {
        return refuse("has a control character in its name");
    }
    if name.starts_with('/') || name.as_bytes().get(1) == Some(&b':') {
        return refuse("has an absolute name");
    }
    if name.len() > LONGEST_PATH {
        return refuse("has a path that is too long for a disk");
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return refuse("leaves the directory"),
            part if part.len() > LONGEST_NAME => {
                return refuse("has a name that is too long for a disk");
            }
            part => parts.push(part.to_owned()),
        }
    }
    Ok(parts)
}

fn is_wrapped(entries: &[(Vec<String>, Named)]) -> bool {
    let mut content = false;
    for (parts, entry) in entries {
        match &parts[..] {
            [] => {}
            [only] if only == WRAPPER && entry.kind == Kind::Directory => {}
            [first, _, ..] if first == WRAPPER => content = true,
            _ => return false,
        }
    }
    content
}

/// Whether a link in a directory `depth` levels deep stays inside.
///
/// `..` is allowed at the front only: the link's own directories are real ones (the [`Tree`] sees to it), but after a
/// name it may climb out of whatever directory another link led to.
fn stays_inside(target: &str, depth: usize) -> bool {
    let parts: Vec<&str> = target.split('/').collect();
    let up = parts.iter().take_while(|part| **part == "..").count();
    !target.is_empty()
        && !target.starts_with('/')
        && !target.contains(|c: char| c == '\\' || c.is_control())
        && up <= depth
        && !parts[up..].contains(&"..")
}

/// Permissions that the user of a container can work with, who is hardly ever the owner: what the archive has may be
/// the umask of whoever made it. Only whether the owner may run a file is the file's own.
fn mode(mode: Option<u32>, directory: bool) -> u32 {
    match mode.unwrap_or(0) & 0o100 {
        0 if !directory => 0o644,
        _ => 0o755,
    }
}

/// The paths that are taken: a node for each component, so that its size is that of the names.
#[derive(Default)]
struct Tree {
    nodes: HashMap<(usize, String), Node>,
}

struct Node {
    id: usize,
    directory: bool,
}

impl Tree {
    /// Takes a path, and as directories those it goes through. False if one of them is taken by something else.
    fn take(&mut self, parts: &[String], directory: bool) -> bool {
        let mut parent = 0;
        for (n, part) in parts.iter().enumerate() {
            let directory = directory || n + 1 < parts.len();
            let id = self.nodes.len() + 1;
            let mut new = false;
            let node = self.nodes.entry((parent, part.clone())).or_insert_with(|| {
                new = true;
                Node { id, directory }
            });
            // Only directories may be met again.
            let again = node.directory && directory;
            if !(new || again) {
                return false;
            }
            parent = node.id;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Named {
        named(name, Kind::File)
    }

    fn directory(name: &str) -> Named {
        named(name, Kind::Directory)
    }

    fn link(name: &str, target: &str) -> Named {
        named(name, Kind::Link(target.to_owned()))
    }

    fn named(name: &str, kind: Kind) -> Named {
        Named {
            name: name.to_owned(),
            kind,
            mode: None,
        }
    }

    fn paths(entries: Vec<Named>) -> Result<Vec<String>, String> {
        let placed = place(entries)?;
        let path = |entry: &Placed| entry.path.to_str().unwrap().to_owned();
        Ok(placed.iter().map(path).collect())
    }

    #[test]
    fn one_top_level_lib_is_hoisted() {
        let entries = vec![directory("lib/"), file("lib/a.dll"), file("lib/x/b.dll")];
        assert_eq!(paths(entries).unwrap(), ["a.dll", "x/b.dll"]);
        let with_root = vec![directory("./"), file("lib/a.dll"), directory("")];
        assert_eq!(paths(with_root).unwrap(), ["a.dll"]);
    }

    #[test]
    fn a_lib_beside_other_things_stays() {
        let entries = vec![file("lib/a.dll"), file("start.sh")];
        assert_eq!(paths(entries).unwrap(), ["lib/a.dll", "start.sh"]);
        assert_eq!(paths(vec![file("lib")]).unwrap(), ["lib"]);
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for name in [
            "../a",
            "a/../../b",
            "..\\a",
            "/etc/a",
            "\\a",
            "C:\\a",
            "c:a",
            "a\0b",
            "a\nb",
            "..",
        ] {
            assert!(paths(vec![file(name)]).is_err(), "{name:?}");
        }
        assert_eq!(paths(vec![file("./a\\b//c..d")]).unwrap(), ["a/b/c..d"]);
    }

    #[test]
    fn names_that_no_disk_takes_are_refused() {
        let (name, path) = ("n".repeat(LONGEST_NAME), "p/".repeat(LONGEST_PATH / 2));
        for right in [&name, &path[..path.len() - 1]] {
            assert!(paths(vec![file(right)]).is_ok());
        }
        for wrong in [name + "n", path + "p"] {
            assert!(paths(vec![file(&wrong)]).is_err());
        }
    }

    #[test]
    fn a_path_is_taken_once() {
        for (one, other) in [
            (file("a"), file("a")),
            (file("a"), file("a/b")),
            (file("a/b"), file("a")),
            (link("a", "b"), file("a/c")),
            (directory("a"), file("a")),
        ] {
            let text = format!("{} {}", one.name, other.name);
            assert!(paths(vec![one, other]).is_err(), "{text}");
        }
        let again = vec![file("a/b"), directory("a/"), directory("a/"), file("a/c")];
        assert_eq!(paths(again).unwrap(), ["a/b", "a", "a", "a/c"]);
        let by_case = vec![
            file("x"),
            file("readme"),
            file("README"),
            file("README.d/x"),
        ];
        assert_eq!(
            paths(by_case).unwrap(),
            ["x", "readme", "README", "README.d/x"]
        );
    }

    #[test]
    fn links_stay_inside() {
        for (name, target) in [
            ("a", "b"),
            ("d/a", "../b"),
            ("d/e/a", "../../b/c"),
            ("d/a", ".."),
        ] {
            assert!(
                paths(vec![link(name, target)]).is_ok(),
                "{name} -> {target}"
            );
        }
        for (name, target) in [
            ("a", "/etc/passwd"),
            ("a", "../b"),
            ("d/a", "../../b"),
            // Through another link, `..` is not where it seems to be.
            ("a", "d/../../b"),
            ("a", "d/.."),
            ("a", "..\\b"),
            ("a", "b\nc"),
            ("a", ""),
            // Hoisted out of `lib/`, it would leave.
            ("lib/a", "../b"),
        ] {
            assert!(
                paths(vec![link(name, target)]).is_err(),
                "{name} -> {target}"
            );
        }
    }

    #[test]
    fn everyone_may_read_and_whoever_the_owner_lets_run() {
        for (given, expected) in [
            (Some(0o104_755), 0o755),
            (Some(0o100_700), 0o755),
            (Some(0o100_600), 0o644),
            (Some(0o100_666), 0o644),
            (Some(0), 0o644),
            (None, 0o644),
        ] {
            assert_eq!(mode(given, false), expected, "{given:?}");
        }
        assert_eq!(mode(None, true), 0o755);
        assert_eq!(mode(Some(0o40_000), true), 0o755);
    }
}
