//! The digest of a layer's uncompressed content (OCI image specification, "Layer DiffID").

use std::io::{self, Read};
use std::sync::mpsc::Receiver;

use bytes::{Buf as _, Bytes};

use super::encoding::Encoding;
use crate::oci::{Digest, Hasher};

/// Hashes what `chunks` inflate to. Receives every chunk, also after an error, so that the sender is never blocked.
pub(super) fn diff_id(encoding: Encoding, chunks: Receiver<Bytes>) -> io::Result<Digest> {
    let mut hasher = Hasher::sha256();
    let mut reader = ChannelReader {
        chunks,
        rest: Bytes::new(),
    };
    let hashed = match encoding {
        Encoding::Tar | Encoding::Other => {
            reader.chunks.iter().for_each(|chunk| hasher.update(&chunk));
            Ok(())
        }
        Encoding::Gzip => hash(flate2::read::MultiGzDecoder::new(&mut reader), &mut hasher),
        Encoding::Zstd => zstd::stream::read::Decoder::new(&mut reader)
            .and_then(|inflated| hash(inflated, &mut hasher)),
    };
    reader.chunks.iter().for_each(drop);
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

/// The chunks of a channel as one stream.
struct ChannelReader {
    chunks: Receiver<Bytes>,
    rest: Bytes,
}

impl Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.chunks.recv().unwrap_or_default();
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
