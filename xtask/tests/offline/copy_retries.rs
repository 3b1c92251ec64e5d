//! The copier on a destination's bad days: it uploads again from the spool, in the right order, and not for ever.

use fakes::noise;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, PASSWORD, Rule, USER};
use hyper::Method;
use xtask::copy::{CopyResult, CopyStatus, Options, RegistryHost};
use xtask::oci::Digest;

use crate::support::client::{login, registry};
use crate::support::copying::{
    OPTIONS, copy, copy_with, destination, job, reads, registry_host, repository,
};
use crate::support::images::{Sample, built, image};

/// A source and a registry that takes no manifest before its children.
async fn servers(sample: &Sample) -> (FakeRegistry, FakeRegistry) {
    let source = FakeRegistry::start(Behavior::default()).await;
    sample.place(&source, "app", "v1");
    let behavior = Behavior {
        checks_children: true,
        ..Behavior::default()
    };
    (source, FakeRegistry::start(behavior).await)
}

/// Copies `app:v1` to `m:v1`.
async fn copy_one(source: &FakeRegistry, target: &FakeRegistry, options: Options) -> CopyResult {
    let destinations = vec![destination(&registry_host(&target.host), "m", &["v1"])];
    let jobs = vec![job(&repository(&source.host, "app"), "v1", destinations)];
    copy_with(jobs, options).await.remove(0)
}

fn large() -> Sample {
    image("linux/amd64", &[noise("large", 400_000)])
}

#[tokio::test]
async fn an_upload_that_breaks_begins_again_and_the_source_does_not_notice() {
    let lost = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#;
    for (method, fault) in [
        (Method::PATCH, Fault::CloseAfter(100_000)),
        (Method::PATCH, Fault::Disconnect),
        (Method::PATCH, Fault::Respond(502, &[], "<html>")),
        (Method::PATCH, Fault::Respond(404, &[], lost)),
        (Method::PATCH, Fault::Respond(416, &[], "")),
        (
            Method::PATCH,
            Fault::Respond(429, &[("retry-after", "0")], "slow down"),
        ),
        (Method::PUT, Fault::Respond(404, &[], lost)),
        (Method::PUT, Fault::CloseAfter(0)),
    ] {
        let sample = large();
        let (source, target) = servers(&sample).await;
        target.fault(method.clone(), "uploads/session-1", fault);
        let row = copy_one(&source, &target, OPTIONS).await;
        assert_eq!((row.status, row.reason), (CopyStatus::Created, None));
        sample.assert_at(&repository(&target.host, "m"), "v1").await;
        assert_eq!(reads(&source, &sample), [1, 1]);
    }
}

#[tokio::test]
async fn a_large_blob_for_one_repository_is_read_again_and_for_two_it_is_not() {
    for (repositories, read) in [(&["m"][..], 2), (&["m", "n"], 1)] {
        let sample = image("linux/amd64", &[noise("large", 9_000_000)]);
        let (source, target) = servers(&sample).await;
        target.fault(
            Method::PATCH,
            "uploads/session-1",
            Fault::CloseAfter(8_000_000),
        );
        let host = registry_host(&target.host);
        let destinations = repositories
            .iter()
            .map(|it| destination(&host, it, &["v1"]));
        let job = job(
            &repository(&source.host, "app"),
            "v1",
            destinations.collect(),
        );
        for (row, name) in copy(vec![job]).await.iter().zip(repositories) {
            assert_eq!((row.status, &row.reason), (CopyStatus::Created, &None));
            sample
                .assert_at(&repository(&target.host, name), "v1")
                .await;
        }
        let layer = sample.blobs[0].0.as_str();
        assert_eq!(source.count(Method::GET, layer), read);
    }
}

#[tokio::test]
async fn an_upload_is_not_tried_for_ever() {
    let sample = large();
    let (source, target) = servers(&sample).await;
    for _ in 0..9 {
        target.fault(Method::PATCH, "uploads", Fault::Respond(503, &[], ""));
    }
    let options = Options {
        retries: 1,
        ..OPTIONS
    };
    let row = copy_one(&source, &target, options).await;
    assert_eq!(
        (row.status, row.http_status),
        (CopyStatus::Failed, Some(503))
    );
    assert_eq!(target.count(Method::PATCH, "uploads"), 2);
    assert_eq!(target.count(Method::PUT, "manifests"), 0);
}

