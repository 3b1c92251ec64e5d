//! What belongs to an image goes with it.

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry, Fault, Rule};
use hyper::Method;
use serde_json::json;
use xtask::copy::{CopyStatus, Job, Policy};
use xtask::oci::{index_of, media_type};

use crate::support::client::tag;
use crate::support::copying::{copy, destination, job, registry_host, repository};
use crate::support::images::{EMPTY, Sample, built, image, manifest_with};

/// A signature as tools make it: an artifact about `subject`.
fn signature(seed: &str, subject: &Sample) -> Sample {
    manifest_with(
        media_type::OCI_MANIFEST,
        (EMPTY, "{}".into()),
        &[(
            "application/vnd.dev.cosign.simplesigning.v1+json",
            noise(seed, 50),
        )],
        json!({"artifactType": "application/vnd.example.signature", "subject": subject.root().descriptor()}),
    )
}

async fn registry(lists_referrers: bool) -> FakeRegistry {
    FakeRegistry::start(Behavior {
        lists_referrers,
        ..Behavior::default()
    })
    .await
}

fn kept(source: &FakeRegistry, target: &FakeRegistry) -> Vec<Job> {
    let to = registry_host(&target.host);
    let from = repository(&source.host, "app");
    let mut job = job(&from, "v1", vec![destination(&to, "m", &["v1"])]);
    job.policy = Policy::default();
    vec![job]
}

fn put_index(server: &FakeRegistry, path: &str, of: &Sample, entries: &[&Sample]) {
    let entries: Vec<_> = entries.iter().map(|it| it.root().descriptor()).collect();
    let index = index_of(&entries);
    let tag = of.digest().tag_prefix();
    server.put_manifest(path, &tag, index.media_type(), index.bytes().clone());
}

#[tokio::test]
async fn signatures_go_with_an_image_and_the_destination_keeps_its_own() {
    for (at_source, at_target) in [(true, true), (true, false), (false, true), (false, false)] {
        let (source, target) = (registry(at_source).await, registry(at_target).await);
        let app = built("app", 100);
        app.place(&source, "app", "v1");
        app.place(&target, "m", "v1");
        // Signed after the image was copied; the SBOM is signed itself.
        let sbom = signature("sbom", &app);
        let of_sbom = signature("signature", &sbom);
        let own = signature("own", &app);
        for (sample, name) in [(&sbom, "a"), (&of_sbom, "b")] {
            sample.place(&source, "app", name);
        }
        own.place(&target, "m", "own");
        if !at_source {
            put_index(&source, "app", &app, &[&sbom]);
            put_index(&source, "app", &sbom, &[&of_sbom]);
        }
        if !at_target {
            put_index(&target, "m", &app, &[&own]);
        }
        let cosign = image("linux/amd64", &[noise("cosign", 50)]);
        let child = app.manifests[0].digest().tag_prefix();
        for name in [app.digest().tag_prefix() + ".sig", child + ".att"] {
            cosign.place(&source, "app", &name);
        }
        let rows = copy(kept(&source, &target)).await;
        assert_eq!(
            (rows[0].status, &rows[0].reason),
            (
                CopyStatus::Updated,
                &Some("only 4 of its referrers are new".to_owned())
            )
        );
        assert_eq!(rows[0].referrers, 4);
        let there = repository(&target.host, "m");
        let mut found = there.referrers(&app.digest()).await.unwrap();
        found.sort_by_key(|it| it.digest.to_string());
        let mut wanted = vec![sbom.digest(), own.digest()];
        wanted.sort_by_key(ToString::to_string);
        assert_eq!(
            found.into_iter().map(|it| it.digest).collect::<Vec<_>>(),
            wanted
        );
        let second = there.referrers(&sbom.digest()).await.unwrap();
        assert_eq!(second[0].digest, of_sbom.digest());
        let name = app.digest().tag_prefix() + ".sig";
        cosign.assert_at(&there, &name).await;
        assert_eq!(
            copy(kept(&source, &target)).await[0].status,
            CopyStatus::Equal
        );
    }
}

