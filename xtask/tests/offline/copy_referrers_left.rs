//! What refers to an image and cannot go with it is left, and told.

use fakes::noise;
use fakes::registry::{Fault, Rule};
use hyper::Method;
use xtask::copy::{CopyStatus, Policy};
use xtask::oci::{index_of, media_type};

use crate::support::client::tag;
use crate::support::copying::{copy, destination, job, registry_host, repository};
use crate::support::images::{built, image, index, platform};
use crate::support::referrers::{
    NAMES, all_kept, digest_tag, kept, place_signed, put_index, registry, signature,
};

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
async fn an_index_gets_no_tag_before_the_signatures_of_its_images() {
    let (source, target) = (registry(true).await, registry(true).await);
    let child = image("linux/amd64", &[noise("child", 50)]);
    let app = index(media_type::OCI_INDEX, &[(&child, platform("linux/amd64"))]);
    app.place(&source, "app", "v1");
    let signed = signature("of the child", &child);
    signed.place(&source, "app", "s");
    for _ in 0..24 {
        let put = Fault::Respond(503, &[], "");
        target.fault(Method::PUT, signed.digest().as_str(), put);
    }
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(rows[0].status, CopyStatus::Failed);
    let there = repository(&target.host, "m");
    assert_eq!(there.get_manifest(&tag("v1")).await.unwrap(), None);

    // Until the faults are used up.
    let mut rows = rows;
    for _ in 0..9 {
        rows = copy(kept(&source, &target)).await;
        if rows[0].status != CopyStatus::Failed {
            break;
        }
    }
    let row = &rows[0];
    assert_eq!((row.status, row.referrers), (CopyStatus::Created, 1));
    app.assert_at(&there, "v1").await;
}

#[tokio::test]
async fn a_signature_that_could_not_be_read_is_not_overwritten() {
    for (status, page) in [
        (200, "<html>"),
        (200, r#"{"message":"maintenance"}"#),
        (204, ""),
    ] {
        let (source, target) = (registry(true).await, registry(true).await);
        let app = built("app", 100);
        app.place(&source, "app", "v1");
        app.place(&target, "m", "v1");
        let name = digest_tag(&app, ".sig");
        let [theirs, own] = ["theirs", "own"].map(|it| image("linux/amd64", &[noise(it, 50)]));
        theirs.place(&source, "app", &name);
        own.place(&target, "m", &name);
        for method in [Method::HEAD, Method::GET] {
            target.fault(method, &name, Fault::Respond(status, &[], page));
        }
        let rows = copy(kept(&source, &target)).await;
        assert_eq!(rows[0].status, CopyStatus::Degraded, "{page}");
        own.assert_at(&repository(&target.host, "m"), &name).await;
    }
}

/// GitLab reads a tag that is named after a digest as the digest (oras-project/oras-go#1396).
#[tokio::test]
async fn a_list_that_is_the_index_itself_is_none() {
    let (source, target) = (registry(true).await, registry(false).await);
    let child = image("linux/amd64", &[noise("child", 50)]);
    let app = index(media_type::OCI_INDEX, &[(&child, platform("linux/amd64"))]);
    app.place(&source, "app", "v1");
    signature("of the index", &app).place(&source, "app", "s");
    let name = app.digest().tag_prefix();
    app.place(&target, "m", &name);
    for _ in 0..2 {
        let rows = copy(kept(&source, &target)).await;
        assert_eq!(rows[0].status, CopyStatus::Degraded);
        let reason = rows[0].reason.as_ref().unwrap();
        assert!(reason.contains("something else than a list"), "{reason}");
        let there = repository(&target.host, "m");
        app.assert_at(&there, &name).await;
    }
}

#[tokio::test]
async fn a_list_that_another_writer_replaced_is_extended_again() {
    for lost in [1, 9] {
        let (source, target) = (registry(true).await, registry(false).await);
        let app = built("app", 100);
        app.place(&source, "app", "v1");
        let signed = signature("of the image", &app);
        signed.place(&source, "app", "s");
        let list = index_of(&[signed.root().as_referrer().unwrap().1]);
        let digest: &'static str = list.digest().to_string().leak();
        let taken = Fault::Respond(201, [("docker-content-digest", digest)].to_vec().leak(), "");
        for _ in 0..lost {
            target.fault(Method::PUT, &app.digest().tag_prefix(), taken.clone());
        }
        let rows = copy(kept(&source, &target)).await;
        let there = repository(&target.host, "m");
        let found = there.referrers(&app.digest()).await.unwrap().len();
        match lost {
            1 => assert_eq!((rows[0].status, found), (CopyStatus::Created, 1)),
            _ => {
                assert_eq!((rows[0].status, found), (CopyStatus::Degraded, 0));
                let reason = rows[0].reason.as_ref().unwrap();
                assert!(reason.contains("somebody else writes it"), "{reason}");
            }
        }
    }
}

/// Two images with one digest, each signed in its own repository.
#[tokio::test]
async fn a_signature_that_the_run_has_just_set_is_not_overwritten() {
    let (source, target) = (registry(true).await, registry(true).await);
    let app = built("app", 100);
    let host = registry_host(&target.host);
    let jobs = ["dev", "prod"].map(|name| {
        app.place(&source, name, "v1");
        let signed = image("linux/amd64", &[noise(name, 50)]);
        signed.place(&source, name, &digest_tag(&app, ".sig"));
        let mut job = job(
            &repository(&source.host, name),
            "v1",
            vec![destination(&host, "m", &[name])],
        );
        job.policy = Policy::default();
        job
    });
    let rows = copy(jobs.to_vec()).await;
    let mut found: Vec<_> = rows.iter().map(|row| (row.status, row.referrers)).collect();
    found.sort_by_key(|(_, referrers)| *referrers);
    assert_eq!(found, [(CopyStatus::Degraded, 0), (CopyStatus::Created, 1)]);
}

#[tokio::test]
async fn a_page_in_place_of_the_api_is_none() {
    let (source, target) = (registry(true).await, registry(false).await);
    let app = built("app", 100);
    app.place(&source, "app", "v1");
    signature("of the image", &app).place(&source, "app", "s");
    let page = Fault::Respond(200, &[], "<html>");
    target.rule(Rule::new(page).path("/referrers/"));
    let rows = copy(kept(&source, &target)).await;
    assert_eq!(
        (rows[0].status, rows[0].referrers),
        (CopyStatus::Created, 1)
    );
    let list = tag(&app.digest().tag_prefix());
    let there = repository(&target.host, "m");
    assert!(there.get_manifest(&list).await.unwrap().is_some());
}
