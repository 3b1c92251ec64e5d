//! What was read of base images: their manifests, configs and file trees, so that a release need not download them
//! again.
//!
//! A [remembered] file for each, by the digest of the image's manifest.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::image::layers::{FileTree, remembered};
use crate::oci::{Content, Digest, Image, Manifest};

/// Images that are remembered; those that were not used for the longest time go first.
const MAX_IMAGES: usize = 32;

/// Of the files. Those of another version are not read.
const VERSION: u32 = 3;

/// A base image for one platform.
pub struct KnownBase {
    pub image: Image,
    pub config: Vec<u8>,
    pub tree: FileTree,
}

/// The first line of what is remembered; the tree follows.
#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    media_type: String,
    manifest: String,
    config: String,
}

#[derive(Clone)]
pub struct BaseMemory {
    directory: PathBuf,
}

impl BaseMemory {
    pub fn new(directory: PathBuf) -> BaseMemory {
        BaseMemory { directory }
    }

    /// What is known of the image whose manifest has this digest. Blocking.
    pub fn get(&self, digest: &Digest) -> Option<KnownBase> {
        let path = self.path(digest);
        let text = remembered::read(&path)?;
        let (head, tree) = split(&text)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        let manifest = Manifest::new(&head.media_type, head.manifest.into());
        if head.version != VERSION || manifest.digest() != digest {
            return None;
        }
        let Ok(Content::Image(image)) = manifest.content() else {
            return None;
        };
        let tree = FileTree::read(tree).ok()?;
        // The most recently used stay.
        remembered::touch(&path);
        let config = head.config.into_bytes();
        Some(KnownBase {
            image,
            config,
            tree,
        })
    }

    /// Remembers an image. Blocking.
    pub fn put(&self, manifest: &Manifest, config: &[u8], tree: &FileTree) -> io::Result<()> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(io::Error::other);
        let head = Head {
            version: VERSION,
            media_type: manifest.media_type().to_owned(),
            manifest: text(manifest.bytes())?,
            config: text(config)?,
        };
        let mut rest = serde_json::to_vec(&head)?;
        rest.push(b'\n');
        tree.write(&mut rest)?;
        remembered::write(&self.path(manifest.digest()), &rest)?;
        remembered::prune(&self.directory, MAX_IMAGES)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }
}

/// The first line, and what follows it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some((&text[..end], &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use serde_json::json;

    use super::*;
    use crate::image::layers::Contents;
    use crate::oci::{Descriptor, media_type};

    /// An archive with the user database and one more file.
    fn tree(contents: Contents) -> FileTree {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in [("etc/passwd", "app:x:7:8::/:\n"), ("bin/app", "program")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            header.set_uid(0);
            header.set_gid(0);
            archive
                .append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        let mut tree = FileTree::default();
        tree.apply(&*archive.into_inner().unwrap(), contents)
            .unwrap();
        tree
    }

    fn manifest(number: usize) -> Manifest {
        let config = Descriptor::new(media_type::OCI_CONFIG, Digest::sha256_of(b"{}"), 2);
        let text = json!({ "schemaVersion": 2, "config": config, "layers": [], "number": number });
        Manifest::new(media_type::OCI_MANIFEST, text.to_string().into())
    }

    #[test]
    fn what_was_put_is_there_and_the_oldest_go_first() {
        let directory = tempfile::tempdir().unwrap();
        let memory = BaseMemory::new(directory.path().join("bases"));
        let first = manifest(0);
        assert!(memory.get(first.digest()).is_none());
        memory.put(&first, b"{}", &tree(Contents::Kept)).unwrap();
        let known = memory.get(first.digest()).unwrap();
        assert_eq!(known.config, b"{}");
        let (mut one, mut other) = (Vec::new(), Vec::new());
        known.tree.write(&mut one).unwrap();
        tree(Contents::Compared).write(&mut other).unwrap();
        assert_eq!(one, other);
        assert!(!one.is_empty());

        for number in 1..=MAX_IMAGES {
            // Used again, the first stays.
            let past = SystemTime::UNIX_EPOCH;
            for entry in memory.directory.read_dir().unwrap() {
                let file = fs::File::options().append(true).open(entry.unwrap().path());
                file.unwrap().set_modified(past).unwrap();
            }
            memory.get(first.digest()).unwrap();
            memory
                .put(&manifest(number), b"{}", &tree(Contents::Compared))
                .unwrap();
        }
        assert_eq!(memory.directory.read_dir().unwrap().count(), MAX_IMAGES);
        assert!(memory.get(first.digest()).is_some());
    }

    #[test]
    fn a_damaged_file_does_not_exist() {
        let directory = tempfile::tempdir().unwrap();
        let memory = BaseMemory::new(directory.path().to_owned());
        let manifest = manifest(0);
        memory
            .put(&manifest, b"{}", &tree(Contents::Compared))
            .unwrap();
        let path = memory.path(manifest.digest());
        let text = fs::read_to_string(&path).unwrap();
        for damaged in [
            text.replace("bin/app", "bin/apq"),
            text[..text.len() / 2].to_owned(),
            text.lines().next().unwrap().to_owned(),
            String::new(),
        ] {
            fs::write(&path, damaged).unwrap();
            assert!(memory.get(manifest.digest()).is_none());
        }
        fs::write(&path, text).unwrap();
        assert!(memory.get(manifest.digest()).is_some());
    }
}
