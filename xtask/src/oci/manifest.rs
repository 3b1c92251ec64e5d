//! Manifests: their bytes as received, which are never rewritten so that the digest is the same on every registry, and
//! a read-only parsed view.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::json::{annotations, null_is_default, size};
use super::media_type;
use super::platform::Platform;
use crate::foreign::Foreign;

/// Describes content in an index, a manifest or the response to a HEAD (OCI image specification, "Descriptor").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default, deserialize_with = "null_is_default")]
    pub media_type: String,
    pub digest: Digest,
    /// In bytes.
    #[serde(default, deserialize_with = "size")]
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(
        default,
        deserialize_with = "annotations",
        skip_serializing_if = "Option::is_none"
    )]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Where else the content is; layers with such URLs may be absent from the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<String>>,
    /// The content itself in base64, if it is tiny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl Descriptor {
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            annotations: None,
            urls: None,
            data: None,
        }
    }

    /// The digest of the image that it attests, if it is an attestation.
    ///
    /// <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>
    pub fn attested(&self) -> Option<&str> {
        let annotations = self.annotations.as_ref()?;
        let is_attestation = annotations
            .get("vnd.docker.reference.type")
            .is_some_and(|it| it == "attestation-manifest");
        let digest = annotations.get("vnd.docker.reference.digest");
        is_attestation.then(|| digest.map_or("", String::as_str))
    }

    /// Whether registries need not have the content, as the base layers of older Windows images.
    pub fn is_foreign(&self) -> bool {
        let is_kind = |kind: &str| self.media_type.contains(kind);
        (is_kind(".foreign.") || is_kind(".nondistributable."))
            && self.urls.as_ref().is_some_and(|urls| !urls.is_empty())
    }
}

/// A manifest or index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    media_type: String,
    bytes: Bytes,
    digest: Digest,
}

/// The parsed view of a manifest.
#[expect(
    clippy::large_enum_variant,
    reason = "matched on at once, never stored in a collection"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Image(Image),
    Index(Index),
}

/// A manifest of one image or artifact.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub config: Descriptor,
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "annotations")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// What an artifact is, if it is one.
    pub artifact_type: Option<String>,
    /// The manifest that this one is about, such as the image that it signs.
    pub subject: Option<Descriptor>,
}

impl Image {
    /// Whether it is an image that runs somewhere, so that it has a platform. Signatures and bills of materials have an
    /// image's config as well, but no layer that is a file system.
    pub fn is_runnable(&self) -> bool {
        let is_files = |layer: &Descriptor| media_type::is_of_image(&layer.media_type);
        media_type::is_config(&self.config.media_type)
            && self.artifact_type.as_deref().is_none_or(str::is_empty)
            && (self.layers.is_empty() || self.layers.iter().any(is_files))
    }
}

/// A manifest that lists other manifests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
}

/// Why bytes are not a supported manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error(
        "the manifest is of the unsupported type `{}`; hint: push the image again with a current engine",
        Foreign::new(.0)
    )]
    Unsupported(String),
    #[error(
        "the manifest is not readable as `{}`: {}",
        Foreign::new(.media_type),
        Foreign::new(.reason)
    )]
    Malformed { media_type: String, reason: String },
}

impl Manifest {
    pub fn new(media_type: &str, bytes: Bytes) -> Manifest {
        let digest = Digest::sha256_of(&bytes);
        Manifest {
            media_type: media_type.to_owned(),
            bytes,
            digest,
        }
    }

    /// A manifest with the `Content-Type` of its response; the bytes replace a generic or missing type.
    pub(crate) fn received(content_type: Option<&str>, bytes: Bytes, digest: Digest) -> Manifest {
        let stated = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
        let media_type = match stated {
            Some(stated) if stated.starts_with("application/vnd.") => stated.to_owned(),
            _ => media_type_within(&bytes).unwrap_or_else(|| stated.unwrap_or_default().to_owned()),
        };
        Manifest {
            media_type,
            bytes,
            digest,
        }
    }

    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The descriptor of this manifest for an index.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(
            &self.media_type,
            self.digest.clone(),
            self.bytes.len() as u64,
        )
    }

    /// The parsed view.
    pub fn content(&self) -> Result<Content, ManifestError> {
        let malformed = |reason: String| ManifestError::Malformed {
            media_type: self.media_type.clone(),
            reason,
        };
        let keys: Keys =
            serde_json::from_slice(&self.bytes).map_err(|e| malformed(e.to_string()))?;
        // CVE-2021-41190: bytes that one reader takes for an image and another for an index.
        if keys.manifests.is_some() && (keys.layers.is_some() || keys.config.is_some()) {
            return Err(malformed(
                "it claims to be an image and an index at once".to_owned(),
            ));
        }
        let parsed = if media_type::is_index(&self.media_type) {
            serde_json::from_slice(&self.bytes).map(Content::Index)
        } else if media_type::is_image(&self.media_type) {
            serde_json::from_slice(&self.bytes).map(Content::Image)
        } else {
            return Err(ManifestError::Unsupported(self.media_type.clone()));
        };
        parsed.map_err(|e| malformed(e.to_string()))
    }
}

/// The keys that distinguish the kinds of manifests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

