//! An archive as one stream of bytes, wherever it comes from, and whether it is compressed as a whole or not.
//!
//! If the source fails, [`Archive::source_error`] has its own error, whatever the decoders in between made of it.

use std::cell::RefCell;
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use bytes::{Buf as _, Bytes};

use super::encoding::Encoding;

pub(super) struct Archive {
    pub reader: Box<dyn Read>,
    pub source_error: SourceError,
}

/// Why the source failed, once it did.
pub(super) type SourceError = Rc<RefCell<Option<io::Error>>>;

impl Archive {
    /// Opens the archive at `source`, which may be compressed with gzip or zstd.
    pub fn open(source: impl Read + 'static) -> io::Result<Archive> {
        let source_error = SourceError::default();
        let mut source = ErrorCapture {
            source,
            error: Rc::clone(&source_error),
        };
        let mut head = Vec::new();
        if let Err(error) = (&mut source).take(4).read_to_end(&mut head) {
            return Err(source_error.take().unwrap_or(error));
        }
        let encoding = Encoding::of(&head);
        let whole = Read::chain(Cursor::new(head), source);
        let reader: Box<dyn Read> = match encoding {
            Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(whole)),
            Encoding::Zstd => Box::new(zstd::stream::read::Decoder::new(whole)?),
            Encoding::Tar | Encoding::Other => Box::new(whole),
        };
        Ok(Archive {
            reader,
            source_error,
        })
    }
}

/// Keeps the error of its source.
struct ErrorCapture<R> {
    source: R,
    error: SourceError,
}

impl<R: Read> Read for ErrorCapture<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer).map_err(|error| {
            let kind = error.kind();
            *self.error.borrow_mut() = Some(error);
            kind.into()
        })
    }
}

/// Chunks as one stream of bytes; `next` gives none at the end.
pub(super) struct ChunkReader<N> {
    next: N,
    rest: Bytes,
}

impl<N> ChunkReader<N> {
    pub fn new(next: N) -> Self {
        let rest = Bytes::new();
        ChunkReader { next, rest }
    }
}

impl<N: FnMut() -> io::Result<Option<Bytes>>> Read for ChunkReader<N> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match (self.next)()? {
                Some(chunk) => self.rest = chunk,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
