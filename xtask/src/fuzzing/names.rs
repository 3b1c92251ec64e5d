//! References and what they are made of, and manifests.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use bytes::Bytes;
use serde_json::Value;

use super::is_one_line;
use crate::oci::{
    ChildEdit, Content, Descriptor, Digest, ImageConfig, Manifest, Platform, Reference,
    RepositoryName, Tag, edited, index_of, media_type,
};

/// Names read back as they are printed, and have the lengths that registries take.
pub(super) fn reference(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    reads_back::<Tag>(&text);
    reads_back::<Digest>(&text);
    reads_back::<Platform>(&text);
    reads_back::<RepositoryName>(&text);
    let Some(reference) = reads_back::<Reference>(&text) else {
        return;
    };
    let name = &reference.repository;
    assert!(name.path().len() <= 255, "{name}");
    assert_eq!(name.host(), name.host().to_ascii_lowercase());
    let json = serde_json::to_string(&reference).unwrap_or_default();
    let again = serde_json::from_str::<Reference>(&json).ok();
    assert_eq!(again, Some(reference), "{json}");
}

fn reads_back<T: FromStr<Err: Display> + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse().ok();
            assert_eq!(again.as_ref(), Some(&value), "of {text:?}");
            again
        }
        Err(error) => {
            is_one_line(&error.to_string());
            None
        }
    }
}

/// Descriptors read back as they are written, and an edit changes what it is to change and nothing else.
pub(super) fn manifest(data: &[u8]) {
    if let Ok(config) = serde_json::from_slice::<ImageConfig>(data) {
        assert!(config.diff_ids().len() <= data.len());
    }
    let bytes = Bytes::copy_from_slice(data);
    let manifest = Manifest::received(None, bytes, Digest::sha256_of(data));
    match manifest.content() {
        Err(error) => is_one_line(&error.to_string()),
        Ok(Content::Image(image)) => {
            let descriptors = image.layers.iter().chain([&image.config]);
            descriptors.chain(&image.subject).for_each(is_written_back);
        }
        Ok(Content::Artifact(artifact)) => {
            let descriptors = artifact.blobs.iter();
            descriptors
                .chain(&artifact.subject)
                .for_each(is_written_back);
        }
        Ok(Content::Index(index)) => {
            index.manifests.iter().for_each(is_written_back);
            assert_eq!(children(&index_of(&index.manifests)), index.manifests);
            is_edited(&manifest, &index.manifests);
        }
    }
}

fn is_written_back(descriptor: &Descriptor) {
    let json = serde_json::to_string(descriptor).unwrap_or_default();
    let again = serde_json::from_str::<Descriptor>(&json).ok();
    assert_eq!(again.as_ref(), Some(descriptor), "{json}");
}

/// Each third child is kept, dropped, replaced.
fn is_edited(index: &Manifest, before: &[Descriptor]) {
    let new = Manifest::new(media_type::OCI_INDEX, "{\"manifests\": []}".into());
    let (mut edits, mut after) = (Vec::new(), Vec::new());
    for (at, child) in before.iter().enumerate() {
        edits.push(match at % 3 {
            0 => ChildEdit::Keep,
            1 => ChildEdit::Drop,
            _ => ChildEdit::Replace(new.clone()),
        });
        match at % 3 {
            0 => after.push(child.clone()),
            1 => {}
            _ => after.push(Descriptor {
                digest: new.digest().clone(),
                size: new.bytes().len() as u64,
                data: None,
                ..child.clone()
            }),
        }
    }
    let made = edited(index, &edits);
    let is_text = std::str::from_utf8(index.bytes()).is_ok();
    assert!(
        made.is_ok() || !is_text,
        "an index that was read cannot be edited"
    );
    let Ok(made) = made else { return };
    assert_eq!(*made.digest(), Digest::sha256_of(made.bytes()));
    assert_eq!(children(&made), after);
    let rest = |manifest: &Manifest| {
        let mut value = serde_json::from_slice::<Value>(manifest.bytes()).ok()?;
        let keys = value.as_object_mut()?;
        keys.retain(|key, _| !key.eq_ignore_ascii_case("manifests"));
        Some(value)
    };
    assert_eq!(rest(&made), rest(index));
}

fn children(index: &Manifest) -> Vec<Descriptor> {
    match index.content() {
        Ok(Content::Index(index)) => index.manifests,
        _ => Vec::new(),
    }
}
