//! Images of every shape: indexes in indexes, what is no image, one registry for both sides, sources that change or
//! lack something.

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry, Fault};
use hyper::Method;
use serde_json::json;
use xtask::copy::{Attestations, CopyResult, CopyStatus, Policy};
use xtask::oci::{Digest, Manifest, media_type};

use crate::support::client;
use crate::support::copying::{copy, destination, job, registry_host, repository};
use crate::support::images::{Sample, built, image, index, manifest, platform};

async fn plain() -> FakeRegistry {
    FakeRegistry::start(Behavior::default()).await
}

/// A registry that takes a manifest only with everything it refers to.
async fn strict() -> FakeRegistry {
    FakeRegistry::start(Behavior {
        checks_children: true,
        ..Behavior::default()
    })
    .await
}

/// Copies `app:v1` to `m:v1`.
async fn copy_under(policy: Policy, source: &FakeRegistry, target: &FakeRegistry) -> CopyResult {
    let destinations = vec![destination(&registry_host(&target.host), "m", &["v1"])];
    let mut job = job(&repository(&source.host, "app"), "v1", destinations);
    job.policy = policy;
    copy(vec![job]).await.remove(0)
}

fn wanting(platform: &str) -> Policy {
    Policy {
        platforms: vec![platform.parse().unwrap()],
        ..Policy::default()
    }
}

#[tokio::test]
async fn an_index_in_an_index_is_copied_whole_filtered_and_stripped() {
    let inner = built("app", 1000);
    let sample = index(media_type::OCI_INDEX, &[(&inner, json!({}))]);
    let (source, strip) = (
        plain().await,
        Policy {
            attestations: Attestations::Strip,
            ..Policy::default()
        },
    );
    sample.place(&source, "app", "v1");
    let attestation = inner.manifests[2].digest().as_str();
    for (policy, is_whole) in [
        (Policy::default(), true),
        (strip, false),
        (wanting("linux/arm64/v8"), false),
    ] {
        let target = strict().await;
        let row = copy_under(policy, &source, &target).await;
        assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
        assert_eq!(row.digest == Some(sample.digest()), is_whole);
        let has_attestation = target.manifests().keys().any(|(_, at)| at == attestation);
        assert_eq!(has_attestation, is_whole);
    }
}

#[tokio::test]
async fn an_artifacts_manifest_of_the_drafts_of_oci_is_copied_with_its_blobs() {
    let mut sample = Sample {
        blobs: image("linux/amd64", &[noise("sbom", 2000), noise("more", 10)]).blobs,
        manifests: Vec::new(),
    };
    let blobs = sample.blobs.iter();
    let blobs = blobs.map(|(digest, bytes)| {
        json!({"mediaType": "application/json", "digest": digest.to_string(), "size": bytes.len()})
    });
    let document = json!({"mediaType": media_type::OCI_ARTIFACT, "artifactType": "application/vnd.example.sbom",
        "blobs": blobs.collect::<Vec<_>>()});
    let root = Manifest::new(media_type::OCI_ARTIFACT, document.to_string().into());
    sample.manifests.push(root);
    let listed = index(media_type::OCI_INDEX, &[(&sample, json!({}))]);
    for sample in [sample, listed] {
        for policy in [Policy::default(), wanting("linux/amd64")] {
            let (source, target) = (plain().await, strict().await);
            sample.place(&source, "app", "v1");
            let row = copy_under(policy, &source, &target).await;
            assert_eq!(
                (row.status, row.digest),
                (CopyStatus::Created, Some(sample.digest())),
                "{:?}",
                row.reason
            );
            assert_eq!(target.blobs().len(), sample.blobs.len());
        }
    }
}

#[tokio::test]
async fn what_is_no_image_is_copied_whole_although_platforms_are_chosen() {
    let chart = manifest(
        media_type::OCI_MANIFEST,
        ("application/vnd.cncf.helm.config.v1+json", "{}".into()),
        &[(
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            noise("chart", 100),
        )],
    );
    let referrers = index(media_type::OCI_INDEX, &[(&chart, json!({}))]);
    for sample in [chart, referrers] {
        let (source, target) = (plain().await, strict().await);
        sample.place(&source, "app", "v1");
        let row = copy_under(wanting("linux/amd64"), &source, &target).await;
        assert_eq!(
            (row.status, row.digest),
            (CopyStatus::Created, Some(sample.digest()))
        );
        assert!(row.reason.unwrap().contains("no image"));
    }
}

#[tokio::test]
async fn deep_indexes_are_an_error_that_names_the_limit() {
    let mut sample = image("linux/amd64", &[noise("layer", 100)]);
    for _ in 0..500 {
        sample = index(media_type::OCI_INDEX, &[(&sample, json!({}))]);
    }
    let (source, target) = (plain().await, plain().await);
    sample.place(&source, "app", "v1");
    let row = copy_under(Policy::default(), &source, &target).await;
    let reason = row.reason.unwrap();
    assert!(
        reason.contains("more than 32 indexes inside each other"),
        "{reason}"
    );
}

#[tokio::test]
async fn within_one_registry_no_byte_of_a_blob_moves() {
    for name in ["127.0.0.1", "localhost"] {
        let registry = FakeRegistry::start(Behavior {
            mount: Some(201),
            ..Behavior::default()
        })
        .await;
        let sample = built("app", 300_000);
        sample.place(&registry, "app", "v1");
        let source = registry.host.replace("127.0.0.1", name);
        let destinations = vec![destination(&registry_host(&registry.host), "m", &["v1"])];
        let job = job(&repository(&source, "app"), "v1", destinations);
        let row = copy(vec![job]).await.remove(0);
        assert_eq!((row.status, row.bytes.uploaded), (CopyStatus::Created, 0));
        assert!(row.bytes.mounted > 600_000);
        assert_eq!(registry.count(Method::GET, "blobs"), 0);
        assert_eq!(registry.count(Method::PATCH, ""), 0);
    }
}

