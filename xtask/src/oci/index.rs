//! Makes an index from the manifests that it lists, or from another index. The same children in the same order give the
//! same bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::manifest::{Descriptor, Manifest, ManifestError};
use super::media_type;

/// An index of `children`, in their order.
///
/// A Docker manifest list if every child has a Docker media type (registries that predate OCI accept those), and an OCI
/// index otherwise.
pub fn index_of(children: &[Descriptor]) -> Manifest {
    let docker = |child: &Descriptor| {
        matches!(
            &*child.media_type,
            media_type::DOCKER_MANIFEST | media_type::DOCKER_LIST
        )
    };
    let media_type = if !children.is_empty() && children.iter().all(docker) {
        media_type::DOCKER_LIST
    } else {
        media_type::OCI_INDEX
    };
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": children });
    Manifest::new(media_type, format!("{index:#}").into())
}

/// What becomes of a child of an index.
pub enum ChildEdit {
    Keep,
    Drop,
    /// It is another manifest now, of the same kind.
    Replace(Manifest),
}

/// `index` with an edit for each of its children, in their order. Everything else stays as it is written: also what
/// this program does not know, and numbers of any size.
///
/// # Errors
/// If it is no index.
pub fn edited(index: &Manifest, edits: &[ChildEdit]) -> Result<Manifest, ManifestError> {
    with_children(index, |children| {
        let mut kept = Vec::new();
        for (child, edit) in children.into_iter().zip(edits) {
            match edit {
                ChildEdit::Keep => kept.push(child),
                ChildEdit::Drop => {}
                ChildEdit::Replace(manifest) => kept.push(replaced(&child, manifest)?),
            }
        }
        Ok(kept)
    })
}

/// `index` with more children behind those that it has. Everything else stays as it is written.
///
/// # Errors
/// If it is no index.
pub fn extended(index: &Manifest, children: &[Descriptor]) -> Result<Manifest, ManifestError> {
    with_children(index, |mut all| {
        for child in children {
            all.push(to_raw_value(child)?);
        }
        Ok(all)
    })
}

/// A child as it is written.
type RawChild = Box<RawValue>;