#[tokio::test]
async fn an_image_without_any_costs_a_listing_and_one_request() {
    let (source, target) = (registry(true).await, registry(true).await);
    let app = built("app", 100);
    app.place(&source, "app", "v1");
    app.place(&target, "m", "v1");
    assert_eq!(
        copy(kept(&source, &target)).await[0].status,
        CopyStatus::Equal
    );
    assert_eq!((source.requests().len(), target.requests().len()), (3, 1));
}

#[tokio::test]
async fn what_is_wrong_is_told_and_left() {
    // A listed artifact that is about something else.
    let (source, target) = (registry(false).await, registry(false).await);
    let (app, other) = (built("app", 100), built("other", 100));
    app.place(&source, "app", "v1");
    let stray = signature("stray", &other);
    stray.place(&source, "app", "s");
    put_index(&source, "app", &app, &[&stray]);
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(rows[0].status, CopyStatus::Degraded);
    assert!(rows[0].reason.as_ref().unwrap().contains("is not about"));

    // The destination's tag names an image: it is not overwritten.
    let (source, target) = (registry(false).await, registry(false).await);
    app.place(&source, "app", "v1");
    let good = signature("good", &app);
    good.place(&source, "app", "s");
    put_index(&source, "app", &app, &[&good]);
    let name = app.digest().tag_prefix();
    let image = image("linux/amd64", &[noise("image", 50)]);
    image.place(&target, "m", &name);
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(rows[0].status, CopyStatus::Degraded);
    let there = repository(&target.host, "m");
    let held = there.get_manifest(&tag(&name)).await.unwrap();
    assert_eq!(held.as_ref(), Some(image.root()));
}

/// Jobs for images of one repository, all copied by one client.
fn all_kept(source: &FakeRegistry, target: &FakeRegistry, names: &[&str]) -> Vec<Job> {
    let (to, from) = (registry_host(&target.host), repository(&source.host, "app"));
    let jobs = names.iter().map(|name| {
        let mut job = job(&from, name, vec![destination(&to, "m", &[name])]);
        job.policy = Policy::default();
        job
    });
    jobs.collect()
}

const NAMES: [&str; 4] = ["v1", "v2", "v3", "v4"];

/// An image for each name, each with a signature that the source lists by tags.
fn place_signed(source: &FakeRegistry) -> Vec<Sample> {
    let images = NAMES.iter().map(|name| {
        let app = built(name, 100);
        app.place(source, "app", name);
        let signature = signature(name, &app);
        signature.place(source, "app", &format!("of-{name}"));
        put_index(source, "app", &app, &[&signature]);
        app
    });
    images.collect()
}

