//! Where the bytes of a file are.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};

use super::file_part::FilePart;
use super::zip_entry::ZipEntry;
use crate::oci::{Digest, Hasher};

/// The content of a file of an image.
#[derive(Clone, Debug)]
pub struct FileContent {
    pub size: u64,
    pub source: Source,
}

#[derive(Clone, Debug)]
pub enum Source {
    /// A file of the build context.
    Disk(Arc<DiskFile>),
    /// A file that is in a zip only.
    Zip(Arc<ZipEntry>),
    /// A part of a file that holds the contents of a layer.
    Kept {
        file: Arc<File>,
        offset: u64,
        digest: Digest,
    },
    Memory(Bytes),
    /// Only compared, as the contents of a base's layers.
    Compared(Digest),
}

#[derive(Debug)]
pub struct DiskFile {
    pub path: PathBuf,
    /// Where its bytes are compressed already.
    pub origin: Option<ZipEntry>,
}

impl FileContent {
    /// Where its bytes are in a zip, and still to be had from there.
    pub fn zip_entry(&self) -> Option<&ZipEntry> {
        match &self.source {
            Source::Disk(file) => file.origin.as_ref(),
            Source::Zip(entry) => Some(entry),
            _ => None,
        }
    }

    /// Gives the bytes in chunks of at most `chunk` to `take`, which returns whether it wants more.
    ///
    /// # Errors
    /// Also if the file does not have the size that it had.
    pub fn read(&self, chunk: usize, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        let mut reader: Box<dyn Read> = match &self.source {
            Source::Disk(disk) => Box::new(File::open(&disk.path)?),
            Source::Zip(entry) => Box::new(entry.open()?),
            Source::Kept { file, offset, .. } => Box::new(FilePart {
                file: Arc::clone(file),
                at: *offset,
                left: self.size,
            }),
            Source::Memory(bytes) => Box::new(bytes.clone().reader()),
            Source::Compared(_) => return Err(io::Error::other("its content was not kept")),
        };
        let mut buffer = vec![0; chunk.min(usize::try_from(self.size).unwrap_or(chunk))];
        let mut left = self.size;
        while left > 0 {
            let length = buffer.len().min(usize::try_from(left).unwrap_or(chunk));
            match reader.read(&mut buffer[..length])? {
                0 => return Err(changed()),
                length => {
                    left -= length as u64;
                    if !take(&buffer[..length]) {
                        return Ok(());
                    }
                }
            }
        }
        match reader.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(changed()),
        }
    }

    /// All of the bytes.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read(64 << 10, |chunk| {
            bytes.extend_from_slice(chunk);
            true
        })?;
        Ok(bytes)
    }

    /// Whether the bytes are the same.
    pub fn is_same(&self, other: &FileContent) -> io::Result<bool> {
        if self.size != other.size {
            return Ok(false);
        }
        match (&self.source, &other.source) {
            (Source::Disk(one), Source::Disk(other)) if one.path == other.path => Ok(true),
            (Source::Zip(one), Source::Zip(other)) if one == other => Ok(true),
            _ => Ok(self.digest()? == other.digest()?),
        }
    }

    /// The sha256 digest of the bytes.
    pub fn digest(&self) -> io::Result<Digest> {
        match &self.source {
            Source::Kept { digest, .. } | Source::Compared(digest) => Ok(digest.clone()),
            Source::Disk(_) | Source::Zip(_) | Source::Memory(_) => {
                let mut hasher = Hasher::sha256();
                self.read(256 << 10, |chunk| {
                    hasher.update(chunk);
                    true
                })?;
                Ok(hasher.finish())
            }
        }
    }
}

fn changed() -> io::Error {
    io::Error::other("its size changed while the image was built")
}
