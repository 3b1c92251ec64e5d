//! Layers that were made before, by their [keys](super::key): what they became, not their bytes.
//!
//! A remembered file for each.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::remembered;
use crate::oci::{Descriptor, Digest};

/// Layers that are remembered; those that were not used for the longest time go first.
const MAX_LAYERS: usize = 256;

/// A layer that was made once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownLayer {
    /// In case that the file was renamed.
    pub key: Digest,
    pub descriptor: Descriptor,
    pub diff_id: Digest,
}

pub struct LayerMemory {
    directory: PathBuf,
}

impl LayerMemory {
    pub fn new(directory: PathBuf) -> LayerMemory {
        LayerMemory { directory }
    }

    pub fn get(&self, key: &Digest) -> Option<KnownLayer> {
        let text = remembered::read(&self.directory.join(key.hex()))?;
        let layer: KnownLayer = serde_json::from_slice(&text).ok()?;
        (layer.key == *key).then_some(layer)
    }

    /// Remembers `layer`, whatever its key stood for before.
    pub fn put(&self, layer: &KnownLayer) -> io::Result<()> {
        let path = self.directory.join(layer.key.hex());
        remembered::write(&path, &serde_json::to_vec(layer)?)
    }

    /// Forgets what is too much.
    pub fn prune(&self) -> io::Result<()> {
        remembered::prune(&self.directory, MAX_LAYERS)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use super::*;

    fn layer(number: usize) -> KnownLayer {
        let digest = |text: String| Digest::sha256_of(text.as_bytes());
        KnownLayer {
            key: digest(format!("key {number}")),
            descriptor: Descriptor::new("layer", digest(format!("blob {number}")), 1),
            diff_id: digest(format!("tar {number}")),
        }
    }

    #[test]
    fn what_was_put_is_there_until_it_is_spoilt() {
        let root = tempfile::tempdir().unwrap();
        let memory = LayerMemory::new(root.path().join("target/layers"));
        let (one, other) = (layer(1), layer(2));
        assert_eq!(memory.get(&one.key), None);
        assert!(memory.prune().is_err());
        memory.put(&one).unwrap();
        memory.put(&one).unwrap();
        assert_eq!(memory.get(&one.key), Some(one.clone()));
        let path = |key: &Digest| memory.directory.join(key.hex());
        fs::rename(path(&one.key), path(&other.key)).unwrap();
        assert_eq!(memory.get(&other.key), None);
        memory.put(&one).unwrap();
        let text = fs::read_to_string(path(&one.key)).unwrap();
        // A digit that nothing else would notice.
        let diff_id = one.diff_id.hex();
        let last = if diff_id.ends_with('0') { "1" } else { "0" };
        let other = format!("{}{last}", &diff_id[..diff_id.len() - 1]);
        for damaged in [text.replace(diff_id, &other), "{".to_owned()] {
            assert_ne!(damaged, text);
            fs::write(path(&one.key), damaged).unwrap();
            assert_eq!(memory.get(&one.key), None);
        }
        memory.put(&one).unwrap();
        assert_eq!(memory.get(&one.key), Some(one));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let memory = LayerMemory::new(root.path().to_owned());
        for number in 0..MAX_LAYERS + 2 {
            memory.put(&layer(number)).unwrap();
            let file = fs::File::open(root.path().join(layer(number).key.hex())).unwrap();
            let age = std::time::Duration::from_secs(number as u64);
            file.set_modified(SystemTime::UNIX_EPOCH + age).unwrap();
        }
        memory.prune().unwrap();
        assert_eq!(root.path().read_dir().unwrap().count(), MAX_LAYERS);
        assert_eq!(memory.get(&layer(1).key), None);
        assert!(memory.get(&layer(2).key).is_some());
    }
}
