//! Buffers that are used again: pieces of large content on their way from one thread to another.
//!
//! An allocator keeps memory for each thread that asked for some, and what was asked for on forty threads is kept forty
//! times. These are kept once, and need not be zeroed again.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// Bytes of a buffer.
pub const SIZE: usize = 256 << 10;

/// Free ones that are kept, 8 MiB: what a release holds at its peak.
const KEPT: usize = 32;

static FREE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());

/// A buffer of [`SIZE`] bytes, which hold anything.
pub struct Buffer(Box<[u8]>);

impl Buffer {
    pub fn take() -> Buffer {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Buffer(free.unwrap_or_else(|| vec![0; SIZE].into()))
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// The first `length` bytes. When nobody holds them any more, the buffer is free.
    pub fn freeze(self, length: usize) -> Bytes {
        let mut bytes = Bytes::from_owner(self);
        bytes.truncate(length);
        bytes
    }

    /// A copy of `bytes` in pieces.
    pub fn copies(bytes: &[u8]) -> impl Iterator<Item = Bytes> {
        bytes.chunks(SIZE).map(|piece| {
            let mut buffer = Buffer::take();
            buffer.0[..piece.len()].copy_from_slice(piece);
            buffer.freeze(piece.len())
        })
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_what_was_copied_and_are_free_when_the_last_is_dropped() {
        let text: Vec<u8> = (0..2 * SIZE + 3).map(|n| (n % 251) as u8).collect();
        let pieces: Vec<Bytes> = Buffer::copies(&text).collect();
        assert_eq!(
            pieces.iter().map(Bytes::len).collect::<Vec<_>>(),
            [SIZE, SIZE, 3]
        );
        assert_eq!(pieces.concat(), text);
        let held = pieces[1].slice(5..9);
        drop(pieces);
        // Whatever is taken now is not the one of which a part is held.
        let mut others: Vec<Buffer> = (0..2 * KEPT).map(|_| Buffer::take()).collect();
        others.iter_mut().for_each(|other| other.bytes().fill(255));
        assert_eq!(held, text[SIZE + 5..SIZE + 9]);
        drop(others);
        assert!(FREE.lock().unwrap().len() <= KEPT);
    }
}
