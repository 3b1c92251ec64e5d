//! The files of an archive by name, with links followed.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;

use super::layer_sink::Layer;
use crate::oci::{Descriptor, Digest};

#[derive(Debug, Default)]
pub(super) struct Contents {
    pub documents: HashMap<String, Bytes>,
    /// Ordered, so that the same one of two equal layers is used every time.
    pub layers: BTreeMap<String, Layer>,
    pub links: HashMap<String, String>,
    /// Files that are too large for documents. A layer may be one of them.
    pub too_large: HashSet<String>,
    /// Of a layout: the images that are meant. Nothing else that it lists was read.
    pub roots: Option<Vec<Descriptor>>,
}

impl Contents {
    pub fn document(&self, name: &str) -> Option<&Bytes> {
        self.documents.get(self.target(name))
    }

    pub fn layer(&self, name: &str) -> Option<&Layer> {
        self.layers.get(self.target(name))
    }

    /// Whether it would be a document if it were not that large.
    pub fn is_too_large(&self, name: &str) -> bool {
        self.too_large.contains(self.target(name))
    }

    /// Whether there is a file of that name.
    pub fn has(&self, name: &str) -> bool {
        self.document(name).is_some() || self.is_too_large(name) || self.layer(name).is_some()
    }

    fn target<'a>(&'a self, mut name: &'a str) -> &'a str {
        // Archives have one hop; the bound ends cycles.
        for _ in 0..8 {
            match self.links.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        name
    }
}

/// The name of a blob in an OCI image layout.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// The digest in the name of a blob in an OCI image layout.
pub(super) fn digest_in(name: &str) -> Option<Digest> {
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_their_target_and_never_in_a_cycle() {
        let links = [("a", "b"), ("b", "c"), ("x", "y"), ("y", "x")];
        let contents = Contents {
            documents: HashMap::from([("c".to_owned(), Bytes::from_static(b"{}"))]),
            links: links.map(|(from, to)| (from.into(), to.into())).into(),
            ..Contents::default()
        };
        assert!(contents.document("a").is_some());
        assert!(contents.document("x").is_none());
    }

    #[test]
    fn only_blobs_have_their_digest_in_the_name() {
        let digest = Digest::sha256_of(b"");
        assert_eq!(digest_in(&blob_name(&digest)), Some(digest.clone()));
        assert_eq!(digest_in(&format!("{}.tar", digest.hex())), None);
    }
}