/// OCI manifests may omit `mediaType`; Docker's always have it.
fn media_type_within(bytes: &[u8]) -> Option<String> {
    let keys: Keys = serde_json::from_slice(bytes).ok()?;
    if keys.media_type.is_some() {
        keys.media_type
    } else if keys.manifests.is_some() {
        Some(media_type::OCI_INDEX.to_owned())
    } else if keys.config.is_some() {
        Some(media_type::OCI_MANIFEST.to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn image() -> String {
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"c","digest":"{DIGEST}","size":2}},
               "layers":[{{"mediaType":"l","digest":"{DIGEST}","size":7,"urls":["u"]}}]}}"#
        )
    }

    #[test]
    fn an_image_shows_its_config_and_layers() {
        let manifest = Manifest::new(media_type::DOCKER_MANIFEST, image().into());
        let Content::Image(view) = manifest.content().unwrap() else {
            panic!("an image");
        };
        assert_eq!((view.config.size, view.layers[0].size), (2, 7));
        assert_eq!(manifest.digest(), &Digest::sha256_of(image().as_bytes()));
        assert_eq!(manifest.descriptor().size, image().len() as u64);
    }

    #[test]
    fn an_index_entry_may_lack_a_platform() {
        let json = format!(r#"{{"manifests":[{{"mediaType":"m","digest":"{DIGEST}","size":1}}]}}"#);
        let manifest = Manifest::new(media_type::OCI_INDEX, json.into());
        let Content::Index(view) = manifest.content().unwrap() else {
            panic!("an index");
        };
        assert_eq!(view.manifests[0].platform, None);
    }

    #[test]
    fn a_list_written_as_null_is_empty() {
        let manifest = Manifest::new(media_type::OCI_INDEX, r#"{"manifests":null}"#.into());
        let Content::Index(view) = manifest.content().unwrap() else {
            panic!("an index");
        };
        assert!(view.manifests.is_empty());
    }

    #[test]
    fn null_is_what_is_not_there() {
        let json = format!(
            r#"{{"config":{{"digest":"{DIGEST}","platform":null,"urls":null}},"annotations":null,"subject":null,
               "layers":[{{"mediaType":null,"digest":"{DIGEST}","size":null,"annotations":{{"a":null}},
               "platform":{{"os":null,"architecture":null}}}}]}}"#
        );
        let Content::Image(view) = Manifest::new(media_type::OCI_MANIFEST, json.into())
            .content()
            .unwrap()
        else {
            panic!("an image");
        };
        assert_eq!((&*view.layers[0].media_type, view.layers[0].size), ("", 0));
        assert_eq!(view.layers[0].annotations.as_ref().unwrap()["a"], "");
    }

    #[test]
    fn a_size_that_no_blob_has_is_refused() {
        for size in ["18446744073709546616", "-1", "9223372036854775808", "1.5"] {
            let json = image().replace("\"size\":7", &format!("\"size\":{size}"));
            let manifest = Manifest::new(media_type::OCI_MANIFEST, json.into());
            assert!(manifest.content().is_err(), "{size}");
        }
    }

    #[test]
    fn what_has_no_files_is_no_image_that_runs() {
        let is_runnable = |config: &str, layer: &str, more: &str| {
            let json = format!(
                r#"{{"config":{{"mediaType":"{config}","digest":"{DIGEST}","size":2}},
                   "layers":[{{"mediaType":"{layer}","digest":"{DIGEST}","size":7}}]{more}}}"#
            );
            let manifest = Manifest::new(media_type::OCI_MANIFEST, json.into());
            matches!(manifest.content().unwrap(), Content::Image(it) if it.is_runnable())
        };
        let (config, gzip) = (
            media_type::OCI_CONFIG,
            "application/vnd.oci.image.layer.v1.tar+gzip",
        );
        assert!(is_runnable(config, gzip, ""));
        assert!(is_runnable(
            media_type::DOCKER_CONFIG,
            &format!("{gzip}+encrypted"),
            ""
        ));
        assert!(!is_runnable(
            "application/vnd.cncf.helm.config.v1+json",
            gzip,
            ""
        ));
        let signature = "application/vnd.dev.cosign.simplesigning.v1+json";
        assert!(!is_runnable(config, signature, ""));
        assert!(!is_runnable(
            config,
            gzip,
            r#","artifactType":"application/spdx+json""#
        ));
    }

    #[test]
    fn a_missing_content_type_is_read_from_the_bytes() {
        let digest = Digest::sha256_of(b"");
        for (stated, json, kind) in [
            (None, image(), media_type::OCI_MANIFEST),
            (Some("application/json"), image(), media_type::OCI_MANIFEST),
            (
                Some("text/plain"),
                r#"{"manifests":[]}"#.to_owned(),
                media_type::OCI_INDEX,
            ),
            (
                Some("application/vnd.oci.image.index.v1+json; charset=utf-8"),
                "{}".to_owned(),
                media_type::OCI_INDEX,
            ),
            (
                None,
                format!(r#"{{"mediaType":"{}"}}"#, media_type::DOCKER_LIST),
                media_type::DOCKER_LIST,
            ),
        ] {
            let manifest = Manifest::received(stated, json.into(), digest.clone());
            assert_eq!(manifest.media_type(), kind);
        }
    }

    #[test]
    fn what_is_two_things_at_once_is_refused() {
        let both = image().replacen('{', r#"{"manifests":[],"#, 1);
        for media_type in [media_type::OCI_INDEX, media_type::OCI_MANIFEST] {
            assert!(matches!(
                Manifest::new(media_type, both.clone().into()).content(),
                Err(ManifestError::Malformed { .. })
            ));
        }
    }

    #[test]
    fn other_kinds_are_unsupported() {
        let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        assert_eq!(
            Manifest::new(schema1, "{}".into()).content(),
            Err(ManifestError::Unsupported(schema1.to_owned()))
        );
    }
}
