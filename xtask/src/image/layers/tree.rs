//! What an image's file system holds, and how its paths are followed.
//!
//! Paths are relative to the root, without a slash in front; the root itself is empty and always there.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use super::content::{DiskFile, FileContent, Source};
use super::zip_origin::{Origins, Usable};
use crate::image::context::{Context, Kind};

/// As many as BuildKit follows in one path.
const MAX_LINKS: usize = 255;

/// Files, directories and links by path.
#[derive(Clone, Debug, Default)]
pub struct FileTree {
    nodes: BTreeMap<String, Node>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    /// At most `0o7777`.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// It has extended attributes, which no copy has: a file of a base image.
    pub has_attributes: bool,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Directory,
    File(FileContent),
    Link(String),
    /// Of a base image.
    Device,
}

impl Node {
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, NodeKind::Directory)
    }

    pub fn content(&self) -> Option<&FileContent> {
        match &self.kind {
            NodeKind::File(content) => Some(content),
            _ => None,
        }
    }

    /// Whether an image need not hold both.
    fn is_same(&self, other: &Node) -> io::Result<bool> {
        let meta = |node: &Node| (node.mode, node.uid, node.gid, node.has_attributes);
        if meta(self) != meta(other) {
            return Ok(false);
        }
        match (&self.kind, &other.kind) {
            (NodeKind::Directory, NodeKind::Directory) => Ok(true),
            (NodeKind::Link(one), NodeKind::Link(other)) => Ok(one == other),
            (NodeKind::File(one), NodeKind::File(other)) => one.is_same(other),
            _ => Ok(false),
        }
    }
}

impl FileTree {
    /// The files of a build context, all owned by root.
    pub fn of_context(context: &Context, origins: &Origins) -> FileTree {
        let usable = Usable::new(origins);
        let nodes = context.entries.iter().map(|entry| {
            let kind = match &entry.kind {
                Kind::Directory => NodeKind::Directory,
                Kind::Link { target } => NodeKind::Link(target.clone()),
                Kind::File { size } => NodeKind::File(FileContent {
                    size: *size,
                    source: Source::Disk(Arc::new(DiskFile {
                        path: entry.source.clone(),
                        origin: usable.origin(&entry.name, *size, entry.changed),
                    })),
                }),
            };
            let node = Node {
                kind,
                mode: entry.mode,
                uid: 0,
                gid: 0,
                has_attributes: false,
            };
            (entry.name.clone(), node)
        });
        FileTree {
            nodes: nodes.collect(),
        }
    }

    /// Adds what is not on the disk, unless `context` excludes it. An excluded directory stays if something below it is
    /// there, as on the disk.
    pub fn add(&mut self, nodes: Vec<(String, Node)>, context: &Context) {
        let is_directory = |(_, node): &(String, Node)| node.is_directory();
        let (mut directories, others): (Vec<_>, Vec<_>) = nodes.into_iter().partition(is_directory);
        let others = others.into_iter();
        self.nodes
            .extend(others.filter(|(path, _)| !context.excludes(path)));
        // The deepest first.
        directories.sort_by(|(one, _), (other, _)| other.cmp(one));
        for (path, directory) in directories {
            if !context.excludes(&path) || self.below(&path).next().is_some() {
                self.nodes.insert(path, directory);
            }
        }
    }

    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.get(path).is_some_and(Node::is_directory)
    }

    /// What is below a directory, parents before children.
    pub fn below(&self, directory: &str) -> impl Iterator<Item = (&String, &Node)> {
        let prefix = match directory {
            "" => String::new(),
            path => format!("{path}/"),
        };
        let from = (Bound::Included(prefix.clone()), Bound::Unbounded);
        let nodes = self.nodes.range::<String, _>(from);
        nodes.take_while(move |(path, _)| path.starts_with(&prefix))
    }

    /// The path with every link in it followed, inside the root, as far as there is something.
    ///
    /// # Errors
    /// Too many links: they are circular.
    pub fn follow(&self, path: &str) -> Result<String, String> {
        let mut open: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut followed = String::new();
        let mut links = 0;
        while let Some(name) = open.pop() {
            match name.as_str() {
                "" | "." => {}
                ".." => followed.truncate(followed.rfind('/').unwrap_or(0)),
                name => {
                    let next = join(&followed, name);
                    let Some(NodeKind::Link(target)) = self.get(&next).map(|node| &node.kind)
                    else {
                        followed = next;
                        continue;
                    };
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(format!("the links of `/{path}` are circular"));
                    }
                    if target.starts_with('/') {
                        followed.clear();
                    }
                    open.extend(target.split('/').rev().map(str::to_owned));
                }
            }
        }
        Ok(followed)
    }

    /// Puts `node` there; returns whether that makes a difference.
    ///
    /// # Errors
    /// A file whose content cannot be compared.
    pub fn put(&mut self, path: &str, node: Node) -> io::Result<bool> {
        if let Some(old) = self.get(path)
            && old.is_same(&node)?
        {
            return Ok(false);
        }
        self.nodes.insert(path.to_owned(), node);
        Ok(true)
    }

    /// Removes what is at `path` and below it.
    pub(super) fn remove(&mut self, path: &str) {
        self.remove_below(path);
        self.nodes.remove(path);
    }

    pub(super) fn remove_below(&mut self, path: &str) {
        let below: Vec<String> = self.below(path).map(|(path, _)| path.clone()).collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }
}

/// `name` in `directory`.
pub(super) fn join(directory: &str, name: &str) -> String {
    match (directory, name) {
        ("", name) => name.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, name) => format!("{directory}/{name}"),
    }
}

/// A path without `.`, `..` and double slashes, relative to the root; above the root there is nothing.
pub(super) fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

/// The directory that a path is in; that of the root is the root.
pub(super) fn parent(path: &str) -> &str {
    path.rfind('/').map_or("", |at| &path[..at])
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rfind('/').map_or(path, |at| &path[at + 1..])
}
