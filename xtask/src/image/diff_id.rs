//! The digest of a layer's uncompressed content (OCI image specification, "Layer DiffID").

use std::io;
use std::sync::mpsc::Receiver;

use bytes::Bytes;

use super::encoding::Encoding;
use super::stream::ChunkReader;
use crate::oci::{Digest, Hasher};

/// Hashes what `chunks` inflate to. Receives every chunk, also after an error, so that the sender is never blocked.
pub(super) fn diff_id(encoding: Encoding, chunks: Receiver<Bytes>) -> io::Result<Digest> {
    let mut hasher = Hasher::sha256();
    let reader = ChunkReader::new(|| Ok(chunks.recv().ok()));
    let hashed = match encoding {
        Encoding::Tar | Encoding::Other => {
            chunks.iter().for_each(|chunk| hasher.update(&chunk));
            Ok(())
        }
        Encoding::Gzip => hasher.read_all(flate2::read::MultiGzDecoder::new(reader)),
        Encoding::Zstd => {
            zstd::stream::read::Decoder::new(reader).and_then(|inflated| hasher.read_all(inflated))
        }
    };
    chunks.iter().for_each(drop);
    hashed.map(|()| hasher.finish())
}
