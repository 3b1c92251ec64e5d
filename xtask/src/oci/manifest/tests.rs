//! Manifests as they come.

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

#[test]
fn what_is_not_what_its_type_says_is_refused() {
    let own = image().replacen(
        '{',
        &format!(r#"{{"mediaType":"{}","#, media_type::OCI_MANIFEST),
        1,
    );
    let index = format!(
        r#"{{"mediaType":"{}","manifests":[]}}"#,
        media_type::OCI_INDEX
    );
    let message = r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#.to_owned();
    let schema1 = r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned();
    for (media_type, json) in [
        (media_type::OCI_INDEX, &own),
        (media_type::DOCKER_LIST, &own),
        (media_type::OCI_INDEX, &image()),
        (media_type::DOCKER_LIST, &message),
        (media_type::OCI_INDEX, &schema1),
        (media_type::OCI_MANIFEST, &index),
        (media_type::OCI_MANIFEST, &message),
    ] {
        let content = Manifest::new(media_type, json.clone().into()).content();
        let is_malformed = matches!(content, Err(ManifestError::Malformed { .. }));
        assert!(is_malformed, "{media_type} {json}: {content:?}");
    }
    // Docker's type and OCI's are one kind, and an index may list nothing.
    for (media_type, json) in [
        (media_type::DOCKER_MANIFEST, own),
        (media_type::DOCKER_LIST, index),
        (media_type::OCI_INDEX, r#"{"manifests":null}"#.to_owned()),
    ] {
        let content = Manifest::new(media_type, json.into()).content();
        assert!(content.is_ok(), "{media_type}: {content:?}");
    }
}
