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
        Encoding::Gzip => hasher.read_all(flate2::read::MultiGzDecoder::new(&mut reader)),
        Encoding::Zstd => zstd::stream::read::Decoder::new(&mut reader)
            .and_then(|inflated| hasher.read_all(inflated)),
    };
    reader.chunks.iter().for_each(drop);
    hashed.map(|()| hasher.finish())
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
