//! Reads an archive in one pass: documents into memory, up to a limit, and layers through the [`LayerPipeline`].

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::compression::MEMBER;
use super::contents::{Contents, digest_in};
use super::encoding::Encoding;
use super::error::Error;
use super::layer_pipeline::{LayerPipeline, LayerThread};
use super::layer_sink::LayerHint;
use super::options::Options;
use super::stream::Archive;
use crate::oci::Digest;

/// The largest document, in bytes: registries accept no larger manifest.
pub(super) const MAX_DOCUMENT: u64 = 4 << 20;

/// All documents and names together, in bytes.
const MAX_MEMORY: u64 = 16 << 20;

/// Reads one file after another.
pub(super) struct EntryReader<'a, 'scope, 'env> {
    pub contents: Contents,
    pipeline: &'a LayerPipeline<'scope, 'env>,
    options: &'a Options,
    /// Receives the number of bytes read; `false` stops the reader.
    progress: &'a dyn Fn(u64) -> bool,
    unfinished: VecDeque<(String, LayerThread<'scope>)>,
    memory: u64,
}

impl<'a, 'scope, 'env> EntryReader<'a, 'scope, 'env> {
    pub fn new(
        pipeline: &'a LayerPipeline<'scope, 'env>,
        options: &'a Options,
        progress: &'a dyn Fn(u64) -> bool,
    ) -> Self {
        EntryReader {
            contents: Contents::default(),
            pipeline,
            options,
            progress,
            unfinished: VecDeque::new(),
            memory: 0,
        }
    }

    /// Reads a whole tar archive.
    pub fn archive(&mut self, archive: Archive) -> Result<(), Error> {
        let read = self.entries(archive.reader);
        match archive.source_error.take() {
            Some(error) => Err(Error::Source(error)),
            None => read,
        }
    }

    fn entries(&mut self, reader: Box<dyn Read>) -> Result<(), Error> {
        let unreadable = |error: io::Error| match error.kind() {
            // Of these, `tar` makes no kind.
            _ if CUT_OFF.iter().any(|it| error.to_string().contains(it)) => {
                Error::CutOff("a file's header".to_owned())
            }
            io::ErrorKind::UnexpectedEof => Error::CutOff("a file's header".to_owned()),
            // The message quotes the header, which may be anything: keep it off the terminal.
            io::ErrorKind::Other => {
                Error::NotAnImage("where a tar header is due, something else is".to_owned())
            }
            _ => Error::NotAnImage(error.to_string()),
        };
        let left = Rc::new(Cell::new(MAX_HEADERS));
        let reader = Bounded {
            reader,
            left: Rc::clone(&left),
        };
        let mut archive = tar::Archive::new(reader);
        let mut entries = archive.entries().map_err(unreadable)?;
        loop {
            left.set(MAX_HEADERS);
            let Some(entry) = entries.next() else {
                return Ok(());
            };
            left.set(u64::MAX);
            let mut entry = entry.map_err(unreadable)?;
            let name = normalized(&String::from_utf8_lossy(&entry.path_bytes()));
            let kind = entry.header().entry_type();
            if let Some(target) = entry.link_name_bytes() {
                let target = String::from_utf8_lossy(&target);
                let target = match name.rsplit_once('/') {
                    Some((parent, _)) if kind.is_symlink() => {
                        normalized(&format!("{parent}/{target}"))
                    }
                    _ => normalized(&target),
                };
                self.reserve_memory(name.len() + target.len())?;
                self.contents.links.insert(name, target);
            } else if kind.is_file() {
                self.file(name, entry.size(), &mut entry, None)?;
            }
            io::copy(&mut entry, &mut io::sink()).map_err(unreadable)?;
        }
    }

    /// Reads one file of `size` bytes; `on_disk` is the file itself, if it is one already.
    pub fn file(
        &mut self,
        name: String,
        size: u64,
        content: &mut dyn Read,
        on_disk: Option<Arc<File>>,
    ) -> Result<(), Error> {
        self.collect_finished(false)?;
        let mut content = Chunks {
            content,
            name: &name,
            left: size,
        };
        let first = content.next()?;
        let mut encoding = Encoding::of(&first);
        let digest = digest_in(&name);
        let is_document = encoding == Encoding::Other && size <= MAX_DOCUMENT;
        if self.options.keeps_layers && digest.is_some() && encoding == Encoding::Tar {
            // Whatever it is, it is not touched.
            encoding = Encoding::Other;
        }
        if is_document {
            let mut document = first;
            while content.left > 0 {
                document = [document, content.next()?].concat().into();
            }
            if let Some(expected) = &digest
                && expected.same_algorithm(&document) != *expected
            {
                return Err(Error::damaged(name, "its content has another digest"));
            }
            self.reserve_memory(name.len() + document.len())?;
            self.report(size)?;
            self.contents.documents.insert(name, document);
            return Ok(());
        }
        if encoding == Encoding::Other && size > MAX_DOCUMENT {
            self.reserve_memory(name.len())?;
            self.contents.too_large.insert(name.clone());
        }
        // A layer may have any name. Skip other files: the archive may not be an image at all.
        if digest.is_some() || encoding != Encoding::Other {
            self.layer(name.clone(), encoding, digest, first, content, on_disk)?;
        }
        Ok(())
    }

