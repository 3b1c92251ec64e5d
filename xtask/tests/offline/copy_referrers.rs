//! What belongs to an image goes with it.

use std::time::Duration;

use fakes::noise;
use fakes::registry::{FakeRegistry, Fault, Rule};
use futures_util::{StreamExt as _, stream};
use hyper::Method;
use serde_json::json;
use tokio::time::timeout;
use xtask::copy::{CopyStatus, Source};
use xtask::oci::{Digest, index_of, media_type};

use crate::support::client::tag;
use crate::support::copying::{copy, destination, repository};
use crate::support::images::{EMPTY, built, image, manifest_with};
use crate::support::referrers::{
    NAMES, all_kept, digest_tag, kept, place_signed, put_index, registry, signature,
};

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

#[tokio::test]
async fn images_that_are_copied_at_once_find_out_together_that_there_is_no_api() {
    for status in [404, 405, 501] {
        let (source, target) = (registry(false).await, registry(false).await);
        place_signed(&source);
        for server in [&source, &target] {
            let refused = Fault::Respond(status, &[], "");
            server.rule(Rule::new(refused).path("/referrers/"));
        }
        // Another repository is asked for itself.
        let jobs = all_kept(&source, &target, &NAMES)
            .into_iter()
            .map(|mut job| {
                let at_n = destination(&job.destinations[0].host, "n", &["v1"]);
                job.destinations
                    .extend((job.name == "source:v1").then_some(at_n));
                job
            });
        for row in copy(jobs.collect()).await {
            assert_eq!((row.status, row.referrers), (CopyStatus::Created, 1));
        }
        let asked = |server: &FakeRegistry, path| {
            server.count(Method::GET, &format!("/v2/{path}/referrers/"))
        };
        let counts = [(&source, "app"), (&target, "m"), (&target, "n")];
        let counts = counts.map(|(server, path)| asked(server, path));
        assert_eq!(counts, [1, 1, 1], "{status}");
    }
}

#[tokio::test]
async fn an_image_without_a_tag_is_created_with_its_signature_and_equal_when_both_are_there() {
    let (source, target) = (registry(true).await, registry(true).await);
    let app = built("app", 100);
    app.place(&source, "app", "v1");
    signature("sig", &app).place(&source, "app", "s");
    let by_digest = || {
        let mut jobs = kept(&source, &target);
        let Source::Registry { at, .. } = &mut jobs[0].source else {
            unreachable!("it is in a registry")
        };
        *at = app.digest().into();
        jobs[0].destinations[0].tags.clear();
        jobs
    };
    for status in [CopyStatus::Created, CopyStatus::Equal] {
        let row = copy(by_digest()).await.remove(0);
        assert_eq!((row.status, row.reason), (status, None));
        assert_eq!((row.digest, row.referrers), (Some(app.digest()), 1));
        assert_eq!(row.bytes.uploaded > 0, status == CopyStatus::Created);
    }
}

#[tokio::test]
async fn who_has_found_the_api_holds_nobody_back() {
    let source = registry(true).await;
    let [one, two, three] = ["one", "two", "three"].map(|it| Digest::sha256_of(it.as_bytes()));
    source.rule(Rule::new(Fault::Silence).path(&format!("/referrers/{two}")));
    let there = repository(&source.host, "app");
    let asked = stream::iter([&one, &two, &three]).map(|digest| there.referrers_by_api(digest));
    let answered = asked.buffer_unordered(3).take(2).collect::<Vec<_>>();
    let answered = timeout(Duration::from_secs(20), answered).await.unwrap();
    assert!(answered.into_iter().all(|it| it.unwrap().is_some()));
}
