//! `copy` out of a layout or an archive: what is in no registry comes to them as it is.

use std::fs;

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry};
use hyper::Method;
use serde_json::Value;

use crate::support::images::{self, attestation, attests, built, index, platform, tarball};
use crate::support::local_images::{Fixture, archive, docker_archive, layout};
use crate::support::sync_fixture::digest;

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_goes_to_many_places_byte_for_byte_and_is_read_once() {
    let it = Fixture::new().await;
    let image = built("app", 300_000);
    layout(&it.path("app"), &[(&image, "1.2")]);
    let (named, whole) = (it.source("oci", "app:1.2"), it.source("oci", "app"));
    let copy = [
        &*named,
        "one.io/app",
        "one.io/app:latest",
        "two.io/team/app:1,2",
    ];
    let dry = it.copy(&[&copy[..], &["--dry-run"]].concat()).await;
    dry.expect(0, &["0 equal, 2 to do"]);
    it.assert_nothing_written();

    let report = it.path("report.json").display().to_string();
    let run = it.copy(&[&copy[..], &["--report", &report]].concat()).await;
    run.expect(0, &["2 of 2 in place"]);
    for (registry, name, tags) in [
        (&it.one, "app", ["1.2", "latest"]),
        (&it.two, "team/app", ["1", "2"]),
    ] {
        for tag in tags {
            assert_eq!(digest(registry, name, tag), image.digest());
        }
        for (digest, bytes) in &image.blobs {
            let key = (name.to_owned(), digest.to_string());
            assert_eq!(registry.blobs()[&key], *bytes);
        }
    }
    let files = fs::read_dir(it.path("app/blobs/sha256")).unwrap();
    let sizes = files.map(|it| it.unwrap().metadata().unwrap().len());
    let index = fs::metadata(it.path("app/index.json")).unwrap().len();
    let report: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(report["bytes_read"], sizes.sum::<u64>() + index);
    assert_eq!(report["images"][0]["image"], *named);

    // What is in place is asked for by its tags alone, and without a name the destination has one.
    let before = it.one.requests().len();
    let again = it.copy(&[&whole, "one.io/app:latest"]).await;
    again.expect(0, &["1 of 1 in place"]);
    let asked = it.one.requests().split_off(before);
    let asked: Vec<_> = asked.iter().map(|it| (&it.method, &*it.target)).collect();
    let manifests = asked.iter().filter(|(_, it)| it.contains("/manifests/"));
    assert_eq!(manifests.count(), 1, "{asked:?}");
    assert!(asked.iter().all(|(it, _)| *it != Method::PUT), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_are_not_compressed_stay_so_where_they_have_a_digest() {
    let it = Fixture::new().await;
    let image = tarball();
    layout(&it.path("app"), &[(&image, "v1")]);
    archive(&it.path("app"), &it.path("app.tar"));
    for (kind, file) in [("oci", "app"), ("oci-archive", "app.tar")] {
        let to = format!("one.io/{kind}:v1");
        it.copy(&[&it.source(kind, file), &to]).await.expect(0, &[]);
        assert_eq!(digest(&it.one, kind, "v1"), image.digest());
    }
    // Compressed, as a release does it: the same each time.
    docker_archive(&it.path("saved.tar"), &[("app:v1", b"content")]);
    let saved = it.source("docker-archive", "saved.tar");
    for to in ["one.io/saved:v1", "two.io/saved:v1"] {
        it.copy(&[&saved, to]).await.expect(0, &[]);
    }
    assert_eq!(
        digest(&it.one, "saved", "v1"),
        digest(&it.two, "saved", "v1")
    );
    let blobs = it.two.blobs();
    assert!(blobs.values().any(|it| it.starts_with(&[0x1f, 0x8b])));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_images_is_chosen_by_tag_or_digest() {
    let it = Fixture::new().await;
    let (old, new) = (built("old", 1000), built("new", 1000));
    layout(&it.path("app"), &[(&old, "1"), (&new, "2")]);
    archive(&it.path("app"), &it.path("app.tar"));
    for (kind, file) in [("oci", "app"), ("oci-archive", "app.tar")] {
        let source = it.source(kind, file);
        let to = format!("one.io/{kind}");
        let tagged = it.copy(&[&format!("{source}:2"), &to]).await;
        tagged.expect(0, &["1 of 1 in place"]);
        assert_eq!(digest(&it.one, kind, "2"), new.digest());
        let by_digest = format!("{source}@{}", old.digest());
        let untagged = it.copy(&[&by_digest, &to]).await;
        untagged.expect(0, &[&format!("{to}@{}", old.digest())]);
        let named = it.copy(&[&by_digest, &format!("{to}:old")]).await;
        named.expect(0, &["1 of 1 in place"]);
        assert_eq!(digest(&it.one, kind, "old"), old.digest());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn platforms_and_attestations_are_chosen_as_of_a_registry() {
    let it = Fixture::new().await;
    let images =
        ["amd64", "arm64"].map(|it| images::image(&format!("linux/{it}"), &[noise(it, 9)]));
    let [amd64, arm64] = &images;
    let image = index(
        xtask::oci::media_type::OCI_INDEX,
        &[
            (amd64, platform("linux/amd64")),
            (arm64, platform("linux/arm64")),
            (&attestation("a"), attests(amd64)),
        ],
    );
    layout(&it.path("app"), &[(&image, "1")]);
    let source = it.source("oci", "app:1");
    let registry = FakeRegistry::start(Behavior::default()).await;
    image.place(&registry, "app", "1");
    let from = format!("{}/app:1", registry.host);
    for (name, options) in [
        ("arm", &["--platform", "linux/arm64"][..]),
        ("stripped", &["--attestations", "strip"]),
        (
            "both",
            &["--platform", "linux/amd64", "--attestations", "strip"],
        ),
    ] {
        let (here, there) = (format!("one.io/{name}"), format!("two.io/{name}"));
        it.copy(&[&[&*source, &here], options].concat())
            .await
            .expect(0, &[]);
        it.copy(&[&[&*from, &there], options].concat())
            .await
            .expect(0, &[]);
        let copied = digest(&it.one, name, "1");
        assert_eq!(copied, digest(&it.two, name, "1"));
        assert_ne!(copied, image.digest());
        let blobs = |it: &FakeRegistry| {
            let all = it.blobs().into_keys();
            all.filter(|(path, _)| path == name)
                .map(|(_, it)| it)
                .collect::<Vec<_>>()
        };
        assert_eq!(blobs(&it.one), blobs(&it.two));
    }
    let absent = [&*source, "one.io/absent", "--platform", "linux/s390x"];
    let said = "source: there is no image for linux/s390x; it has linux/amd64, linux/arm64";
    it.copy(&absent).await.expect(1, &[said]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_fails_alone_and_is_brought_level_later() {
    let it = Fixture::new().await;
    let image = built("app", 100_000);
    layout(&it.path("app"), &[(&image, "1")]);
    it.two.behave(|it| it.denies_uploads = true);
    let report = it.path("report.json").display().to_string();
    let copy = [&*it.source("oci", "app:1"), "one.io/app", "two.io/app"];
    let run = it.copy(&[&copy[..], &["--report", &report]].concat()).await;
    run.expect(3, &["1 of 2 in place"]);
    assert_eq!(digest(&it.one, "app", "1"), image.digest());
    it.two.behave(|it| it.denies_uploads = false);
    let failed = [&copy[..], &["--only-failed", &report]].concat();
    it.copy(&failed).await.expect(0, &["1 of 1 in place"]);
    assert_eq!(digest(&it.two, "app", "1"), image.digest());
}
