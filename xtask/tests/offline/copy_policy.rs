//! What the copier makes of an index on demand: chosen platforms, with and without attestations.

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry};
use hyper::Method;
use serde_json::Value;
use xtask::copy::{Attestations, CopyResult, CopyStatus, MissingPlatform, Policy};
use xtask::oci::{Content, TagOrDigest};

use crate::support::copying::{copy, destination, job, registry_host, repository};
use crate::support::images::{Sample, built, image};

fn wanting(platforms: &[&str]) -> Policy {
    Policy {
        platforms: platforms.iter().map(|it| it.parse().unwrap()).collect(),
        ..Policy::default()
    }
}

fn with(attestations: Attestations) -> Policy {
    Policy {
        attestations,
        ..Policy::default()
    }
}

async fn copy_under(policy: &Policy, sample: &Sample, target: &FakeRegistry) -> CopyResult {
    let source = FakeRegistry::start(Behavior::default()).await;
    sample.place(&source, "app", "v1");
    let destinations = vec![destination(&registry_host(&target.host), "m", &["v1"])];
    let mut job = job(&repository(&source.host, "app"), "v1", destinations);
    job.policy = policy.clone();
    copy(vec![job]).await.remove(0)
}

/// The index at `m:v1`, and its platforms.
async fn index_at(target: &FakeRegistry) -> (Value, Vec<String>) {
    let at = TagOrDigest::Tag("v1".parse().unwrap());
    let manifest = repository(&target.host, "m").get_manifest(&at).await;
    let manifest = manifest.unwrap().expect("it is there");
    let Content::Index(index) = manifest.content().unwrap() else {
        panic!("an index");
    };
    let platforms = index.manifests.iter().map(|child| {
        let platform = child.platform.as_ref();
        platform.map_or_else(String::new, ToString::to_string)
    });
    let platforms = platforms.collect();
    (serde_json::from_slice(manifest.bytes()).unwrap(), platforms)
}

/// A registry that takes a manifest only with everything it refers to.
async fn strict() -> FakeRegistry {
    FakeRegistry::start(Behavior {
        checks_children: true,
        ..Behavior::default()
    })
    .await
}

#[tokio::test]
async fn chosen_platforms_come_with_their_attestations_and_nothing_else_does() {
    let (sample, target) = (built("app", 200_000), strict().await);
    let row = copy_under(&wanting(&["linux/arm64"]), &sample, &target).await;
    assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
    assert_ne!(row.digest, Some(sample.digest()));
    let (document, platforms) = index_at(&target).await;
    assert_eq!(platforms, ["linux/arm64", "unknown/unknown"]);
    assert_eq!(document["annotations"]["made.by"], "a test");
    let amd64 = &sample.blobs[0].0;
    assert_eq!(target.count(Method::PUT, amd64.hex()), 0);

    let again = copy_under(&wanting(&["linux/arm64"]), &sample, &target).await;
    assert_eq!(
        (again.status, again.digest),
        (CopyStatus::Equal, row.digest)
    );
}

#[tokio::test]
async fn choosing_all_there_is_changes_no_byte() {
    let (sample, target) = (built("app", 1000), strict().await);
    let row = copy_under(&wanting(&["linux/arm64", "linux/amd64"]), &sample, &target).await;
    assert_eq!(row.digest, Some(sample.digest()));
}

#[tokio::test]
async fn a_platform_that_the_source_lacks_fails_the_image_unless_that_is_allowed() {
    let (sample, target) = (built("app", 1000), strict().await);
    let mut policy = wanting(&["linux/amd64", "linux/s390x"]);
    let row = copy_under(&policy, &sample, &target).await;
    assert_eq!(
        row.reason.as_deref(),
        Some("source: there is no image for linux/s390x; it has linux/amd64, linux/arm64")
    );
    assert_eq!(row.status, CopyStatus::Failed);
    policy.missing_platform = MissingPlatform::Skip;
    let skipped = copy_under(&policy, &sample, &target).await;
    assert_eq!(
        (skipped.status, skipped.reason),
        (
            CopyStatus::Skipped,
            row.reason
                .map(|it| it + "; what is there under this name stays")
        )
    );
    assert_eq!(target.count(Method::PUT, ""), 0);

    policy.lenient = true;
    let row = copy_under(&policy, &sample, &target).await;
    assert_eq!((row.status, row.incomplete), (CopyStatus::Degraded, true));
    let digest = row.digest.unwrap();
    assert_eq!(
        row.reason,
        Some(format!(
            "the source has no image for linux/s390x; {digest} is without"
        ))
    );
    let (_, platforms) = index_at(&target).await;
    assert_eq!(platforms, ["linux/amd64", "unknown/unknown"]);

    policy.platforms.remove(0);
    let row = copy_under(&policy, &sample, &target).await;
    assert_eq!(row.status, CopyStatus::Skipped, "nothing is left");
}

