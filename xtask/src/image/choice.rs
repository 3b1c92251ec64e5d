//! Which of the images that a layout or an OCI archive lists are meant. Pure.

use bytes::Bytes;

use super::error::Error;
use super::rewrite::NAMES;
use crate::oci::{Content, Descriptor, Manifest, Tag, TagOrDigest, media_type};

/// The images that are meant: the `wanted` one or, without, all but what is only about others, such as a signature that
/// was copied with its image. `document` gives the manifest that a descriptor lists.
pub(super) fn chosen(
    listed: Vec<Descriptor>,
    wanted: Option<&TagOrDigest>,
    document: impl Fn(&Descriptor) -> Option<Bytes>,
) -> Result<Vec<Descriptor>, Error> {
    let Some(wanted) = wanted else {
        let is_image = |it: &Descriptor| {
            !is_cosigns(it) && !document(it).is_some_and(|bytes| is_about(it, bytes))
        };
        return Ok(match listed.iter().any(is_image) {
            true => listed.iter().filter(|it| is_image(it)).cloned().collect(),
            false => listed,
        });
    };
    let is_wanted = |it: &&Descriptor| match wanted {
        TagOrDigest::Digest(digest) => it.digest == *digest,
        TagOrDigest::Tag(tag) => name(it).is_some_and(|name| {
            name == tag.as_str()
                || name
                    .rsplit_once(':')
                    .is_some_and(|(_, it)| it == tag.as_str())
        }),
    };
    let found: Vec<Descriptor> = listed.iter().filter(is_wanted).cloned().collect();
    match found.is_empty() {
        true => Err(Error::NoSuchImage {
            wanted: wanted.to_string(),
            listed: listed.iter().map(name_or_digest).collect(),
        }),
        false => Ok(found),
    }
}

/// Whether cosign made it: its tags are named after a digest, and `cosign save` names a kind instead.
fn is_cosigns(listed: &Descriptor) -> bool {
    let kind = listed.annotations.as_ref().and_then(|it| it.get("kind"));
    let tag = name(listed).and_then(|it| it.rsplit(':').next()?.parse::<Tag>().ok());
    tag.is_some_and(|it| it.is_of_digest())
        || kind.is_some_and(|it| {
            it.starts_with("dev.cosignproject.cosign/") && !it.ends_with("/image")
        })
}

/// Whether it is about another manifest, or an artifact.
fn is_about(listed: &Descriptor, bytes: Bytes) -> bool {
    match Manifest::new(&listed.media_type, bytes).content() {
        Ok(Content::Image(image)) => {
            let is_artifact = !media_type::is_config(&image.config.media_type)
                || image
                    .artifact_type
                    .as_deref()
                    .is_some_and(|it| !it.is_empty());
            image.subject.is_some() || is_artifact
        }
        Ok(Content::Artifact(_)) => true,
        _ => false,
    }
}

/// The name of an image in its archive.
pub(super) fn name(listed: &Descriptor) -> Option<&str> {
    let annotations = listed.annotations.as_ref()?;
    let mut names = NAMES.iter().filter_map(|key| annotations.get(*key));
    names.next().map(String::as_str)
}

/// For people.
fn name_or_digest(listed: &Descriptor) -> String {
    name(listed).map_or_else(|| listed.digest.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::oci::Digest;

    fn manifest(config: &str, seed: &str, subject: Option<&Manifest>) -> Manifest {
        let config = Descriptor::new(config, Digest::sha256_of(seed.as_bytes()), 1);
        let subject = subject.map(Manifest::descriptor);
        let json = json!({"config": config, "layers": [], "subject": subject});
        Manifest::new(media_type::OCI_MANIFEST, json.to_string().into())
    }

    #[test]
    fn an_image_is_told_from_what_is_about_it_and_chosen_by_tag_or_digest() {
        let image = manifest(media_type::OCI_CONFIG, "a", None);
        let other = manifest(media_type::OCI_CONFIG, "b", None);
        let signature = manifest(media_type::OCI_CONFIG, "c", Some(&image));
        let chart = manifest("application/vnd.cncf.helm.config.v1+json", "d", None);
        let named = |manifest: &Manifest, name: &str| Descriptor {
            annotations: Some(BTreeMap::from([(NAMES[1].to_owned(), name.to_owned())])),
            ..manifest.descriptor()
        };
        let all = [&image, &other, &signature, &chart];
        let document = |it: &Descriptor| {
            let found = all.iter().find(|manifest| *manifest.digest() == it.digest);
            found.map(|manifest| manifest.bytes().clone())
        };
        let choose = |listed: &[Descriptor], wanted: Option<&str>| {
            let wanted = wanted.map(|it| match it.strip_prefix('@') {
                Some(digest) => TagOrDigest::Digest(digest.parse().unwrap()),
                None => TagOrDigest::Tag(it.parse().unwrap()),
            });
            let chosen = chosen(listed.to_vec(), wanted.as_ref(), document)?;
            Ok::<Vec<Digest>, Error>(chosen.into_iter().map(|it| it.digest).collect())
        };
        let listed = [
            named(&image, "1.2"),
            named(&other, "example.com:5000/app:1.3"),
            signature.descriptor(),
            chart.descriptor(),
        ];
        let digests = |all: &[&Manifest]| -> Vec<Digest> {
            all.iter().map(|it| it.digest().clone()).collect()
        };
        assert_eq!(choose(&listed, None).unwrap(), digests(&[&image, &other]));
        // As regctl names cosign's, and as `cosign save` marks them.
        let prefix = image.digest().tag_prefix();
        let kind = |kind: &str, manifest: &Manifest| Descriptor {
            annotations: Some(BTreeMap::from([(
                "kind".to_owned(),
                format!("dev.cosignproject.cosign/{kind}"),
            )])),
            ..manifest.descriptor()
        };
        for cosigns in [
            [
                named(&image, "1.2"),
                named(&other, &format!("{prefix}.sig")),
            ],
            [kind("image", &image), kind("sigs", &other)],
        ] {
            assert_eq!(choose(&cosigns, None).unwrap(), digests(&[&image]));
        }
        assert_eq!(choose(&listed[3..], None).unwrap(), digests(&[&chart]));
        assert_eq!(choose(&listed, Some("1.2")).unwrap(), digests(&[&image]));
        assert_eq!(choose(&listed, Some("1.3")).unwrap(), digests(&[&other]));
        let at = format!("@{}", chart.digest());
        assert_eq!(choose(&listed, Some(&at)).unwrap(), digests(&[&chart]));
        let error = choose(&listed, Some("9")).unwrap_err().to_string();
        assert!(
            error.contains("`9`") && error.contains("1.2, example.com:5000/app:1.3"),
            "{error}"
        );
    }
}
