//! What a layer unpacks to: the digest of its content once it is inflated (OCI image specification, "Layer DiffID").
//!
//! It refuses to know where the pieces come from.

use std::io::{self, Read};
use std::sync::mpsc::Receiver;

use bytes::{Buf as _, Bytes};

use super::encoding::Encoding;
use crate::oci::{Digest, Hasher};

/// The digest of what the pieces hold once it is inflated. It takes every piece, also after an error.
pub(super) fn diff_id(form: Encoding, pieces: Receiver<Bytes>) -> io::Result<Digest> {
    let mut hasher = Hasher::sha256();
    let mut reader = PiecesReader {
        pieces,
        rest: Bytes::new(),
    };
    let hashed = match form {
        Encoding::Tar | Encoding::Other => {
            reader.pieces.iter().for_each(|piece| hasher.update(&piece));
            Ok(())
        }
        Encoding::Gzip => hash(flate2::read::MultiGzDecoder::new(&mut reader), &mut hasher),
        Encoding::Zstd => zstd::stream::read::Decoder::new(&mut reader)
            .and_then(|inflated| hash(inflated, &mut hasher)),
    };
    reader.pieces.iter().for_each(drop);
    hashed.map(|()| hasher.finish())
}

fn hash(mut inflated: impl Read, hasher: &mut Hasher) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match inflated.read(&mut buffer)? {
            0 => return Ok(()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// The pieces as one stream.
struct PiecesReader {
    pieces: Receiver<Bytes>,
    rest: Bytes,
}

impl Read for PiecesReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.pieces.recv().unwrap_or_default();
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
