//! The temporary file of a spool, which has no name.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::buffer::{self, Buffer};

/// Bytes that are read at once; every follower holds as many.
pub(super) const MOST_AT_ONCE: u64 = buffer::SIZE as u64;

#[derive(Clone)]
pub(super) struct SpoolFile(pub Arc<File>);

impl SpoolFile {
    pub async fn create() -> io::Result<SpoolFile> {
        let file = blocking(tempfile::tempfile).await?;
        Ok(SpoolFile(Arc::new(file)))
    }

    pub async fn append(&self, pieces: Vec<Bytes>) -> io::Result<()> {
        let file = Arc::clone(&self.0);
        blocking(move || write_all(&file, &pieces)).await
    }

    /// `length` bytes at `position`, [`MOST_AT_ONCE`] at most, which were appended before.
    pub async fn read(&self, position: u64, length: u64) -> io::Result<Bytes> {
        let file = Arc::clone(&self.0);
        blocking(move || {
            let mut piece = Buffer::take();
            file.read_exact_at(&mut piece.bytes()[..length as usize], position)?;
            Ok(piece.freeze(length as usize))
        })
        .await
    }

    pub async fn clear(&self) -> io::Result<()> {
        let file = Arc::clone(&self.0);
        blocking(move || file.set_len(0)).await
    }
}

/// Appends the pieces to the file.
fn write_all(mut file: &File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice> = pieces.iter().map(|it| IoSlice::new(it)).collect();
    let mut left = &mut slices[..];
    // Without those that are empty, which would look like a full disk.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_every_piece() {
        let file = tempfile::tempfile().unwrap();
        let piece = |length: u8| Bytes::from(vec![length; length.into()]);
        let many: Vec<Bytes> = (0..3000).map(|_| piece(3)).collect();
        write_all(&file, &many).unwrap();
        write_all(&file, &[piece(0), piece(2), piece(0)]).unwrap();
        write_all(&file, &[]).unwrap();
        let mut read = vec![0; 9002];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(read[..9000], many.concat());
        assert_eq!(read[9000..], [2, 2]);
        assert_eq!(file.metadata().unwrap().len(), 9002);
    }
}
