//! An archive as a stream of chunks, written while it is read. Memory is bounded by a few chunks.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::{mpsc, oneshot};

use super::Error;

/// Bytes of a chunk; at most four of them are in memory.
const CHUNK: usize = 256 * 1024;

/// What the archive is written to.
pub(super) type Out = io::BufWriter<ChunkWriter>;

/// Streams what `pack` writes, on a thread of its own.
///
/// If it fails, the stream ends with an error, and the channel has all of it.
pub(super) fn tar_stream(
    pack: impl FnOnce(Out) -> Result<(), Error> + Send + 'static,
) -> (
    impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    oneshot::Receiver<Error>,
) {
    let (chunks, mut received) = mpsc::channel(4);
    let (failed, failure) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        let out = io::BufWriter::with_capacity(CHUNK, ChunkWriter(chunks.clone()));
        // If the reader is gone, that is why packing failed.
        if let Err(error) = pack(out)
            && !chunks.is_closed()
        {
            let text = error.to_string();
            let _ = failed.send(error);
            let _ = chunks.blocking_send(Err(io::Error::other(text)));
        }
    });
    (
        stream::poll_fn(move |context| received.poll_recv(context)),
        failure,
    )
}

/// Sends chunks to the stream; fails when that is dropped.
pub(super) struct ChunkWriter(mpsc::Sender<io::Result<Bytes>>);

impl Write for ChunkWriter {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(chunk)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
