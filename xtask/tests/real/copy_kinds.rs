//! The copier with every kind of image, from one real registry to another: the same digests at both.

use bytes::Bytes;
use fakes::noise;
use serde_json::json;
use xtask::copy::CopyStatus;
use xtask::oci::{Manifest, TagOrDigest, media_type};

use crate::servers::distribution::Distribution;
use crate::support::copying::{copy, destination, job, registry_host, repository};
use crate::support::images::{
    EMPTY, OCI_CONFIG, OCI_LAYER, Sample, attestation, attests, built, image, index, manifest,
    manifest_with, platform,
};

/// Copies a sample between two fresh registries, and looks at the other side; returns the bytes that moved.
async fn arrives(sample: &Sample) -> u64 {
    let (from, to) = (Distribution::open(), Distribution::open());
    let source = repository(&from.host, "library/app");
    sample.push(&source, "v1").await;
    let target = registry_host(&to.host);
    let rows = copy(vec![job(
        &source,
        "v1",
        vec![destination(&target, "mirror/library/app", &["v1"])],
    )])
    .await;
    assert_eq!(rows[0].reason, None);
    assert_eq!(rows[0].status, CopyStatus::Created);
    assert_eq!(rows[0].digest, Some(sample.digest()));
    let there = repository(&to.host, "mirror/library/app");
    sample.assert_at(&there, "v1").await;
    rows[0].bytes.uploaded
}

#[tokio::test]
async fn a_docker_image() {
    let layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let config = "application/vnd.docker.container.image.v1+json";
    let layers = [
        (layer, noise("base", 700_000)),
        (layer, noise("top", 90_000)),
    ];
    let sample = manifest(
        media_type::DOCKER_MANIFEST,
        (config, noise("c", 900)),
        &layers,
    );
    assert_eq!(arrives(&sample).await, 790_900);
}

#[tokio::test]
async fn a_docker_manifest_list() {
    let layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let config = "application/vnd.docker.container.image.v1+json";
    let of = |arch: &str| {
        let layers = [(layer, noise(arch, 5000))];
        manifest(
            media_type::DOCKER_MANIFEST,
            (config, noise(arch, 300)),
            &layers,
        )
    };
    let children = [
        (&of("amd64"), platform("linux/amd64")),
        (&of("arm"), platform("linux/arm/v7")),
    ];
    arrives(&index(media_type::DOCKER_LIST, &children)).await;
}

#[tokio::test]
async fn an_oci_image_whose_layers_repeat_and_one_of_which_is_empty() {
    let layers = [
        noise("a", 3000),
        Bytes::new(),
        noise("b", 200_000),
        Bytes::new(),
        noise("a", 3000),
    ];
    let config = r#"{"os":"linux","architecture":"amd64","variant":null}"#.len() as u64;
    assert_eq!(
        arrives(&image("linux/amd64", &layers)).await,
        203_000 + config
    );
}

#[tokio::test]
async fn an_oci_index_with_build_attestations() {
    arrives(&built("app", 150_000)).await;
}

#[tokio::test]
async fn an_index_in_an_index() {
    let inner = built("inner", 1000);
    let other = image("linux/s390x", &[noise("other", 1000)]);
    let children = [(&inner, json!({})), (&other, platform("linux/s390x"))];
    arrives(&index(media_type::OCI_INDEX, &children)).await;
}

#[tokio::test]
async fn layers_in_zstd_are_only_bytes() {
    let layers = [(
        "application/vnd.oci.image.layer.v1.tar+zstd",
        noise("zstd", 300_000),
    )];
    let config = (OCI_CONFIG, "{}".into());
    arrives(&manifest(media_type::OCI_MANIFEST, config, &layers)).await;
}

#[tokio::test]
async fn an_artifact_with_an_empty_config_and_a_subject_that_is_elsewhere() {
    let subject = image("linux/amd64", &[noise("subject", 10)]);
    let more = json!({"artifactType": "application/vnd.example.sbom", "subject": subject.root().descriptor()});
    let layers = [("text/spdx+json", noise("sbom", 4000))];
    let config = (EMPTY, "{}".into());
    arrives(&manifest_with(
        media_type::OCI_MANIFEST,
        config,
        &layers,
        more,
    ))
    .await;
}

#[tokio::test]
async fn a_build_cache_is_an_index_of_layers() {
    let mut sample = Sample {
        blobs: image("linux/amd64", &[noise("one", 2000), noise("two", 2000)]).blobs,
        manifests: Vec::new(),
    };
    let entry = |at: usize, media_type: &str| {
        let (digest, bytes) = &sample.blobs[at];
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    };
    let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [
        entry(0, OCI_LAYER), entry(1, OCI_LAYER), entry(2, "application/vnd.buildkit.cacheconfig.v0")]});
    let root = Manifest::new(media_type::OCI_INDEX, document.to_string().into());
    sample.manifests.push(root);
    arrives(&sample).await;
}

#[tokio::test]
async fn layers_that_live_elsewhere_stay_there() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let absent = xtask::oci::Digest::sha256_of(b"windows");
    let mut sample = manifest(
        media_type::DOCKER_MANIFEST,
        (
            "application/vnd.docker.container.image.v1+json",
            "{}".into(),
        ),
        &[(
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            noise("own", 500),
        )],
    );
    let mut document: serde_json::Value =
        serde_json::from_slice(sample.root().bytes()).expect("JSON");
    let layer = json!({"mediaType": foreign, "digest": absent.to_string(), "size": 1_000_000,
        "urls": ["https://mcr.example/windows"]});
    document["layers"].as_array_mut().unwrap().insert(0, layer);
    sample.manifests = vec![Manifest::new(
        media_type::DOCKER_MANIFEST,
        document.to_string().into(),
    )];
    assert_eq!(arrives(&sample).await, 502);
}

#[tokio::test]
async fn attestations_by_themselves_are_images_like_any_other() {
    let (subject, proof) = (image("linux/amd64", &[noise("s", 10)]), attestation("p"));
    let children = [(&proof, attests(&subject))];
    arrives(&index(media_type::OCI_INDEX, &children)).await;
}

#[tokio::test]
async fn several_tags_get_one_image_and_a_place_without_tags_gets_it_by_digest() {
    let (from, to) = (Distribution::open(), Distribution::open());
    let source = repository(&from.host, "app");
    let sample = built("app", 2000);
    sample.push(&source, "v1").await;
    let target = registry_host(&to.host);
    let destinations = || {
        vec![
            destination(&target, "tagged", &["1.2.3", "1.2", "latest"]),
            destination(&target, "bare", &[]),
        ]
    };
    let rows = copy(vec![job(&source, "v1", destinations())]).await;
    for tag in ["1.2.3", "1.2", "latest"] {
        sample.assert_at(&repository(&to.host, "tagged"), tag).await;
    }
    let at: TagOrDigest = sample.root().digest().clone().into();
    let bare = repository(&to.host, "bare").get_manifest(&at).await;
    assert_eq!(bare.unwrap().as_ref(), Some(sample.root()));
    assert_eq!(
        rows[1].reference.to_string(),
        format!("{}/bare@{}", to.host, sample.digest())
    );
    let verdicts =
        |rows: &[xtask::copy::CopyResult]| rows.iter().map(|row| row.status).collect::<Vec<_>>();
    assert_eq!(verdicts(&rows), [CopyStatus::Created; 2]);
    let rows = copy(vec![job(&source, "v1", destinations())]).await;
    assert_eq!(verdicts(&rows), [CopyStatus::Equal; 2]);
}
