//! Entries of zips as they get into layers.
//!
//! A zip entry is a deflate stream with its CRC and length, which is all that a gzip member is: it is moved into the
//! layer as it is, and inflated once to be checked and hashed. What follows the stream's end in the entry is not moved:
//! unzip ignores it too, and between two members it would be garbage.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::file_part::FilePart;
use crate::buffer::{self, Buffer};
use crate::image::layer_pipeline::LayerWriter;
use crate::oci::Digest;

/// An entry of a zip that is deflated or stored as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZipEntry {
    pub zip: PathBuf,
    /// Of the zip as it was when the entry was looked at.
    pub zip_digest: Digest,
    /// Of the entry's bytes in the zip.
    pub offset: u64,
    /// Their number.
    pub compressed: u64,
    /// Of the file.
    pub size: u64,
    pub crc: u32,
    pub is_deflated: bool,
}

/// A smaller entry is compressed together with its neighbours: a member of its own would be larger.
const MIN_SIZE: u64 = 4 << 10;

/// Of a gzip member, whose trailer has 32 bits for it.
const MAX_SIZE: u64 = u32::MAX as u64;

/// Entries up to this size, inflated and compressed, are inflated in one piece, which is faster. With 4 MiB a release
/// has 3 % less to do, and needs 10 MiB more.
const IN_MEMORY: u64 = 1 << 20;

/// Neither time nor name, by no system in particular: as libdeflate's.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Bytes of a member's trailer: CRC and length.
const TRAILER: usize = 8;

impl ZipEntry {
    /// Whether the entry becomes a gzip member.
    pub(super) fn is_moved(&self) -> bool {
        self.is_deflated && (MIN_SIZE..=MAX_SIZE).contains(&self.size)
    }

    /// Reads the file; fails at its end if that is not what the zip says.
    pub(super) fn open(&self) -> io::Result<impl Read> {
        let entry = self.part(File::open(&self.zip)?);
        // Some write empty files without a stream.
        let content: Box<dyn Read> = match self.is_deflated && self.compressed > 0 {
            true => Box::new(flate2::bufread::DeflateDecoder::new(BufReader::new(entry))),
            false => Box::new(entry),
        };
        Ok(Checked {
            content,
            crc: libdeflater::Crc::new(),
            expected: self.crc,
        })
    }

    fn part(&self, zip: File) -> FilePart {
        FilePart {
            file: Arc::new(zip),
            at: self.offset,
            left: self.compressed,
        }
    }

    /// Gives the entry as a gzip member to `layer`, inflated once to be checked and hashed.
    ///
    /// # Errors
    /// A zip that cannot be read, or an entry that does not inflate to its CRC and length.
    pub(super) fn copy_to(&self, layer: &LayerWriter, room: &mut Room) -> io::Result<()> {
        let zip = File::open(&self.zip)?;
        let is_small = self.size.max(self.compressed) <= IN_MEMORY;
        if is_small && self.copy_at_once(&zip, layer, room)? {
            return Ok(());
        }
        self.copy_in_chunks(zip, layer)
    }

    fn trailer(&self) -> [u8; TRAILER] {
        let mut trailer = [0; TRAILER];
        trailer[..4].copy_from_slice(&self.crc.to_le_bytes());
        trailer[4..].copy_from_slice(&(self.size as u32).to_le_bytes());
        trailer
    }