    fn layer(
        &mut self,
        name: String,
        encoding: Encoding,
        digest: Option<Digest>,
        first: Bytes,
        mut content: Chunks,
        on_disk: Option<Arc<File>>,
    ) -> Result<(), Error> {
        self.reserve_memory(name.len())?;
        let reusable = &self.options.reusable;
        let reused = match encoding {
            Encoding::Tar => digest.as_ref().and_then(|it| reusable.get_key_value(it)),
            Encoding::Gzip | Encoding::Zstd => {
                let digest = digest.as_ref().filter(|it| it.algorithm() == "sha256");
                reusable
                    .iter()
                    .find(|(_, layer)| digest == Some(&layer.digest))
            }
            Encoding::Other => None,
        };
        let reused = reused.map(|(diff_id, layer)| (diff_id.clone(), layer.clone()));
        let is_as_named = encoding != Encoding::Tar
            && digest.as_ref().is_some_and(|it| it.algorithm() == "sha256");
        let writer = self.pipeline.start_layer(LayerHint {
            file: on_disk.filter(|_| is_as_named),
            name: name.clone(),
            size: content.left + first.len() as u64,
            encoding,
            digest,
            reused,
        });
        let mut chunk = first;
        loop {
            let length = chunk.len() as u64;
            let is_written = writer.push(chunk);
            self.report(length)?;
            if !is_written || content.left == 0 {
                self.unfinished.push_back((name, writer.finish()));
                return self.collect_finished(!is_written);
            }
            chunk = content.next()?;
        }
    }

    /// Waits for every layer.
    pub fn finish(mut self) -> Result<Contents, Error> {
        self.collect_finished(true)?;
        Ok(self.contents)
    }

    /// Collects the layers that are written, or waits for all of them.
    fn collect_finished(&mut self, all: bool) -> Result<(), Error> {
        let is_due = |it: &mut (String, LayerThread)| all || it.1.is_finished();
        while let Some((name, thread)) = self.unfinished.pop_front_if(is_due) {
            match thread.join() {
                Ok(layer) => self.contents.layers.insert(name, layer?),
                Err(panic) => std::panic::resume_unwind(panic),
            };
        }
        Ok(())
    }

    fn report(&self, bytes: u64) -> Result<(), Error> {
        match (self.progress)(bytes) {
            true => Ok(()),
            false => Err(Error::Source(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn reserve_memory(&mut self, bytes: usize) -> Result<(), Error> {
        self.memory += bytes as u64;
        if self.memory > MAX_MEMORY {
            let limit = MAX_MEMORY >> 20;
            let reason = format!("its small files hold more than {limit} MiB");
            return Err(Error::NotAnImage(reason));
        }
        Ok(())
    }
}

/// What `tar` says of an archive that ends too early.
const CUT_OFF: [&str; 3] = [
    "failed to read entire block",
    "unexpected EOF",
    "no future member found",
];

/// What may stand before one file, in bytes: its header, long names and PAX records, which `tar` reads into memory. Two
/// of each would be as long as they can be in Go's `archive/tar`.
const MAX_HEADERS: u64 = 4 << 20;

/// Fails once more than what is `left` was read.
struct Bounded {
    reader: Box<dyn Read>,
    left: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        match self.left.get().checked_sub(read as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, LONG_HEADERS)),
        }
        Ok(read)
    }
}

const LONG_HEADERS: &str = "what stands before a file, such as its name, is longer than 4 MiB";

/// Splits a file into chunks that become one member each.
struct Chunks<'a> {
    content: &'a mut dyn Read,
    name: &'a str,
    left: u64,
}

impl Chunks<'_> {
    fn next(&mut self) -> Result<Bytes, Error> {
        let length = self.left.min(MEMBER as u64);
        let mut chunk = vec![0; length as usize];
        match self.content.read_exact(&mut chunk) {
            Ok(()) => {
                self.left -= length;
                Ok(chunk.into())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::CutOff(self.name.to_owned()))
            }
            Err(error) => Err(Error::damaged(self.name, error)),
        }
    }
}

/// A path relative to the archive's root, without `.`, `..` and repeated slashes.
fn normalized(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        for (path, name) in [
            ("./index.json", "index.json"),
            ("a/../b//layer.tar", "b/layer.tar"),
            ("/../../x", "x"),
        ] {
            assert_eq!(normalized(path), name);
        }
    }
}
