//! Manifests: their bytes as received, which are never rewritten so that the digest is the same on every registry, and
//! a read-only parsed view.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::Digest;
use super::json::{annotations, from_slice, null_is_default, size};
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
    Artifact(Artifact),
}

impl Content {
    /// The manifest that this one is about, such as the image that it signs.
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Content::Image(image) => image.subject.as_ref(),
            Content::Artifact(artifact) => artifact.subject.as_ref(),
            Content::Index(_) => None,
        }
    }
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
    /// Required: an object without it is no index, but perhaps an image or an error message.
    #[serde(deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
}

/// What was an artifact's manifest before OCI 1.1 gave that of an image to artifacts.
///
/// <https://github.com/opencontainers/image-spec/blob/v1.1.0-rc2/artifact.md>
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Artifact {
    #[serde(default, deserialize_with = "null_is_default")]
    pub blobs: Vec<Descriptor>,
    /// The manifest that this one is about.
    pub subject: Option<Descriptor>,
}

/// Why bytes are not a supported manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest is of the unsupported type `{}`{}", Foreign::new(.0), hint(.0))]
    Unsupported(String),
    #[error(
        "the manifest is not readable as `{}`: {}",
        Foreign::new(.media_type),
        Foreign::new(.reason)
    )]
    Malformed { media_type: String, reason: String },
}

/// Of Docker's first schema only old engines made images.
fn hint(media_type: &str) -> &'static str {
    match media_type.starts_with("application/vnd.docker.distribution.manifest.v1") {
        true => "; hint: push the image again with a current engine",
        false => "",
    }
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

    /// The manifest that this one is about, and how that one's list of referrers names this (distribution
    /// specification, "Pushing Manifests with Subject").
    pub fn as_referrer(&self) -> Option<(Digest, Descriptor)> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Referrer {
            subject: Descriptor,
            artifact_type: Option<String>,
            config: Option<Descriptor>,
            #[serde(default, deserialize_with = "annotations")]
            annotations: Option<BTreeMap<String, String>>,
        }
        let parsed: Referrer = from_slice(&self.bytes, &NAMES).ok()?;
        let named = parsed.artifact_type.filter(|it| !it.is_empty());
        let descriptor = Descriptor {
            artifact_type: named.or(parsed.config.map(|it| it.media_type)),
            annotations: parsed.annotations,
            ..self.descriptor()
        };
        Some((parsed.subject.digest, descriptor))
    }

    /// The parsed view.
    pub fn content(&self) -> Result<Content, ManifestError> {
        let malformed = |reason: String| ManifestError::Malformed {
            media_type: self.media_type.clone(),
            reason,
        };
        let read = |e: serde_json::Error| malformed(e.to_string());
        let document: Value = from_slice(&self.bytes, &NAMES).map_err(read)?;
        let keys = Keys::deserialize(&document).map_err(read)?;
        // CVE-2021-41190: bytes that one reader takes for an image and another for an index.
        if keys.manifests.is_some() && (keys.layers.is_some() || keys.config.is_some()) {
            return Err(malformed(
                "it claims to be an image and an index at once".to_owned(),
            ));
        }
        let kind = |media_type: &str| {
            (
                media_type::is_index(media_type),
                media_type::is_image(media_type),
            )
        };
        if let Some(own) = keys.media_type.as_deref()
            && kind(own) != (false, false)
            && kind(own) != kind(&self.media_type)
        {
            return Err(malformed(format!("it says that it is `{own}`")));
        }
        let parsed = if media_type::is_index(&self.media_type) {
            serde_json::from_value(document).map(Content::Index)
        } else if media_type::is_image(&self.media_type) {
            serde_json::from_value(document).map(Content::Image)
        } else if self.media_type == media_type::OCI_ARTIFACT {
            serde_json::from_value(document).map(Content::Artifact)
        } else {
            return Err(ManifestError::Unsupported(self.media_type.clone()));
        };
        parsed.map_err(read)
    }
}

/// Every name of a manifest that is read here.
const NAMES: [&str; 19] = [
    "mediaType",
    "config",
    "layers",
    "blobs",
    "manifests",
    "digest",
    "size",
    "platform",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "features",
    "annotations",
    "artifactType",
    "subject",
    "urls",
    "data",
];

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
    let keys: Keys = from_slice(bytes, &NAMES).ok()?;
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
mod tests;
