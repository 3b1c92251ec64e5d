//! Images of every kind, made of bytes that a test chooses.
//!
//! The same recipe gives the same digests.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use fakes::noise;
use fakes::registry::FakeRegistry;
use serde_json::{Value, json};
use xtask::oci::{Descriptor, Digest, Manifest, Platform, TagOrDigest, media_type};
use xtask::registry::Repository;

pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// An image or index with everything below it.
#[derive(Clone, Default)]
pub struct Sample {
    pub blobs: Vec<(Digest, Bytes)>,
    /// Children before parents; the last is the root.
    pub manifests: Vec<Manifest>,
}

/// A manifest of this type over a config and layers, each with its media type.
pub fn manifest(media_type: &str, config: (&str, Bytes), layers: &[(&str, Bytes)]) -> Sample {
    manifest_with(media_type, config, layers, json!({}))
}

/// The same with further keys.
pub fn manifest_with(
    media_type: &str,
    config: (&str, Bytes),
    layers: &[(&str, Bytes)],
    more: Value,
) -> Sample {
    let descriptor = |(media_type, bytes): &(&str, Bytes)| {
        Descriptor::new(media_type, Digest::sha256_of(bytes), bytes.len() as u64)
    };
    let mut document = json!({"schemaVersion": 2, "mediaType": media_type, "config": descriptor(&config),
        "layers": layers.iter().map(descriptor).collect::<Vec<_>>()});
    document
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let bytes = layers
        .iter()
        .chain([&config])
        .map(|(_, bytes)| (Digest::sha256_of(bytes), bytes.clone()));
    Sample {
        blobs: bytes.collect(),
        manifests: vec![Manifest::new(media_type, document.to_string().into())],
    }
}

/// An OCI image for this platform with these layers.
pub fn image(platform: &str, layers: &[Bytes]) -> Sample {
    let platform: Platform = platform.parse().unwrap();
    let config = json!({"os": platform.os, "architecture": platform.architecture, "variant": platform.variant});
    let layers: Vec<_> = layers.iter().map(|it| (OCI_LAYER, it.clone())).collect();
    let config = (OCI_CONFIG, config.to_string().into());
    manifest(media_type::OCI_MANIFEST, config, &layers)
}

/// An image whose one layer is an archive, if an empty one: what unpacks it is content.
pub fn tarball() -> Sample {
    let layer = Bytes::from_static(&[0; 1024]);
    let config = json!({"os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256_of(&layer)]}});
    let layers = [("application/vnd.oci.image.layer.v1.tar", layer)];
    manifest(
        media_type::OCI_MANIFEST,
        (OCI_CONFIG, config.to_string().into()),
        &layers,
    )
}

/// BuildKit's attestation: a config of the empty type, a layer of JSON.
pub fn attestation(seed: &str) -> Sample {
    let layer = ("application/vnd.in-toto+json", noise(seed, 200));
    manifest(media_type::OCI_MANIFEST, (EMPTY, "{}".into()), &[layer])
}

/// An index of this type over samples, each with the further keys of its entry.
pub fn index(media_type: &str, children: &[(&Sample, Value)]) -> Sample {
    let entries = children.iter().map(|(child, more)| {
        let mut entry = serde_json::to_value(child.root().descriptor()).unwrap();
        entry
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        entry
    });
    let document = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries.collect::<Vec<_>>(),
        "annotations": {"made.by": "a test"}});
    let mut sample = Sample::default();
    for (child, _) in children {
        sample.blobs.extend(child.blobs.clone());
        sample.manifests.extend(child.manifests.clone());
    }
    let root = Manifest::new(media_type, document.to_string().into());
    sample.manifests.push(root);
    sample
}

/// The keys of an entry for this platform.
pub fn platform(text: &str) -> Value {
    json!({"platform": text.parse::<Platform>().unwrap()})
}

/// The keys of an entry that attests `subject`.
pub fn attests(subject: &Sample) -> Value {
    json!({
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": subject.root().digest().to_string(),
        },
    })
}

/// What buildx pushes for two platforms: images of one layer of `size` bytes, each with its attestation.
pub fn built(seed: &str, size: usize) -> Sample {
    let of = |arch: &str| {
        image(
            &format!("linux/{arch}"),
            &[noise(&format!("{seed} {arch}"), size)],
        )
    };
    let (amd64, arm64) = (of("amd64"), of("arm64"));
    index(
        media_type::OCI_INDEX,
        &[
            (&amd64, platform("linux/amd64")),
            (&arm64, platform("linux/arm64")),
            (&attestation("a"), attests(&amd64)),
            (&attestation("b"), attests(&arm64)),
        ],
    )
}

impl Sample {
    pub fn root(&self) -> &Manifest {
        self.manifests.last().expect("a root")
    }

    pub fn digest(&self) -> Digest {
        self.root().digest().clone()
    }

    /// Pushes it, as any client.
    pub async fn push(&self, repository: &Repository, tag: &str) {
        for (digest, bytes) in &self.blobs {
            let upload = repository.upload_bytes(digest, None, bytes.clone());
            upload.await.unwrap();
        }
        for manifest in &self.manifests {
            let at = manifest.digest().clone().into();
            repository.put_manifest(&at, manifest).await.unwrap();
        }
        let at = TagOrDigest::Tag(tag.parse().unwrap());
        repository.put_manifest(&at, self.root()).await.unwrap();
    }

    /// Puts it into a fake registry without a request.
    pub fn place(&self, server: &FakeRegistry, path: &str, tag: &str) {
        for (digest, bytes) in &self.blobs {
            server.put_blob(path, digest.as_str(), bytes.clone());
        }
        let at_digest = self
            .manifests
            .iter()
            .map(|it| (it.digest().to_string(), it));
        for (at, manifest) in at_digest.chain([(tag.to_owned(), self.root())]) {
            server.put_manifest(path, &at, manifest.media_type(), manifest.bytes().clone());
        }
    }

    /// Writes it as an OCI layout.
    pub fn write(&self, directory: &Path) {
        let manifests = self.manifests.iter().map(|it| (it.digest(), it.bytes()));
        let blobs = self.blobs.iter().map(|(digest, bytes)| (digest, bytes));
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        for (digest, bytes) in manifests.chain(blobs) {
            fs::write(directory.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        }
        let index = json!({"schemaVersion": 2, "manifests": [self.root().descriptor()]});
        fs::write(directory.join("index.json"), index.to_string()).unwrap();
        let version = json!({"imageLayoutVersion": "1.0.0"});
        fs::write(directory.join("oci-layout"), version.to_string()).unwrap();
    }

    /// Fails unless `repository` holds all of it, and the tag names it.
    pub async fn assert_at(&self, repository: &Repository, tag: &str) {
        let at = TagOrDigest::Tag(tag.parse().unwrap());
        let head = repository.head_manifest(&at).await.unwrap();
        let head = head.unwrap_or_else(|| panic!("no tag {tag}"));
        assert_eq!(&head.digest, self.root().digest());
        for manifest in &self.manifests {
            let at = manifest.digest().clone().into();
            let held = repository.get_manifest(&at).await.unwrap();
            assert_eq!(held.as_ref(), Some(manifest));
        }
        for (digest, bytes) in &self.blobs {
            let blob = Descriptor::new("", digest.clone(), bytes.len() as u64);
            assert!(repository.has_blob(&blob).await.unwrap(), "{digest}");
        }
    }
}
