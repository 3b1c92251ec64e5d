//! What an engine uploads: kept in a file and hashed, inflated if it comes in pieces.
//!
//! It refuses to know what it is for.

use std::fs::File;
use std::io::{self, Seek as _, Write};

use flate2::write::MultiGzDecoder;

use crate::oci::{Digest, Hasher};

/// What is being uploaded in pieces.
pub(super) enum Upload {
    Layer(Box<MultiGzDecoder<Content>>),
    /// The only thing that does not come compressed.
    Config(Vec<u8>),
}

impl Upload {
    pub fn begin(first: &[u8]) -> io::Result<Upload> {
        match first.first() {
            Some(0x1f) => {
                let content = Content::new(Hasher::sha256())?;
                Ok(Upload::Layer(Box::new(MultiGzDecoder::new(content))))
            }
            _ => Ok(Upload::Config(Vec::new())),
        }
    }
}

/// What is kept in a file.
pub(super) struct Content {
    hasher: Hasher,
    file: File,
    /// In bytes, so far.
    pub size: u64,
}

impl Content {
    pub fn new(hasher: Hasher) -> io::Result<Content> {
        Ok(Content {
            hasher,
            file: tempfile::tempfile()?,
            size: 0,
        })
    }

    /// Its digest, and the file from its beginning.
    pub fn end(mut self) -> io::Result<(Digest, File)> {
        self.file.rewind()?;
        Ok((self.hasher.finish(), self.file))
    }
}

impl Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
