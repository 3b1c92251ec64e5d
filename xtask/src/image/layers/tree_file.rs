//! The tree of a base image as a file, so that its layers need not be read again for every release.
//!
//! A line of JSON for each path. Contents are remembered as their digests, except those of the user database.

use std::io::{self, BufRead, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::base_layer::is_user_database;
use super::content::{FileContent, Source};
use super::tree::{FileTree, Node, NodeKind};
use crate::oci::Digest;

#[derive(Serialize, Deserialize)]
struct Line {
    path: String,
    mode: u32,
    uid: u64,
    gid: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    attributes: bool,
    #[serde(flatten)]
    kind: LineKind,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum LineKind {
    Directory,
    File { size: u64, digest: Digest },
    Known { base64: String },
    Link { target: String },
    Device,
}

impl FileTree {
    /// Writes the tree of a base image.
    ///
    /// # Errors
    /// Those of `out`, and of files that have to be hashed.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        for (path, node) in self.below("") {
            let kind = match &node.kind {
                NodeKind::Directory => LineKind::Directory,
                NodeKind::Device => LineKind::Device,
                NodeKind::Link(target) => LineKind::Link {
                    target: target.clone(),
                },
                NodeKind::File(content) => match is_user_database(path, content.size) {
                    true => LineKind::Known {
                        base64: BASE64_STANDARD.encode(content.bytes()?),
                    },
                    false => LineKind::File {
                        size: content.size,
                        digest: content.digest()?,
                    },
                },
            };
            let line = Line {
                path: path.clone(),
                mode: node.mode,
                uid: node.uid,
                gid: node.gid,
                attributes: node.has_attributes,
                kind,
            };
            serde_json::to_writer(&mut out, &line)?;
            writeln!(out)?;
        }
        out.flush()
    }

    /// Reads what [`FileTree::write`] wrote.
    ///
    /// # Errors
    /// Those of `input`, and lines that are none of these: read the layers instead.
    pub fn read(input: impl BufRead) -> io::Result<FileTree> {
        let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason);
        let mut tree = FileTree::default();
        for line in input.lines() {
            let line: Line = serde_json::from_str(&line?)?;
            let kind = match line.kind {
                LineKind::Directory => NodeKind::Directory,
                LineKind::Device => NodeKind::Device,
                LineKind::Link { target } => NodeKind::Link(target),
                LineKind::File { size, digest } => NodeKind::File(FileContent {
                    size,
                    source: Source::Compared(digest),
                }),
                LineKind::Known { base64 } => {
                    let bytes = BASE64_STANDARD.decode(base64);
                    let bytes = bytes.map_err(|_| invalid("it is damaged"))?;
                    NodeKind::File(FileContent {
                        size: bytes.len() as u64,
                        source: Source::Memory(bytes.into()),
                    })
                }
            };
            let node = Node {
                kind,
                mode: line.mode,
                uid: line.uid,
                gid: line.gid,
                has_attributes: line.attributes,
            };
            tree.put(&line.path, node)?;
        }
        Ok(tree)
    }
}
