//! An OCI image layout in a directory (OCI image specification, "Image Layout"): written, and what was written so read
//! again without a second look at it. What others wrote is for `image::read`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::image::blob::{Blob, Content};
use crate::oci::{self, Descriptor, Digest, Manifest, media_type};

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
        let writer = LayoutWriter {
            directory: directory.to_owned(),
            temporary,
        };
        fs::create_dir_all(writer.blobs())?;
        Ok(writer)
    }

    /// Where blobs are, by the hexadecimal digits of their digests, until the layout is finished.
    pub fn blobs(&self) -> PathBuf {
        self.temporary.join("blobs/sha256")
    }

    /// Where the blob with this digest is, or will be, until the layout is finished.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        blob(&self.temporary, digest)
    }

    /// Takes over a blob of the layout that is replaced; returns whether that has it. Only its size is looked at.
    pub fn keep(&self, wanted: &Descriptor) -> bool {
        let old = blob(&self.directory, &wanted.digest);
        let has_size = fs::metadata(&old).is_ok_and(|old| old.len() == wanted.size);
        let new = self.blob(&wanted.digest);
        has_size
            && (new.exists() || fs::hard_link(&old, &new).is_ok() || fs::copy(old, new).is_ok())
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

    /// The layout with `image`, by the name `tag`, takes the place of the directory. Returns whether that had the same.
    pub fn finish(self, image: &Descriptor, tag: &str) -> io::Result<bool> {
        let mut entry = json!(image);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
        fs::write(self.temporary.join(INDEX), &index)?;
        let version = json!({ "imageLayoutVersion": "1.0.0" });
        fs::write(self.temporary.join("oci-layout"), version.to_string())?;
        let old = fs::read(self.directory.join(INDEX));
        remove(&self.directory)?;
        fs::rename(&self.temporary, &self.directory)?;
        Ok(old.is_ok_and(|old| old == index.as_bytes()))
    }
}

/// The image of a layout that a [`LayoutWriter`] left.
#[derive(Debug, Default)]
pub struct Layout {
    /// Children first; the last is the image.
    pub manifests: Vec<Manifest>,
    /// Those that are there with their size. Layers of base images may be missing.
    pub blobs: Vec<Blob>,
}

impl Layout {
    pub fn read(directory: &Path) -> io::Result<Layout> {
        let index = fs::read(directory.join(INDEX))?;
        let index = Manifest::new(media_type::OCI_INDEX, index.into());
        let mut layout = Layout::default();
        layout.add_below(directory, &index)?;
        Ok(layout)
    }

    fn add_below(&mut self, directory: &Path, manifest: &Manifest) -> io::Result<()> {
        match manifest.content().map_err(io::Error::other)? {
            oci::Content::Index(index) => {
                for child in &index.manifests {
                    let bytes = fs::read(blob(directory, &child.digest))?;
                    let manifest = Manifest::new(&child.media_type, bytes.into());
                    if *manifest.digest() != child.digest {
                        return Err(io::Error::other(format!("{} is damaged", child.digest)));
                    }
                    self.add_below(directory, &manifest)?;
                    self.manifests.push(manifest);
                }
            }
            oci::Content::Artifact(_) => {}
            oci::Content::Image(image) => {
                for descriptor in image.layers.into_iter().chain([image.config]) {
                    let file = File::open(blob(directory, &descriptor.digest)).ok();
                    let is_whole = |file: &File| {
                        let metadata = file.metadata();
                        metadata.is_ok_and(|metadata| metadata.len() == descriptor.size)
                    };
                    if let Some(file) = file.filter(is_whole) {
                        let content = Content::File(Arc::new(file));
                        self.blobs.push(Blob {
                            descriptor,
                            content,
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Removes the blobs that are not what their names say; returns their digests.
pub fn remove_damaged(layout: &Path) -> io::Result<Vec<Digest>> {
    let mut damaged = Vec::new();
    for entry in fs::read_dir(layout.join("blobs/sha256"))? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let name = format!("sha256:{}", name.to_string_lossy());
        let Ok(digest) = name.parse::<Digest>() else {
            continue;
        };
        let mut hasher = digest.hasher();
        let read = hasher.read_all(&mut File::open(&path)?);
        if read.is_err() || hasher.finish() != digest {
            fs::remove_file(path)?;
            damaged.push(digest);
        }
    }
    Ok(damaged)
}

/// Lists the image.
const INDEX: &str = "index.json";

fn blob(layout: &Path, digest: &Digest) -> PathBuf {
    let folder = layout.join("blobs").join(digest.algorithm());
    folder.join(digest.hex())
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
