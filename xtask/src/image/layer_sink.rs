//! The end of the layer pipeline: writes a layer to a file, and verifies everything that was known about it before it
//! is handed out.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::ScopedJoinHandle;

use bytes::Bytes;
use tempfile::TempPath;

use super::blob::{Blob, Content};
use super::encoding::Encoding;
use super::error::Error;
use crate::oci::{Descriptor, Digest, Hasher};

/// What is known about a layer before it is read.
pub(super) struct LayerHint {
    pub name: String,
    /// Bytes in the archive.
    pub size: u64,
    pub encoding: Encoding,
    /// The digest of the content in the archive, if its name has it.
    pub digest: Option<Digest>,
    /// The diff id and descriptor of a reusable layer, one of which is `digest`: the content is hashed, not stored.
    pub reused: Option<(Digest, Descriptor)>,
    /// The file that has the content under its digest: it is hashed and handed out, not stored again.
    pub file: Option<Arc<File>>,
}

impl LayerHint {
    pub fn is_stored(&self) -> bool {
        self.reused.is_none() && self.file.is_none()
    }
}

/// A layer that was read to its end.
#[derive(Debug)]
pub(super) struct Layer {
    /// In the archive.
    pub encoding: Encoding,
    /// `None` if it came compressed under its digest: then it was not inflated.
    pub diff_id: Option<Digest>,
    /// As a manifest lists it.
    pub descriptor: Descriptor,
}

/// What the writing thread receives, in the order of the content. If the channel closes without `End`, the layer was
/// truncated.
pub(super) enum Chunk {
    /// A chunk, once it is compressed.
    Data(Receiver<io::Result<Bytes>>),
    End,
}

/// Writes one layer.
pub(super) struct LayerSink<'scope> {
    pub hint: LayerHint,
    pub media_type: &'static str,
    pub chunks: Receiver<Chunk>,
    /// The diff id, unless it is not wanted; for a layer that is not stored, the digest of the content in the archive.
    pub hashing: Option<ScopedJoinHandle<'scope, io::Result<Digest>>>,
    /// Bytes of all layers together.
    pub written: Arc<AtomicU64>,
    /// Where the layer stays, by the hexadecimal digits of its digest. Otherwise its file has no name.
    pub directory: Option<&'scope Path>,
}

/// The compressed layer; without a file if it had no chunks.
struct Stored {
    file: Option<File>,
    digest: Digest,
    size: u64,
}

impl LayerSink<'_> {
    /// Stores and verifies the layer.
    pub fn run(self) -> Result<(Layer, Option<Blob>), Error> {
        let stored = self.store()?;
        self.verify(stored)
    }

    fn store(&self) -> Result<Stored, Error> {
        let mut file = None;
        let mut path = None;
        let mut size = 0;
        let mut hasher = match &self.hint.digest {
            Some(digest) if self.hint.encoding != Encoding::Tar => digest.hasher(),
            _ => Hasher::sha256(),
        };
        let mut store = |chunk: Bytes| {
            let file: &mut File = match &mut file {
                Some(file) => file,
                none => {
                    let (new, its_path) = self.create()?;
                    path = its_path;
                    none.insert(new)
                }
            };
            hasher.update(&chunk);
            file.write_all(&chunk)?;
            size += chunk.len() as u64;
            self.written
                .fetch_add(chunk.len() as u64, Ordering::Relaxed);
            Ok(())
        };
        loop {
            match self.chunks.recv() {
                Ok(Chunk::Data(chunk)) => {
                    let chunk = chunk.recv().map_err(io::Error::other);
                    let stored = chunk.and_then(|chunk| chunk).and_then(&mut store);
                    stored.map_err(|error| self.disk_error(error))?;
                }
                Ok(Chunk::End) => break,
                Err(_) => return Err(Error::CutOff(self.hint.name.clone())),
            }
        }
        let digest = hasher.finish();
        if let (Some(path), Some(directory)) = (path, self.directory) {
            let named = path.persist(directory.join(digest.hex()));
            named.map_err(|failed| self.disk_error(failed.error))?;
        }
        Ok(Stored { file, digest, size })
    }

    fn create(&self) -> io::Result<(File, Option<TempPath>)> {
        let Some(directory) = self.directory else {
            return Ok((tempfile::tempfile()?, None));
        };
        // As for any file, the umask decides.
        let anyone = Permissions::from_mode(0o666);
        let file = tempfile::Builder::new()
            .permissions(anyone)
            .tempfile_in(directory)?;
        let (file, path) = file.into_parts();
        Ok((file, Some(path)))
    }

    fn verify(self, stored: Stored) -> Result<(Layer, Option<Blob>), Error> {
        let hint = self.hint;
        let encoding = hint.encoding;
        let damaged = |reason: String| Error::damaged(&hint.name, reason);
        let hashed = self.hashing.map(|hashing| {
            let hashed = hashing.join();
            hashed.unwrap_or_else(|_| Err(io::Error::other("the hashing thread panicked")))
        });
        let hashed = hashed.transpose();
        let hashed = hashed.map_err(|error| damaged(error.to_string()))?;
        let actual = match &hashed {
            Some(hashed) if encoding == Encoding::Tar || !hint.is_stored() => hashed,
            _ => &stored.digest,
        };
        if hint.digest.as_ref().is_some_and(|it| it != actual) {
            return Err(damaged(format!("its digest is {actual}")));
        }
        if let Some((diff_id, descriptor)) = hint.reused {
            let layer = Layer {
                encoding,
                diff_id: Some(diff_id),
                descriptor,
            };
            return Ok((layer, None));
        }
        let (file, digest, size, diff_id) = match hint.file {
            Some(file) => (Some(file), actual.clone(), hint.size, None),
            None => (
                stored.file.map(Arc::new),
                stored.digest,
                stored.size,
                hashed,
            ),
        };
        let descriptor = Descriptor::new(self.media_type, digest, size);
        let blob = file.map(|file| Blob {
            descriptor: descriptor.clone(),
            content: Content::File(file),
        });
        let layer = Layer {
            encoding,
            diff_id,
            descriptor,
        };
        Ok((layer, blob))
    }

    fn disk_error(&self, error: io::Error) -> Error {
        Error::Disk {
            directory: self
                .directory
                .map_or_else(tempfile::env::temp_dir, Path::to_owned),
            written: self.written.load(Ordering::Relaxed),
            layer: self.hint.name.clone(),
            size: self.hint.size,
            error,
        }
    }
}