#[tokio::test]
async fn a_blob_that_one_source_lacks_fails_no_image_of_another() {
    let (source, target) = (plain().await, plain().await);
    let base = noise("base", 300_000);
    let of = |seed: &str| image("linux/amd64", &[base.clone(), noise(seed, 100)]);
    let (whole, lacking) = (of("a"), of("b"));
    whole.place(&source, "whole", "v1");
    lacking.place(&source, "lacking", "v1");
    source.remove_blob("lacking", whole.blobs[0].0.as_str());
    let host = registry_host(&target.host);
    let jobs = ["lacking", "whole"].map(|path| {
        let destinations = vec![destination(&host, path, &["v1"])];
        job(&repository(&source.host, path), "v1", destinations)
    });
    let rows = copy(jobs.into()).await;
    // Whichever comes first: the image that lacks it may mount it from the other.
    assert_eq!(rows[1].status, CopyStatus::Created, "{:?}", rows[1].reason);
}

#[tokio::test]
async fn a_blob_that_came_corrupt_is_read_again() {
    for size in [1000, 500_000] {
        let (source, target) = (plain().await, plain().await);
        let sample = image("linux/amd64", &[noise("layer", size)]);
        sample.place(&source, "app", "v1");
        for (digest, _) in &sample.blobs {
            source.fault(Method::GET, digest.as_str(), Fault::Corrupt);
        }
        let row = copy_under(wanting("linux/amd64"), &source, &target).await;
        assert_eq!((row.status, row.reason), (CopyStatus::Created, None));
        let layer = sample.blobs[0].0.as_str();
        assert_eq!(source.count(Method::GET, layer), 2);
    }
}

#[tokio::test]
async fn all_of_a_corrupt_blob_never_gets_to_a_registry() {
    let (source, target) = (plain().await, plain().await);
    let sample = image("linux/amd64", &[noise("layer", 500_000)]);
    sample.place(&source, "app", "v1");
    let layer = sample.blobs[0].0.as_str();
    for _ in 0..20 {
        source.fault(Method::GET, layer, Fault::Corrupt);
    }
    let row = copy_under(wanting("linux/amd64"), &source, &target).await;
    assert_eq!(row.status, CopyStatus::Failed);
    // With its last byte, a registry that checks no digest would take it.
    assert_eq!(
        target.count(Method::PUT, "blobs/uploads"),
        1,
        "the config alone"
    );
}

#[tokio::test]
async fn a_tag_that_moves_while_it_is_read_is_looked_at_again() {
    let (source, target) = (plain().await, plain().await);
    let of = |seed: &str| image("linux/amd64", &[noise(seed, 100)]);
    let (old, new): (Sample, Sample) = (of("old"), of("new"));
    of("other").place(&target, "m", "v1");
    new.place(&source, "app", "v1");
    // The answer to HEAD still names what was there before, which is gone.
    let old = old.digest().to_string();
    let before = [
        ("content-type", media_type::OCI_MANIFEST),
        ("content-length", "7"),
        ("docker-content-digest", Box::leak(old.into_boxed_str())),
    ];
    let before: &'static [(&str, &str)] = Box::leak(Box::new(before));
    source.fault(
        Method::HEAD,
        "manifests/v1",
        Fault::Respond(200, before, ""),
    );
    let row = copy_under(Policy::default(), &source, &target).await;
    assert_eq!(
        (row.status, row.digest),
        (CopyStatus::Updated, Some(new.digest()))
    );
    assert_eq!(row.tags.len(), 1);
}

#[tokio::test]
async fn an_image_that_is_known_by_sha512_stays_it_or_is_told_by_what_the_registry_names_it() {
    let with_digests = Behavior {
        takes_digests: true,
        ..Behavior::default()
    };
    let source = FakeRegistry::start(with_digests.clone()).await;
    let sample = image("linux/amd64", &[noise("layer", 100)]);
    sample.place(&source, "app", "v0");
    let bytes = sample.root().bytes();
    let zeros: Digest = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
    let sha512 = zeros.same_algorithm(bytes);
    let url = format!("http://{}/v2/app/manifests/v1?digest={sha512}", source.host);
    let put = client().put(url).body(bytes.clone());
    let put = put.header("content-type", media_type::OCI_MANIFEST).send();
    assert_eq!(put.await.unwrap().status(), 201);

    for (target, named) in [
        (FakeRegistry::start(with_digests).await, sha512),
        (plain().await, sample.digest()),
    ] {
        for status in [CopyStatus::Created, CopyStatus::Equal] {
            let row = copy_under(Policy::default(), &source, &target).await;
            assert_eq!((row.status, row.digest), (status, Some(named.clone())));
        }
        let stored = &target.manifests()[&("m".to_owned(), named.to_string())];
        assert_eq!(stored.1, *bytes);
    }
}

#[tokio::test]
async fn each_blob_counts_once_and_a_dry_run_says_what_the_run_says() {
    let layer = noise("layer", 1_000_000);
    let images = ["amd64", "arm64", "s390x"].map(|it| {
        let name = format!("linux/{it}");
        (image(&name, std::slice::from_ref(&layer)), platform(&name))
    });
    let children: Vec<_> = images.iter().map(|(it, more)| (it, more.clone())).collect();
    let sample = index(media_type::OCI_INDEX, &children);
    let (source, target) = (plain().await, plain().await);
    sample.place(&source, "app", "v1");
    target.put_blob("m", sample.blobs[0].0.as_str(), layer);
    let row = copy_under(Policy::default(), &source, &target).await;
    assert_eq!(row.bytes.skipped, 1_000_000);
}