#[tokio::test]
async fn what_the_client_repeats_itself_is_not_repeated_once_more() {
    // One blob, its config: of two, the failure of one ends the tries for the other.
    let sample = image("linux/amd64", &[]);
    let (source, target) = servers(&sample).await;
    for _ in 0..9 {
        target.fault(Method::POST, "uploads", Fault::Respond(503, &[], ""));
    }
    let row = copy_one(&source, &target, OPTIONS).await;
    assert_eq!(
        (row.status, row.http_status),
        (CopyStatus::Failed, Some(503))
    );
    assert_eq!(target.count(Method::POST, "uploads"), 3);
}

#[tokio::test]
async fn a_rate_limit_on_a_manifest_is_waited_out() {
    let sample = built("app", 1000);
    let (source, target) = servers(&sample).await;
    let limit = Fault::Respond(429, &[("retry-after", "1")], "slow down");
    target.fault(Method::PUT, "manifests/v1", limit);
    let row = copy_one(&source, &target, OPTIONS).await;
    assert_eq!(row.status, CopyStatus::Created);
    assert!(row.seconds >= 1.0);
}

#[tokio::test]
async fn a_commit_that_is_denied_although_it_was_done_uploads_nothing_again() {
    let sample = large();
    let (source, target) = servers(&sample).await;
    target.fault(Method::PUT, "uploads", Fault::WrongStatus(404));
    let row = copy_one(&source, &target, OPTIONS).await;
    assert_eq!(row.status, CopyStatus::Created);
    assert_eq!(target.count(Method::PATCH, "uploads"), 1);
}

#[tokio::test]
async fn blobs_that_were_said_to_be_there_are_uploaded_when_they_are_not() {
    let sample = built("app", 200_000);
    let (source, target) = servers(&sample).await;
    let layer = &sample.blobs[0].0;
    let part = format!("blobs/{layer}");
    target.fault(Method::HEAD, &part, Fault::WrongStatus(200));
    let row = copy_one(&source, &target, OPTIONS).await;
    assert_eq!((row.status, row.reason), (CopyStatus::Created, None));
    sample.assert_at(&repository(&target.host, "m"), "v1").await;
    assert_eq!(reads(&source, &sample), [1; 7]);
}

#[tokio::test]
async fn a_registry_that_always_misses_something_is_given_up() {
    // distribution says the second while another request writes what links the blob to the repository.
    let missing = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#;
    let unreadable = r#"{"errors":[{"code":"DIGEST_INVALID"},{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#;
    for said in [missing, unreadable] {
        let sample = large();
        let (source, target) = servers(&sample).await;
        for _ in 0..9 {
            target.fault(Method::PUT, "manifests", Fault::Respond(404, &[], said));
        }
        let row = copy_one(&source, &target, OPTIONS).await;
        assert_eq!(
            (row.status, row.http_status),
            (CopyStatus::Failed, Some(404))
        );
        assert!(row.reason.unwrap().contains("MANIFEST_BLOB_UNKNOWN"));
        assert_eq!(target.count(Method::PUT, "manifests"), 3);
        assert_eq!(target.count(Method::PATCH, "uploads"), 3);
        assert_eq!(reads(&source, &sample), [1, 1]);
    }
}

