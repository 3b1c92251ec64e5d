//! Blobs of base images, read from their registries and verified.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

use crate::image::layers::LayoutWriter;
use crate::oci::{Descriptor, Digest};
use crate::registry::Repository;

/// Reads a config.
pub async fn small_blob(repository: &Repository, blob: &Descriptor) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reading = repository.get_blob(blob).await?;
    let mut reading = reading.ok_or_else(|| missing(blob))?;
    while let Some(chunk) = reading.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Reads a layer, verified, into the layout, or into a file without a name if it is not to be kept.
pub async fn download(
    repository: &Repository,
    blob: &Descriptor,
    layout: &LayoutWriter,
    is_kept: bool,
) -> Result<File> {
    let path = layout.blob(&blob.digest);
    if is_kept && (path.exists() || layout.keep(blob) && is_intact(&path, &blob.digest).await) {
        return Ok(File::open(path)?);
    }
    let reading = repository.get_blob(blob).await?;
    let mut reading = reading.ok_or_else(|| missing(blob))?;
    let directory = path.parent().context("the layout has folders")?;
    // As for any file, the umask decides.
    let mut builder = tempfile::Builder::new();
    let builder = builder.permissions(Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(directory)?;
    while let Some(chunk) = reading.chunk().await? {
        file.write_all(&chunk)?;
    }
    match is_kept {
        true => {
            file.persist(&path).map_err(|failed| failed.error)?;
            Ok(File::open(path)?)
        }
        false => Ok(file.reopen()?),
    }
}

/// Whether a layer of the layout before is what its name says.
async fn is_intact(path: &Path, digest: &Digest) -> bool {
    let (path, mut hasher) = (path.to_owned(), digest.hasher());
    let read = tokio::task::spawn_blocking(move || -> io::Result<Digest> {
        hasher.read_all(&mut File::open(path)?)?;
        Ok(hasher.finish())
    });
    matches!(read.await, Ok(Ok(actual)) if actual == *digest)
}

fn missing(blob: &Descriptor) -> anyhow::Error {
    anyhow!("the registry lacks its blob {}", blob.digest)
}