#[tokio::test]
async fn a_registry_that_refuses_signatures_gets_the_images() {
    let (source, target) = (registry(false).await, registry(false).await);
    let images = place_signed(&source);
    for (image, name) in images.iter().zip(NAMES) {
        let digest = signature(name, image).digest();
        let refused = Fault::Respond(400, &[], r#"{"errors":[{"code":"MANIFEST_INVALID"}]}"#);
        let put = Rule::new(refused).method(Method::PUT);
        target.rule(put.path(digest.as_str()));
    }
    let rows = copy(all_kept(&source, &target, &NAMES)).await;
    for row in rows {
        assert_eq!((row.status, row.referrers), (CopyStatus::Degraded, 0));
        let reason = row.reason.unwrap();
        assert!(reason.starts_with("not all its referrers: "), "{reason}");
    }
    let there = repository(&target.host, "m");
    for (image, name) in images.iter().zip(NAMES) {
        image.assert_at(&there, name).await;
    }
}

#[tokio::test]
async fn a_registry_without_the_api_is_asked_for_it_once() {
    let (source, target) = (registry(false).await, registry(false).await);
    place_signed(&source);
    let mut jobs = all_kept(&source, &target, &NAMES);
    // The first finds it out.
    let rest = jobs.split_off(1);
    assert_eq!(copy(jobs).await[0].referrers, 1);
    for row in copy(rest).await {
        assert_eq!((row.status, row.referrers), (CopyStatus::Created, 1));
    }
    let asked = |server: &FakeRegistry| {
        let requests = server.requests();
        requests
            .iter()
            .filter(|it| it.target.contains("/referrers/"))
            .count()
    };
    assert_eq!((asked(&source), asked(&target)), (1, 1));
}

#[tokio::test]
async fn where_nobody_may_list_tags_those_of_cosign_are_asked_for() {
    let (source, target) = (registry(true).await, registry(true).await);
    let refused = Fault::Respond(405, &[], "");
    source.rule(Rule::new(refused).method(Method::GET).path("/tags/list"));
    let (app, cosign) = (
        built("app", 100),
        image("linux/amd64", &[noise("cosign", 50)]),
    );
    app.place(&source, "app", "v1");
    let name = app.digest().tag_prefix() + ".sig";
    cosign.place(&source, "app", &name);
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(
        (rows[0].status, rows[0].referrers),
        (CopyStatus::Created, 1)
    );
    cosign
        .assert_at(&repository(&target.host, "m"), &name)
        .await;
}

#[tokio::test]
async fn what_may_be_there_and_cannot_be_asked_fails_the_image() {
    let (source, target) = (registry(true).await, registry(true).await);
    built("app", 100).place(&source, "app", "v1");
    source.rule(Rule::new(Fault::Respond(503, &[], "")).path("/referrers/"));
    let rows = copy(kept(&source, &target)).await;
    let row = &rows[0];
    assert_eq!(
        (row.status, row.http_status),
        (CopyStatus::Failed, Some(503))
    );
    assert!(row.reason.as_ref().unwrap().starts_with("its referrers: "));
}

fn digest_tag(sample: &Sample, suffix: &str) -> String {
    sample.digest().tag_prefix() + suffix
}

#[tokio::test]
async fn a_long_chain_goes_whole() {
    let (source, target) = (registry(true).await, registry(true).await);
    let app = built("app", 100);
    app.place(&source, "app", "v1");
    let mut subject = app.clone();
    for seed in ["1", "2", "3", "4", "5", "6", "7"] {
        subject = signature(seed, &subject);
        subject.place(&source, "app", &format!("s{seed}"));
    }
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(
        (rows[0].status, rows[0].referrers),
        (CopyStatus::Created, 7)
    );
}

#[tokio::test]
async fn one_that_is_gone_hides_no_other() {
    for place in [0, 1, 2] {
        let (source, target) = (registry(false).await, registry(false).await);
        let app = built("app", 100);
        app.place(&source, "app", "v1");
        let good = [signature("1", &app), signature("2", &app)];
        good.iter()
            .zip(["a", "b"])
            .for_each(|(it, name)| it.place(&source, "app", name));
        let gone = signature("gone", &app);
        let mut entries: Vec<_> = good.iter().collect();
        entries.insert(place, &gone);
        put_index(&source, "app", &app, &entries);
        let rows = copy(kept(&source, &target)).await;
        assert_eq!(
            (rows[0].status, rows[0].referrers),
            (CopyStatus::Degraded, 2)
        );
        let there = repository(&target.host, "m");
        assert_eq!(there.referrers(&app.digest()).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_list_is_made_from_what_it_lists_and_keeps_what_it_has() {
    let (source, target) = (registry(false).await, registry(false).await);
    let app = built("app", 100);
    app.place(&source, "app", "v1");
    let sbom = manifest_with(
        media_type::OCI_MANIFEST,
        (EMPTY, "{}".into()),
        &[("application/spdx+json", noise("sbom", 50))],
        json!({"artifactType": "application/spdx+json", "annotations": {"by": "me"}, "subject": app.root().descriptor()}),
    );
    sbom.place(&source, "app", "s");
    let mut wrong = sbom.root().descriptor();
    (wrong.size, wrong.artifact_type) = (3, Some("application/other".to_owned()));
    let index = index_of(&[wrong]);
    let name = digest_tag(&app, "");
    source.put_manifest("app", &name, index.media_type(), index.bytes().clone());
    let had = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{"a":"b"}}"#;
    target.put_manifest("m", &name, media_type::OCI_INDEX, had.into());
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(
        (rows[0].status, rows[0].referrers),
        (CopyStatus::Created, 1)
    );
    let there = repository(&target.host, "m");
    let listed = there.referrers(&app.digest()).await.unwrap();
    assert_eq!(listed[0].size, sbom.root().bytes().len() as u64);
    assert_eq!(
        listed[0].artifact_type.as_deref(),
        Some("application/spdx+json")
    );
    assert!(
        listed[0]
            .annotations
            .as_ref()
            .is_some_and(|it| it["by"] == "me")
    );
    let index = there.get_manifest(&tag(&name)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(index.bytes()).contains(r#""annotations":{"a":"b"}"#));
}

#[tokio::test]
async fn an_api_that_does_not_list_them_gets_the_tag_as_well() {
    let (source, target) = (registry(true).await, registry(false).await);
    let empty = Fault::Respond(
        200,
        &[("content-type", media_type::OCI_INDEX)],
        r#"{"schemaVersion":2,"manifests":[]}"#,
    );
    target.rule(Rule::new(empty).path("/referrers/"));
    let app = built("app", 100);
    app.place(&source, "app", "v1");
    let sbom = signature("sbom", &app);
    sbom.place(&source, "app", "s");
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(
        (rows[0].status, rows[0].referrers),
        (CopyStatus::Created, 1)
    );
    let there = repository(&target.host, "m");
    let listed = there
        .get_manifest(&tag(&digest_tag(&app, "")))
        .await
        .unwrap()
        .unwrap();
    assert!(String::from_utf8_lossy(listed.bytes()).contains(sbom.digest().as_str()));
}

#[tokio::test]
async fn a_signature_of_the_destination_alone_is_not_overwritten() {
    let (source, target) = (registry(true).await, registry(true).await);
    let app = built("app", 100);
    app.place(&source, "app", "v1");
    let name = digest_tag(&app, ".sig");
    let both = image("linux/amd64", &[noise("theirs", 50), noise("ours", 50)]);
    let theirs = image("linux/amd64", &[noise("theirs", 50)]);
    theirs.place(&source, "app", &name);
    both.place(&target, "m", &name);
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(
        (rows[0].status, rows[0].referrers),
        (CopyStatus::Degraded, 0)
    );
    assert!(
        rows[0]
            .reason
            .as_ref()
            .unwrap()
            .contains("`--force` replaces it")
    );
    let there = repository(&target.host, "m");
    both.assert_at(&there, &name).await;
    // What the source has added goes on top.
    both.place(&source, "app", &name);
    theirs.place(&target, "m", &name);
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(
        (rows[0].status, rows[0].referrers),
        (CopyStatus::Updated, 1)
    );
    both.assert_at(&there, &name).await;
}

#[tokio::test]
async fn a_tag_is_set_when_its_signatures_are_there() {
    for is_busy in [true, false] {
        let (source, target) = (registry(true).await, registry(true).await);
        let (old, app) = (built("old", 100), built("app", 100));
        old.place(&target, "m", "v1");
        app.place(&source, "app", "v1");
        let signature = signature("sig", &app);
        signature.place(&source, "app", "s");
        if is_busy {
            let busy = Rule::new(Fault::Respond(503, &[], "")).method(Method::PUT);
            target.rule(busy.path(signature.digest().as_str()));
        }
        let rows = copy(kept(&source, &target)).await;
        let (row, there) = (&rows[0], repository(&target.host, "m"));
        if is_busy {
            assert_eq!((row.status, &row.digest), (CopyStatus::Failed, &None));
            old.assert_at(&there, "v1").await;
            continue;
        }
        assert_eq!((row.status, row.referrers), (CopyStatus::Updated, 1));
        app.assert_at(&there, "v1").await;
        let requests = target.requests();
        let mut puts = requests.iter().filter(|it| it.method == Method::PUT);
        let last = puts.rfind(|it| it.target.contains("/manifests/"));
        assert!(last.unwrap().target.ends_with("/manifests/v1"));
    }
}
