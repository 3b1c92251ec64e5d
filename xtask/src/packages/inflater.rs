//! Inflates zip entries in one piece, which takes half the time of the zip reader, which goes in small steps.

use std::io::{self, Read};

use libdeflater::{DecompressionError, Decompressor};
use zip::CompressionMethod;
use zip::read::ZipFile;
use zip::result::ZipError;

/// The largest entry, in bytes, and the most that it may have when it is compressed.
const LARGEST: u64 = 8 << 20;
const LARGEST_COMPRESSED: u64 = 4 << 20;

pub(super) const SHORTER: &str = "an entry is shorter than it says";

/// Keeps its memory from entry to entry.
pub(super) struct Inflater {
    deflate: Decompressor,
    compressed: Vec<u8>,
    content: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Inflater {
            deflate: Decompressor::new(),
            compressed: Vec::new(),
            content: Vec::new(),
        }
    }
}

impl Inflater {
    /// Whether an entry is deflated, and small enough.
    pub fn fits<R: Read>(raw: &ZipFile<'_, R>) -> bool {
        raw.compression() == CompressionMethod::Deflated
            && raw.size() <= LARGEST
            && raw.compressed_size() <= LARGEST_COMPRESSED
    }

    /// The content of a fitting entry, of which `raw` reads the compressed bytes; it has the length and CRC that it
    /// should have.
    pub fn inflate<R: Read>(&mut self, mut raw: ZipFile<'_, R>) -> Result<&[u8], ZipError> {
        let compressed = raw.compressed_size() as usize;
        self.compressed.clear();
        self.compressed.reserve_exact(compressed);
        raw.read_to_end(&mut self.compressed)?;
        if self.compressed.len() < compressed {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let length = raw.size() as usize;
        if compressed == 0 && length == 0 && raw.crc32() == 0 {
            // No stream at all, as some write empty files.
            return Ok(&[]);
        }
        if self.content.len() < length {
            self.content.resize(length, 0);
        }
        let content = &mut self.content[..length];
        let problem = match self.deflate.deflate_decompress(&self.compressed, content) {
            Ok(inflated) if inflated < length => SHORTER,
            Ok(_) if libdeflater::crc32(content) != raw.crc32() => "an entry has another checksum",
            Ok(_) => return Ok(content),
            Err(DecompressionError::InsufficientSpace) => "an entry is longer than it says",
            Err(DecompressionError::BadData) => "an entry is no deflate stream",
        };
        Err(invalid(problem).into())
    }
}

pub(super) fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