fn with_children(
    index: &Manifest,
    change: impl FnOnce(Vec<RawChild>) -> serde_json::Result<Vec<RawChild>>,
) -> Result<Manifest, ManifestError> {
    let bytes = changed_text(index.bytes(), change);
    let bytes = bytes.map_err(|error| ManifestError::Malformed {
        media_type: index.media_type().to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Manifest::new(index.media_type(), bytes.into()))
}

fn changed_text(
    index: &[u8],
    change: impl FnOnce(Vec<RawChild>) -> serde_json::Result<Vec<RawChild>>,
) -> serde_json::Result<Vec<u8>> {
    let mut document: Object = serde_json::from_slice(index)?;
    let key = "manifests";
    let children = document
        .0
        .iter()
        .rfind(|(it, _)| it.eq_ignore_ascii_case(key));
    let children = match children {
        Some((_, value)) => serde_json::from_str::<Option<_>>(value.get())?.unwrap_or_default(),
        None => Vec::new(),
    };
    document.set(key, to_raw_value(&change(children)?)?);
    serde_json::to_vec(&document)
}

/// The descriptor, of `manifest`.
fn replaced(child: &RawValue, manifest: &Manifest) -> serde_json::Result<Box<RawValue>> {
    let mut child: Object = serde_json::from_str(child.get())?;
    // The content that was embedded is another's.
    child.0.retain(|(key, _)| !key.eq_ignore_ascii_case("data"));
    let new = [
        ("digest", to_raw_value(manifest.digest())?),
        ("size", to_raw_value(&manifest.bytes().len())?),
    ];
    for (key, value) in new {
        child.set(key, value);
    }
    to_raw_value(&child)
}

/// An object whose keys keep their order and whose values their text.
struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// Sets the value of `key`, in any case. Of one that comes twice, which readers take for one or the other, one is
    /// left.
    fn set(&mut self, key: &str, value: Box<RawValue>) {
        let is_it = |entry: &(String, _)| entry.0.eq_ignore_ascii_case(key);
        let at = self.0.iter().position(is_it);
        let name = at.map_or_else(|| key.to_owned(), |at| self.0[at].0.clone());
        self.0.retain(|entry| !is_it(entry));
        let at = at.unwrap_or(self.0.len());
        self.0.insert(at, (name, value));
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::Digest;
    use super::super::manifest::Content;
    use super::*;

    fn child(media_type: &str, platform: &str) -> Descriptor {
        let mut child = Manifest::new(media_type, platform.to_owned().into()).descriptor();
        child.platform = Some(platform.parse().unwrap());
        child
    }

    #[test]
    fn an_index_that_gets_more_children_keeps_the_rest_to_the_letter() {
        let new = child(media_type::OCI_MANIFEST, "linux/arm64");
        let json = serde_json::to_string(&new).unwrap();
        for (before, after) in [
            (
                r#"{"a":1.0,"manifests":[{"x":2.50}],"annotations":{"b":"c"}}"#,
                r#"{"a":1.0,"manifests":[{"x":2.50},NEW],"annotations":{"b":"c"}}"#,
            ),
            (r#"{"manifests":null}"#, r#"{"manifests":[NEW]}"#),
            (r#"{"a":1}"#, r#"{"a":1,"manifests":[NEW]}"#),
        ] {
            let before = Manifest::new(media_type::OCI_INDEX, before.into());
            let made = extended(&before, std::slice::from_ref(&new)).unwrap();
            assert_eq!(
                std::str::from_utf8(made.bytes()).unwrap(),
                after.replace("NEW", &json)
            );
        }
    }

    #[test]
    fn the_children_come_back_in_their_order() {
        let children = [
            child(media_type::OCI_MANIFEST, "linux/arm64"),
            child(media_type::OCI_MANIFEST, "linux/amd64"),
        ];
        let index = index_of(&children);
        let Content::Index(view) = index.content().unwrap() else {
            panic!("an index");
        };
        assert_eq!(view.manifests, children);
        assert_eq!(index_of(&children).digest(), index.digest());
    }

    #[test]
    fn the_children_choose_the_kind() {
        let docker = child(media_type::DOCKER_MANIFEST, "linux/amd64");
        let oci = child(media_type::OCI_MANIFEST, "linux/arm64");
        let kind = |children: &[Descriptor]| index_of(children).media_type().to_owned();
        assert_eq!(kind(std::slice::from_ref(&docker)), media_type::DOCKER_LIST);
        assert_eq!(kind(std::slice::from_ref(&oci)), media_type::OCI_INDEX);
        assert_eq!(kind(&[docker, oci]), media_type::OCI_INDEX);
        assert_eq!(kind(&[]), media_type::OCI_INDEX);
    }
    #[test]
    fn what_is_not_edited_keeps_its_text() {
        let digest = |fill: char| format!("sha256:{}", fill.to_string().repeat(64));
        let json = format!(
            r#"{{"x-big": 123456789012345678901234567890, "x-float": 1.50e3, "manifests": [
               {{"mediaType": "m", "digest": "{}", "size": 1, "data": "e30=", "x": 1.0}},
               {{"mediaType": "m", "digest": "{}", "size": 2}},
               {{"mediaType": "m", "digest": "{}", "size": 3, "x": 1e400}}], "annotations": {{"a\u003c": "b"}}}}"#,
            digest('a'),
            digest('b'),
            digest('c'),
        );
        let new = Manifest::new(media_type::OCI_INDEX, "{}".into());
        let edits = [
            ChildEdit::Replace(new.clone()),
            ChildEdit::Drop,
            ChildEdit::Keep,
        ];
        let index = Manifest::new(media_type::OCI_INDEX, json.into());
        let edited = edited(&index, &edits).unwrap();
        let expected = format!(
            r#"{{"x-big":123456789012345678901234567890,"x-float":1.50e3,"manifests":[{{"mediaType":"m","digest":"{}","size":2,"x":1.0}},{{"mediaType": "m", "digest": "{}", "size": 3, "x": 1e400}}],"annotations":{{"a\u003c": "b"}}}}"#,
            new.digest(),
            digest('c')
        );
        assert_eq!(std::str::from_utf8(edited.bytes()).unwrap(), expected);
    }

    #[test]
    fn what_is_missing_in_a_replaced_child_is_added() {
        let digest = Digest::sha256_of(b"x");
        let json = format!(r#"{{"manifests":[{{"digest":"{digest}"}}]}}"#);
        let new = Manifest::new(media_type::OCI_INDEX, "{}".into());
        let index = Manifest::new(media_type::OCI_INDEX, json.into());
        let edited = edited(&index, &[ChildEdit::Replace(new.clone())]).unwrap();
        let expected = format!(
            r#"{{"manifests":[{{"digest":"{}","size":2}}]}}"#,
            new.digest()
        );
        assert_eq!(*edited.bytes(), expected);
    }

    #[test]
    fn an_index_without_children_is_edited() {
        let index = Manifest::new(media_type::OCI_INDEX, r#"{"manifests":null}"#.into());
        let edited = edited(&index, &[]).unwrap();
        assert_eq!(&**edited.bytes(), br#"{"manifests":[]}"#);
    }
}
