//! Writes what an engine uploads to a file and hashes it; layers are inflated.

use std::fs::File;
use std::io::{self, Seek as _, Write};

use flate2::write::MultiGzDecoder;

use crate::oci::{Digest, Hasher};

/// An upload by `PATCH` requests.
pub(super) enum Upload {
    Layer(Box<MultiGzDecoder<HashedFile>>),
    /// The only content that is not compressed.
    Config(Vec<u8>),
}

impl Upload {
    pub fn start(first: &[u8]) -> io::Result<Upload> {
        match first.first() {
            Some(0x1f) => {
                let file = HashedFile::new(Hasher::sha256())?;
                Ok(Upload::Layer(Box::new(MultiGzDecoder::new(file))))
            }
            _ => Ok(Upload::Config(Vec::new())),
        }
    }
}

/// A temporary file with the digest of its content.
pub(super) struct HashedFile {
    hasher: Hasher,
    file: File,
    /// Bytes written so far.
    pub size: u64,
}

impl HashedFile {
    pub fn new(hasher: Hasher) -> io::Result<HashedFile> {
        Ok(HashedFile {
            hasher,
            file: tempfile::tempfile()?,
            size: 0,
        })
    }

    /// The digest, and the file at its beginning.
    pub fn finish(mut self) -> io::Result<(Digest, File)> {
        self.file.rewind()?;
        Ok((self.hasher.finish(), self.file))
    }
}

impl Write for HashedFile {
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
