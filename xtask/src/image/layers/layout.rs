//! Writes images as an OCI image layout in a directory (OCI image specification, "Image Layout").

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::oci::{Descriptor, Digest, Manifest};

/// A layout that is being written beside the directory that it will replace.
pub struct LayoutWriter {
    directory: PathBuf,
    temporary: PathBuf,
}

impl LayoutWriter {
    /// `directory` stays as it is until [`LayoutWriter::finish`].
    pub fn create(directory: &Path) -> io::Result<LayoutWriter> {
        let temporary = directory.with_extension("new");
        remove(&temporary)?;
        fs::create_dir_all(temporary.join("blobs/sha256"))?;
        Ok(LayoutWriter {
            directory: directory.to_owned(),
            temporary,
        })
    }

    /// Where the blob with this digest is, or will be, until the layout is finished.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        let folder = self.temporary.join("blobs").join(digest.algorithm());
        folder.join(digest.hex())
    }

    /// Adds a verified blob.
    pub fn add_file(&self, digest: &Digest, mut content: &File) -> io::Result<()> {
        content.rewind()?;
        io::copy(&mut content, &mut File::create(self.blob(digest))?)?;
        Ok(())
    }

    /// Adds a small blob; returns its digest.
    pub fn add_bytes(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::sha256_of(bytes);
        fs::write(self.blob(&digest), bytes)?;
        Ok(digest)
    }

    /// Adds a manifest or index.
    pub fn add_manifest(&self, manifest: &Manifest) -> io::Result<()> {
        fs::write(self.blob(manifest.digest()), manifest.bytes())
    }

    /// The layout with `image`, by the name `tag`, takes the place of the directory.
    pub fn finish(self, image: &Descriptor, tag: &str) -> io::Result<()> {
        let mut entry = json!(image);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        fs::write(self.temporary.join("index.json"), index.to_string())?;
        let version = json!({ "imageLayoutVersion": "1.0.0" });
        fs::write(self.temporary.join("oci-layout"), version.to_string())?;
        remove(&self.directory)?;
        fs::rename(&self.temporary, &self.directory)
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
