//! A blob of a source in pieces of a useful size.

use bytes::{Bytes, BytesMut};

use crate::registry::{Blob, Error};

/// Bytes of a piece, at least: what comes in smaller ones is gathered.
const SMALLEST: usize = 64 << 10;

pub(super) struct Pieces {
    reader: Blob,
    gathered: BytesMut,
    /// Handed out when the next one has come, and the last when the digest was checked: with all its bytes an upload
    /// has ended.
    held: Option<Bytes>,
}

impl Pieces {
    pub fn of(reader: Blob) -> Pieces {
        Pieces {
            reader,
            gathered: BytesMut::new(),
            held: None,
        }
    }

    /// The next piece; `None` at the end. `on_read` is told how many bytes came.
    pub async fn next(&mut self, on_read: impl Fn(usize)) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(chunk) = self.reader.chunk().await? else {
                let rest = Some(self.gathered.split().freeze()).filter(|rest| !rest.is_empty());
                return Ok(std::mem::replace(&mut self.held, rest));
            };
            on_read(chunk.len());
            let piece = match self.gathered.is_empty() && chunk.len() >= SMALLEST {
                true => chunk,
                false => {
                    self.gathered.extend_from_slice(&chunk);
                    match self.gathered.len() >= SMALLEST {
                        true => self.gathered.split().freeze(),
                        false => continue,
                    }
                }
            };
            if let Some(piece) = self.held.replace(piece) {
                return Ok(Some(piece));
            }
        }
    }
}
