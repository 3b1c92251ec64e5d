//! Reads the layers of a base image into a file tree (OCI image specification, "Image Layer Filesystem Changeset").

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use tar::EntryType;

use super::base_entry::{BaseEntry, for_each};
use super::content::{FileContent, Source};
use super::tree::{FileTree, Node, NodeKind, clean, file_name, join, parent};
use crate::image::encoding::Encoding;
use crate::oci::{Digest, Hasher};

/// Larger user databases are not read.
const MAX_DATABASE: u64 = 1 << 20;

/// What the names of files that remove others begin with.
pub(super) const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// What becomes of the contents of a layer's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// They are hashed, to be compared with what is copied over them. Those of the user database are kept in memory.
    Compared,
    /// They are also kept in a temporary file, to be copied to other images.
    Kept,
}

enum Found {
    Node(Node),
    HardLink(String),
    /// It removes a path, or all that is below one.
    Whiteout,
    Opaque,
}

impl FileTree {
    /// Applies a layer in whichever encoding its file has. Returns the digest of what it unpacks to.
    ///
    /// # Errors
    /// Those of [`FileTree::apply`].
    pub fn apply_compressed(&mut self, layer: &File, contents: Contents) -> io::Result<Digest> {
        let mut head = [0; 512];
        let length = layer.read_at(&mut head, 0)?;
        let layer = io::BufReader::with_capacity(256 << 10, layer);
        let archive: Box<dyn Read> = match Encoding::of(&head[..length]) {
            Encoding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(layer)),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(layer)?),
            Encoding::Tar => Box::new(layer),
            Encoding::Other => return Err(invalid("it is no tar archive".to_owned())),
        };
        let mut archive = Hashed {
            inner: archive,
            hasher: Hasher::sha256(),
        };
        self.apply(&mut archive, contents)?;
        // What follows the end of the archive is hashed too.
        io::copy(&mut archive, &mut io::sink())?;
        Ok(archive.hasher.finish())
    }

    /// Applies a layer, an uncompressed tar archive, to the tree.
    ///
    /// # Errors
    /// An archive that cannot be read, or names that are not UTF-8 if the contents are kept.
    pub fn apply(&mut self, layer: impl Read, contents: Contents) -> io::Result<()> {
        let mut kept = match contents {
            Contents::Compared => None,
            Contents::Kept => Some(Kept {
                file: Arc::new(tempfile::tempfile()?),
                end: 0,
            }),
        };
        let mut found = Vec::new();
        for_each(layer, |mut entry| {
            let path = clean(&text(&entry.path, contents)?);
            if path.is_empty() {
                return Ok(());
            }
            let name = file_name(&path);
            let what = if name == OPAQUE {
                (parent(&path).to_owned(), Found::Opaque)
            } else if let Some(name) = name.strip_prefix(WHITEOUT) {
                (join(parent(&path), name), Found::Whiteout)
            } else {
                let target = text(&entry.target, contents)?;
                let mut keep = match &mut kept {
                    Some(kept) => Keep::Disk(kept),
                    None if is_user_database(&path, entry.entry.size()) => Keep::Memory,
                    None => Keep::Nothing,
                };
                (path, read(&mut entry, target, &mut keep)?)
            };
            found.push(what);
            Ok(())
        })?;
        // Whiteouts concern the layers below, wherever they are in this one.
        for (path, what) in &found {
            let path = self.at(path)?;
            match what {
                Found::Whiteout => self.remove(&path),
                Found::Opaque => self.remove_below(&path),
                _ => {}
            }
        }
        for (path, what) in found {
            let path = self.at(&path)?;
            let node = match what {
                Found::Node(node) => node,
                Found::HardLink(target) => {
                    let target = self.at(&target)?;
                    let node = self.get(&target).cloned();
                    node.ok_or_else(|| invalid(format!("`{path}` is a link to nothing")))?
                }
                Found::Whiteout | Found::Opaque => continue,
            };
            self.add_parents(&path)?;
            if !node.is_directory() {
                self.remove(&path);
            }
            self.put(&path, node)?;
        }
        Ok(())
    }

    /// The path with the links of its directories followed.
    fn at(&self, path: &str) -> io::Result<String> {
        let directory = self.follow(parent(path)).map_err(invalid)?;
        Ok(join(&directory, file_name(path)))
    }

    fn add_parents(&mut self, path: &str) -> io::Result<()> {
        let directory = parent(path);
        if !self.is_directory(directory) {
            self.add_parents(directory)?;
            let node = Node {
                kind: NodeKind::Directory,
                mode: 0o755,
                uid: 0,
                gid: 0,
                has_attributes: false,
            };
            self.put(directory, node)?;
        }
        Ok(())
    }
}

/// Hashes what it reads.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

/// The contents of a layer, one after another.
struct Kept {
    file: Arc<File>,
    end: u64,
}

/// What becomes of one file's bytes.
enum Keep<'a> {
    Nothing,
    Memory,
    Disk(&'a mut Kept),
}

/// What is read to know users by their names.
pub(super) fn is_user_database(path: &str, size: u64) -> bool {
    matches!(path, "etc/passwd" | "etc/group") && size <= MAX_DATABASE
}

fn read(base: &mut BaseEntry<'_, impl Read>, target: String, keep: &mut Keep) -> io::Result<Found> {
    let kind = match base.entry.header().entry_type() {
        EntryType::Directory => NodeKind::Directory,
        EntryType::Symlink => NodeKind::Link(target),
        EntryType::Link => return Ok(Found::HardLink(clean(&target))),
        EntryType::Regular | EntryType::Continuous => {
            NodeKind::File(content(&mut base.entry, keep)?)
        }
        _ => NodeKind::Device,
    };
    Ok(Found::Node(Node {
        kind,
        mode: base.mode,
        uid: base.uid,
        gid: base.gid,
        has_attributes: base.has_attributes,
    }))
}

fn content(entry: &mut impl Read, keep: &mut Keep) -> io::Result<FileContent> {
    if let Keep::Memory = keep {
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        return Ok(FileContent {
            size: bytes.len() as u64,
            source: Source::Memory(bytes.into()),
        });
    }
    let mut hasher = Hasher::sha256();
    let mut size = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = entry.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
        size += length as u64;
        if let Keep::Disk(kept) = keep {
            (&*kept.file).write_all(&buffer[..length])?;
        }
    }
    let digest = hasher.finish();
    let source = match keep {
        Keep::Disk(kept) => {
            let offset = kept.end;
            kept.end += size;
            Source::Kept {
                file: Arc::clone(&kept.file),
                offset,
                digest,
            }
        }
        _ => Source::Compared(digest),
    };
    Ok(FileContent { size, source })
}

/// A name. One that is not UTF-8 is in the way of none that a Dockerfile has, but cannot be copied as it is.
fn text(bytes: &[u8], contents: Contents) -> io::Result<String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    match contents {
        Contents::Kept if text.as_bytes() != bytes => {
            Err(invalid(format!("the name `{text}` is not UTF-8")))
        }
        _ => Ok(text),
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
