//! What a layer is made of, as one digest: where the key is the same, the layer is.

use super::content::FileContent;
use super::error::BuildError;
use super::plan::PlannedLayer;
use super::tree::NodeKind;
use crate::image::Compression;
use crate::oci::{Digest, Hasher};

/// To be raised when the same files make other bytes: a test tells.
const FORMAT: u32 = 1;

impl PlannedLayer {
    /// The digest of everything that the layer's bytes depend on. Files of zips are not read.
    ///
    /// # Errors
    /// [`BuildError::Read`].
    pub fn key(&self, compression: Compression) -> Result<Digest, BuildError> {
        let mut key = Key(Hasher::sha256());
        key.add(&format!("{FORMAT} {compression}"));
        for (path, node) in &self.entries {
            key.add(path);
            key.add(&format!("{:o} {} {}", node.mode, node.uid, node.gid));
            match &node.kind {
                NodeKind::Directory | NodeKind::Device => key.add("directory"),
                NodeKind::Link(target) => {
                    key.add("link");
                    key.add(target);
                }
                NodeKind::File(content) => {
                    let identity = identity(content).map_err(|error| BuildError::Read {
                        name: path.clone(),
                        error,
                    })?;
                    key.add(&format!("file {} {identity}", content.size));
                }
            }
        }
        Ok(key.0.finish())
    }
}

/// Names the bytes and the way they get into the layer: as they stand in a zip, or compressed.
fn identity(content: &FileContent) -> std::io::Result<String> {
    Ok(match content.zip_entry() {
        Some(it) => format!(
            "{} in {} {} {:08x}",
            it.offset, it.zip_digest, it.compressed, it.crc
        ),
        None => content.digest()?.to_string(),
    })
}

struct Key(Hasher);

impl Key {
    /// With its length in front, so that no two lists of texts are the same bytes.
    fn add(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }
}