    /// Copies an entry that is one stream and nothing else; otherwise, nothing is done.
    fn copy_at_once(&self, zip: &File, layer: &LayerWriter, room: &mut Room) -> io::Result<bool> {
        let length = self.compressed as usize;
        let member = first(&mut room.member, HEADER.len() + length + TRAILER);
        member[..HEADER.len()].copy_from_slice(&HEADER);
        zip.read_exact_at(&mut member[HEADER.len()..][..length], self.offset)?;
        let trailer = self.trailer();
        member[HEADER.len() + length..].copy_from_slice(&trailer);
        let inflated = first(&mut room.inflated, self.size as usize);
        // It checks the trailer, which it looks for where the stream ends. Found there, it is the one that was just
        // added, unless the entry has the same eight bytes.
        let size = room.decompressor.gzip_decompress(member, inflated);
        let before = &member[HEADER.len()..member.len() - 1];
        if size.ok() != Some(inflated.len()) || contains(before, trailer) {
            return Ok(false);
        }
        if Buffer::copies(inflated).all(|chunk| layer.hash(chunk)) {
            Buffer::copies(member).all(|chunk| layer.write(chunk));
        }
        Ok(true)
    }

    fn copy_in_chunks(&self, zip: File, layer: &LayerWriter) -> io::Result<()> {
        layer.write(Bytes::from_static(&HEADER));
        let mut decoder = flate2::bufread::DeflateDecoder::new(Tee {
            inner: self.part(zip),
            chunk: Bytes::new(),
            taken: Vec::new(),
        });
        // Not a gzip decoder: its CRC takes longer than the inflating.
        let mut crc = libdeflater::Crc::new();
        loop {
            let mut inflated = Buffer::take();
            let mut length = 0;
            while length < buffer::SIZE {
                match decoder.read(&mut inflated.bytes()[length..])? {
                    0 => break,
                    read => length += read,
                }
            }
            let inflated = inflated.freeze(length);
            crc.update(&inflated);
            let is_longer = decoder.total_out() > self.size;
            let mut compressed = decoder.get_mut().taken.drain(..);
            let wants_more = layer.hash(inflated) && compressed.all(|chunk| layer.write(chunk));
            if !wants_more {
                return Ok(());
            }
            // One that is longer than it says need not be inflated to its end, which may be far.
            if length == 0 || is_longer {
                break;
            }
        }
        if (crc.sum(), decoder.total_out()) != (self.crc, self.size) {
            return Err(io::Error::other(
                "it does not inflate to its CRC and length",
            ));
        }
        layer.write(Bytes::copy_from_slice(&self.trailer()));
        Ok(())
    }
}

/// Looks for the first byte, which the standard library does quickly also in a debug build.
fn contains(mut bytes: &[u8], wanted: [u8; TRAILER]) -> bool {
    while bytes.skip_until(wanted[0]).is_ok_and(|passed| passed > 0) {
        if bytes.starts_with(&wanted[1..]) {
            return true;
        }
    }
    false
}

/// What one thread inflates entries in, each as a whole.
pub(super) struct Room {
    member: Vec<u8>,
    inflated: Vec<u8>,
    decompressor: libdeflater::Decompressor,
}

impl Room {
    pub fn new() -> Room {
        Room {
            member: Vec::new(),
            inflated: Vec::new(),
            decompressor: libdeflater::Decompressor::new(),
        }
    }
}

/// So many bytes, which hold anything.
fn first(bytes: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if bytes.len() < length {
        bytes.resize(length, 0);
    }
    &mut bytes[..length]
}

/// Checks the CRC of what it reads.
struct Checked<R> {
    content: R,
    crc: libdeflater::Crc,
    expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(buffer)?;
        self.crc.update(&buffer[..length]);
        if length == 0 && !buffer.is_empty() && self.crc.sum() != self.expected {
            return Err(io::Error::other("it does not have its CRC"));
        }
        Ok(length)
    }
}

/// Keeps a copy of what was consumed, which ends where the stream does.
struct Tee<R> {
    inner: R,
    chunk: Bytes,
    taken: Vec<Bytes>,
}

impl<R: Read> BufRead for Tee<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            let mut chunk = Buffer::take();
            let length = self.inner.read(chunk.bytes())?;
            self.chunk = chunk.freeze(length);
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, length: usize) {
        let taken = self.chunk.split_to(length);
        if !taken.is_empty() {
            self.taken.push(taken);
        }
    }
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}
