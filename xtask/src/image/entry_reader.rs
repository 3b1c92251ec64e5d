//! Everything an archive holds, taken in one pass: documents into memory, layers through the [`LayerPipeline`].
//!
//! It refuses to know what the documents say. Invariant: what is kept in memory has a limit, whatever is in the archive.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;

use super::compression::MEMBER;
use super::contents::{Contents, blob_name, digest_in};
use super::encoding::Encoding;
use super::error::Error;
use super::layer_pipeline::{LayerPipeline, Writer};
use super::layer_sink::{Layer, LayerHint};
use super::read::Options;
use super::stream::Archive;
use super::v1_layer_ids;
use crate::oci::Digest;

/// The largest document, in bytes: registries take no larger manifest.
const DOCUMENT: u64 = 4 << 20;

/// All documents and names together, in bytes.
const MEMORY: u64 = 16 << 20;

/// Takes one file after the other.
pub(super) struct EntryReader<'a, 'scope, 'env> {
    pub contents: Contents,
    line: &'a LayerPipeline<'scope, 'env>,
    options: &'a Options,
    /// Diff ids of layers by the names they will have.
    expected: HashMap<String, Digest>,
    /// Is told how many bytes were taken; `false` ends it.
    progress: &'a dyn Fn(u64) -> bool,
    writers: VecDeque<(String, Writer<'scope>)>,
    memory: u64,
}

impl<'a, 'scope, 'env> EntryReader<'a, 'scope, 'env> {
    pub fn new(
        line: &'a LayerPipeline<'scope, 'env>,
        options: &'a Options,
        progress: &'a dyn Fn(u64) -> bool,
    ) -> Self {
        EntryReader {
            contents: Contents::default(),
            line,
            options,
            expected: options
                .diff_ids
                .iter()
                .flat_map(|diff_ids| v1_layer_ids::names(diff_ids))
                .collect(),
            progress,
            writers: VecDeque::new(),
            memory: 0,
        }
    }

    /// Takes everything in a tar archive.
    pub fn archive(&mut self, archive: Archive) -> Result<(), Error> {
        let Archive { reader, fault } = archive;
        let taken = self.entries(reader);
        match fault.take() {
            Some(fault) => Err(Error::Source(fault)),
            None => taken,
        }
    }

