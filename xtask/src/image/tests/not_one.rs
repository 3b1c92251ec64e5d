//! Several images instead of one, documents that are too large, and layers that are not there.

use super::bad_input::{file, gzipped_layout, refused};
use super::classic::classic;
use super::layout::Layout;
use super::*;

#[tokio::test]
async fn images_of_two_names_are_not_joined_whatever_their_platforms() {
    let arm = Sample {
        architecture: "arm64",
        layers: vec![layer("arm", 10)],
    };
    let text = refused(&classic(&[Sample::new(), arm.clone()])).await;
    assert!(
        text.contains("several images: app:amd64, app:arm64;"),
        "{text}"
    );
    for names in [["1", "2"], ["1", ""]] {
        let mut layout = Layout::default();
        let samples = [Sample::new(), arm.clone()];
        let listed = samples.iter().zip(names).map(|(sample, name)| {
            let mut image = layout.image(sample, gzip);
            if !name.is_empty() {
                image["annotations"] = json!({"org.opencontainers.image.ref.name": name});
            }
            image
        });
        let listed: Vec<Value> = listed.collect();
        let text = refused(&layout.with(&listed)).await;
        assert!(text.contains("several images: 1, "), "{text}");
    }
}

#[tokio::test]
async fn a_document_that_is_too_large_is_said_to_be() {
    for (ends, name) in [
        (&["index.json"][..], "`index.json`"),
        (&["manifest.json"], "`manifest.json`"),
    ] {
        let mut files = match name {
            "`index.json`" => gzipped_layout(),
            _ => classic(&[Sample::new()]),
        };
        file(&mut files, ends[0]).resize(5 << 20, b' ');
        let text = refused(&files).await;
        assert!(
            text.contains(name) && text.contains("larger than 4 MiB"),
            "{text}"
        );
    }
    // The image's config, its manifest, and one that an index lists with a platform.
    for kind in ["config", "manifest", "child"] {
        let mut layout = Layout::default();
        let sample = Sample::new();
        let mut config = sample.config();
        config.resize(
            if kind == "config" {
                5 << 20
            } else {
                config.len()
            },
            b' ',
        );
        let config = layout.blob(oci::media_type::OCI_CONFIG, config);
        let padding = " ".repeat(if kind == "config" { 0 } else { 5 << 20 });
        let manifest = json!({"config": config, "layers": [], "annotations": {"a": padding}});
        let mut image = layout.document(oci::media_type::OCI_MANIFEST, manifest);
        if kind == "child" {
            image["platform"] = json!({"architecture": "amd64", "os": "linux"});
            image = layout.document(oci::media_type::OCI_INDEX, json!({"manifests": [image]}));
        }
        let text = refused(&layout.with(&[image])).await;
        assert!(
            text.contains("`sha256:") && text.contains("larger than 4 MiB"),
            "{kind}: {text}"
        );
    }
}

#[tokio::test]
async fn only_a_foreign_layer_may_be_elsewhere() {
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    for (media_type, is_whole) in [(rewrite::GZIP_LAYER, false), (foreign, true)] {
        let mut layout = Layout::default();
        let sample = Sample::new();
        let config = layout.blob(oci::media_type::OCI_CONFIG, sample.config());
        let digest = Digest::sha256_of(b"elsewhere");
        let layer = json!({"mediaType": media_type, "digest": digest, "size": 9,
            "urls": ["https://example.com/layer"]});
        let manifest = json!({"config": config, "layers": [layer]});
        let manifest = layout.document(oci::media_type::OCI_MANIFEST, manifest);
        let read = read_archive(&tar(&layout.with(&[manifest]))).await;
        match read {
            Ok(_) => assert!(is_whole, "{media_type}"),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !is_whole && text.contains(&format!("lacks `{digest}`")),
                    "{text}"
                );
            }
        }
    }
}
