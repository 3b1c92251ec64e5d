//! An archive as one stream of bytes, wherever it comes from, and whether it is compressed as a whole or not.
//!
//! It refuses to know what is in the archive. Invariant: when whoever delivers it fails, [`Archive::fault`] has their
//! own words, whatever the readers in between made of them.

use std::cell::RefCell;
use std::io::{self, Cursor, Read};
use std::pin::Pin;
use std::rc::Rc;

use bytes::{Buf as _, Bytes};
use futures_util::{Stream, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use super::encoding::Encoding;
use super::read::Event;

/// An archive that is delivered in pieces.
pub(super) type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The archive, to be read from its beginning.
pub(super) struct Archive {
    pub reader: Box<dyn Read>,
    pub fault: Fault,
}

/// Why the source failed, once it did.
pub(super) type Fault = Rc<RefCell<Option<io::Error>>>;

impl Archive {
    /// Opens what `source` delivers: an archive, or one compressed with gzip or zstd.
    pub fn open(source: impl Read + 'static) -> io::Result<Archive> {
        let fault = Fault::default();
        let mut source = ErrorCapture {
            source,
            fault: Rc::clone(&fault),
        };
        let mut head = Vec::new();
        if let Err(error) = (&mut source).take(4).read_to_end(&mut head) {
            return Err(fault.take().unwrap_or(error));
        }
        let form = Encoding::of(&head);
        let whole = Read::chain(Cursor::new(head), source);
        let reader: Box<dyn Read> = match form {
            Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(whole)),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
            Encoding::Tar | Encoding::Other => Box::new(whole),
        };
        Ok(Archive { reader, fault })
    }
}

/// Keeps the error of its source.
struct ErrorCapture<R> {
    source: R,
    fault: Fault,
}

impl<R: Read> Read for ErrorCapture<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer).map_err(|error| {
            let kind = error.kind();
            *self.fault.borrow_mut() = Some(error);
            kind.into()
        })
    }
}

/// Reads pieces on a thread that may block. It fails when nobody listens any more.
pub(super) struct PieceReader {
    pub pieces: Pieces,
    pub rest: Bytes,
    pub runtime: Handle,
    pub listener: UnboundedSender<Event>,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let next = self.runtime.block_on(async {
                tokio::select! {
                    piece = self.pieces.next() => piece,
                    () = self.listener.closed() => Some(Err(io::ErrorKind::ConnectionAborted.into())),
                }
            });
            match next {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