#[tokio::test]
async fn a_single_image_is_taken_for_the_platform_of_its_config() {
    let sample = image("linux/arm64", &[noise("layer", 1000)]);
    let target = strict().await;
    let row = copy_under(&wanting(&["linux/amd64"]), &sample, &target).await;
    assert_eq!(
        row.reason.as_deref(),
        Some("source: there is no image for linux/amd64; it has linux/arm64")
    );
    let row = copy_under(&wanting(&["linux/arm64"]), &sample, &target).await;
    assert_eq!(row.digest, Some(sample.digest()));
}

#[tokio::test]
async fn attestations_are_kept_or_left_out_as_asked() {
    let sample = built("app", 1000);
    let target = strict().await;
    let row = copy_under(&with(Attestations::Keep), &sample, &target).await;
    assert_eq!(row.digest, Some(sample.digest()));
    let row = copy_under(&with(Attestations::Strip), &sample, &target).await;
    assert_eq!((row.status, row.reason), (CopyStatus::Updated, None));
    let (_, platforms) = index_at(&target).await;
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
}

#[tokio::test]
async fn a_registry_that_refuses_attestations_gets_the_rest_and_is_asked_again_by_the_next_run() {
    let sample = built("app", 1000);
    let target = FakeRegistry::start(Behavior {
        checks_children: true,
        refuses_empty_configs: true,
        ..Behavior::default()
    })
    .await;
    let row = copy_under(&with(Attestations::Auto), &sample, &target).await;
    assert_eq!(row.status, CopyStatus::Degraded);
    let digest = row.digest.clone().unwrap();
    assert_ne!(digest, sample.digest());
    assert_eq!(
        row.reason,
        Some(format!(
            "the registry refuses the attestations; {digest} is without them"
        ))
    );
    let (_, platforms) = index_at(&target).await;
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);

    let uploads = target.count(Method::PUT, "blobs/uploads");
    let again = copy_under(&with(Attestations::Auto), &sample, &target).await;
    assert_eq!(
        (again.status, &again.digest),
        (CopyStatus::Degraded, &row.digest)
    );
    assert_eq!((&again.reason, again.bytes.uploaded), (&row.reason, 0));
    assert_eq!(target.count(Method::PUT, "blobs/uploads"), uploads);
    let kept = copy_under(&with(Attestations::Keep), &sample, &target).await;
    assert_eq!(
        (kept.status, kept.http_status),
        (CopyStatus::Failed, Some(403))
    );

    // It may take them one day.
    target.behave(|behavior| behavior.refuses_empty_configs = false);
    let whole = copy_under(&with(Attestations::Auto), &sample, &target).await;
    assert_eq!(
        (whole.status, whole.digest),
        (CopyStatus::Updated, Some(sample.digest()))
    );
}

#[tokio::test]
async fn a_registry_that_denies_every_manifest_is_not_called_degraded() {
    let sample = built("app", 1000);
    let target = strict().await;
    for _ in 0..20 {
        let denied = fakes::registry::Fault::Respond(403, &[], "no");
        target.fault(Method::PUT, "manifests", denied);
    }
    let row = copy_under(&with(Attestations::Auto), &sample, &target).await;
    assert_eq!(
        (row.status, row.http_status),
        (CopyStatus::Failed, Some(403))
    );
}

#[tokio::test]
async fn one_refusal_that_passes_leaves_nothing_out() {
    let sample = built("app", 1000);
    for body in [
        r#"{"errors":[{"code":"MANIFEST_INVALID","message":"manifest invalid"}]}"#,
        r#"{"errors":[{"code":"DENIED","message":"unknown manifest class"}]}"#,
    ] {
        let target = strict().await;
        let refused = fakes::registry::Fault::Respond(400, &[], body);
        target.fault(Method::PUT, "manifests/v1", refused);
        let row = copy_under(&with(Attestations::Auto), &sample, &target).await;
        assert_eq!(
            (row.status, row.digest),
            (CopyStatus::Created, Some(sample.digest()))
        );
    }
}

#[tokio::test]
async fn an_error_that_does_not_speak_of_the_manifest_is_no_refusal_of_it() {
    let sample = built("app", 1000);
    let target = strict().await;
    for _ in 0..20 {
        let busy = r#"{"errors":[{"code":"UNKNOWN","message":"busy, try again"}]}"#;
        let busy = fakes::registry::Fault::Respond(409, &[], busy);
        target.fault(Method::PUT, "manifests/v1", busy);
    }
    let row = copy_under(&with(Attestations::Auto), &sample, &target).await;
    assert_eq!(
        (row.status, row.http_status),
        (CopyStatus::Failed, Some(409))
    );
    assert_eq!(target.count(Method::PUT, "manifests/v1"), 1);
}