#[tokio::test]
async fn a_blob_that_another_repository_has_is_mounted_or_else_uploaded() {
    for (status, is_mounted) in [(201, true), (202, false), (405, false), (403, false)] {
        let sample = large();
        let source = FakeRegistry::start(Behavior::default()).await;
        sample.place(&source, "app", "v1");
        let target = FakeRegistry::start(Behavior {
            mount: Some(status),
            auth: AuthMode::Tokens,
            checks_children: true,
            ..Behavior::default()
        })
        .await;
        let signed_in = registry(&target.host, login(USER, PASSWORD));
        let to = RegistryHost::new(&target.host, signed_in.clone());
        let from = repository(&source.host, "app");
        let destinations = ["one", "two", "three"].map(|path| destination(&to, path, &["v1"]));
        let rows = copy(vec![job(&from, "v1", destinations.to_vec())]).await;
        let total = |field: fn(&CopyResult) -> u64| rows.iter().map(field).sum::<u64>();
        let size: u64 = sample.blobs.iter().map(|(_, it)| it.len() as u64).sum();
        let (uploaded, mounted) = (
            total(|row| row.bytes.uploaded),
            total(|row| row.bytes.mounted),
        );
        match is_mounted {
            true => assert_eq!((uploaded, mounted), (size, 2 * size)),
            false => assert_eq!((uploaded, mounted), (3 * size, 0), "{status}"),
        }
        for path in ["one", "two", "three"] {
            sample.assert_at(&signed_in.repository(path), "v1").await;
        }
        assert_eq!(reads(&source, &sample), [1, 1]);
    }
}

#[tokio::test]
async fn a_tag_appears_last_and_a_parent_after_its_children() {
    let sample = built("app", 200_000);
    let (source, target) = servers(&sample).await;
    let to = registry_host(&target.host);
    let destinations = vec![destination(&to, "m", &["v1", "latest"])];
    copy(vec![job(
        &repository(&source.host, "app"),
        "v1",
        destinations,
    )])
    .await;
    let seen = target.requests();
    let is_put = |part: &str| {
        let position = seen
            .iter()
            .position(|it| it.method == Method::PUT && it.target.contains(part));
        position.unwrap_or_else(|| panic!("no PUT of {part}"))
    };
    let last_blob = sample
        .blobs
        .iter()
        .map(|(digest, _): &(Digest, _)| is_put(&format!("digest=sha256%3A{}", digest.hex())))
        .max();
    let (root, children) = sample.manifests.split_last().unwrap();
    let children: Vec<_> = children
        .iter()
        .map(|it| is_put(&format!("manifests/{}", it.digest())))
        .collect();
    assert!(last_blob < children.iter().copied().min());
    assert!(children.iter().max() < Some(&is_put("manifests/v1")));
    assert!(is_put("manifests/v1") < is_put("manifests/latest"));
    assert_eq!(seen.len() - 1, is_put("manifests/latest"));
    assert_eq!(target.count(Method::PUT, &root.digest().to_string()), 0);
}

#[tokio::test]
async fn a_tag_does_not_appear_over_something_that_failed() {
    let sample = built("app", 200_000);
    let (source, target) = servers(&sample).await;
    let attestation = sample.manifests[3].digest();
    target.fault(
        Method::PUT,
        &format!("manifests/{attestation}"),
        Fault::Respond(413, &[], ""),
    );
    let row = copy_one(&source, &target, OPTIONS).await;
    assert_eq!(
        (row.status, row.http_status),
        (CopyStatus::Failed, Some(413))
    );
    assert_eq!(target.count(Method::PUT, "manifests/v1"), 0);
}

#[tokio::test]
async fn a_mount_that_was_none_is_made_good_by_an_upload() {
    let sample = large();
    let (source, target) = servers(&sample).await;
    let nothing = Fault::Respond(201, &[], "");
    target.rule(Rule::new(nothing).method(Method::POST).path("mount="));
    let host = RegistryHost::new(&target.host, registry(&target.host, login(USER, PASSWORD)));
    for path in ["one", "two"] {
        let destinations = vec![destination(&host, path, &["v1"])];
        let from = repository(&source.host, "app");
        let rows = copy(vec![job(&from, "v1", destinations)]).await;
        assert_eq!(
            (rows[0].status, &rows[0].reason),
            (CopyStatus::Created, &None)
        );
        assert_eq!(rows[0].bytes.mounted, 0);
        sample
            .assert_at(&repository(&target.host, path), "v1")
            .await;
    }
    assert!(target.count(Method::POST, "mount=") > 0);
}