    fn entries(&mut self, reader: Box<dyn Read>) -> Result<(), Error> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::CutOff("a file's header".to_owned()),
            // What is said of a header quotes it, and whatever it is must not get to a terminal.
            io::ErrorKind::Other => {
                Error::NotAnImage("where a tar header is due, something else is".to_owned())
            }
            _ => Error::NotAnImage(error.to_string()),
        };
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            let name = normal(&String::from_utf8_lossy(&entry.path_bytes()));
            let kind = entry.header().entry_type();
            if let Some(target) = entry.link_name_bytes() {
                let target = String::from_utf8_lossy(&target);
                let target = match name.rsplit_once('/') {
                    Some((parent, _)) if kind.is_symlink() => normal(&format!("{parent}/{target}")),
                    _ => normal(&target),
                };
                self.remember(name.len() + target.len())?;
                self.contents.links.insert(name, target);
            } else if kind.is_file() {
                self.file(name, entry.size(), &mut entry)?;
            }
        }
        Ok(())
    }

    /// Takes one file of `size` bytes.
    pub fn file(&mut self, name: String, size: u64, content: &mut dyn Read) -> Result<(), Error> {
        self.file_kept(name, size, content, None)
    }

    /// The same with what `content` reads, if it is in a file that nobody else has and that has the digest of its name.
    pub fn file_kept(
        &mut self,
        name: String,
        size: u64,
        content: &mut dyn Read,
        kept: Option<File>,
    ) -> Result<(), Error> {
        self.collect_finished(false)?;
        let mut content = Chunks {
            content,
            name: &name,
            left: size,
        };
        let first = content.next()?;
        let form = Encoding::of(&first);
        let digest = digest_in(&name);
        if form == Encoding::Other && size <= DOCUMENT {
            let mut document = first;
            while content.left > 0 {
                document = [document, content.next()?].concat().into();
            }
            if let Some(expected) = &digest
                && expected.same_algorithm(&document) != *expected
            {
                let reason = "its content has another digest".to_owned();
                return Err(Error::Damaged { name, reason });
            }
            self.remember(name.len() + document.len())?;
            self.report(size)?;
            self.contents.documents.insert(name, document);
            return Ok(());
        }
        // Anything else is in the way of one who gave the wrong archive, and is passed over.
        if digest.is_some() || (form != Encoding::Other && name.contains(".tar")) {
            let kept = kept.filter(|_| form != Encoding::Tar);
            self.layer(name.clone(), form, digest, first, content, kept)?;
        }
        Ok(())
    }

    /// Takes it for granted that the layers that are known to be elsewhere are there, and need not come.
    pub fn take_known(&mut self) {
        for (diff_id, descriptor) in &self.options.known {
            let layer = Layer {
                form: Encoding::named(&descriptor.media_type),
                diff_id: diff_id.clone(),
                descriptor: descriptor.clone(),
            };
            for digest in [diff_id, &descriptor.digest] {
                let layers = &mut self.contents.layers;
                layers.entry(blob_name(digest)).or_insert(layer.clone());
            }
        }
    }

    fn layer(
        &mut self,
        name: String,
        form: Encoding,
        digest: Option<Digest>,
        first: Bytes,
        mut content: Chunks,
        kept: Option<File>,
    ) -> Result<(), Error> {
        self.remember(name.len())?;
        let known = &self.options.known;
        let elsewhere = match form {
            Encoding::Tar => {
                let diff_id = digest.as_ref().or_else(|| self.expected.get(&name));
                diff_id.and_then(|diff_id| known.get_key_value(diff_id))
            }
            Encoding::Gzip | Encoding::Zstd => {
                let digest = digest.as_ref().filter(|it| it.algorithm() == "sha256");
                known
                    .iter()
                    .find(|(_, layer)| digest == Some(&layer.digest))
            }
            Encoding::Other => None,
        };
        let elsewhere = elsewhere.map(|(diff_id, layer)| (diff_id.clone(), layer.clone()));
        let passage = self.line.begin(LayerHint {
            name: name.clone(),
            size: content.left + first.len() as u64,
            form,
            digest,
            elsewhere,
            kept,
        });
        let mut piece = Ok(first);
        loop {
            // A passage that is dropped gives its layer up.
            let bytes = piece?;
            let length = bytes.len() as u64;
            let is_taken = passage.push(bytes);
            self.report(length)?;
            if !is_taken || content.left == 0 {
                self.writers.push_back((name, passage.end()));
                return self.collect_finished(!is_taken);
            }
            piece = content.next();
        }
    }

    /// Waits for every layer and gives out what was taken.
    pub fn finish(mut self) -> Result<Contents, Error> {
        self.collect_finished(true)?;
        Ok(self.contents)
    }

    /// Collects the layers that were written, or all of them.
    fn collect_finished(&mut self, all: bool) -> Result<(), Error> {
        while let Some((name, writer)) = self.writers.pop_front() {
            if !all && !writer.is_finished() {
                self.writers.push_front((name, writer));
                break;
            }
            match writer.join() {
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

    fn remember(&mut self, bytes: usize) -> Result<(), Error> {
        self.memory += bytes as u64;
        if self.memory > MEMORY {
            let limit = MEMORY >> 20;
            let reason = format!("its small files hold more than {limit} MiB");
            return Err(Error::NotAnImage(reason));
        }
        Ok(())
    }
}

/// Cuts a file into members.
struct Chunks<'a> {
    content: &'a mut dyn Read,
    name: &'a str,
    left: u64,
}

impl Chunks<'_> {
    fn next(&mut self) -> Result<Bytes, Error> {
        let length = self.left.min(MEMBER as u64);
        let mut piece = vec![0; length as usize];
        match self.content.read_exact(&mut piece) {
            Ok(()) => {
                self.left -= length;
                Ok(piece.into())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::CutOff(self.name.to_owned()))
            }
            Err(error) => Err(Error::Damaged {
                name: self.name.to_owned(),
                reason: error.to_string(),
            }),
        }
    }
}

/// A path from the archive's top, in one spelling.
fn normal(path: &str) -> String {
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
            assert_eq!(normal(path), name);
        }
    }
}
