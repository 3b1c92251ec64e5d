//! `promote`: tags are moved by manifest, each registry for itself, and taken back.

use fakes::registry::Fault;
use hyper::Method;

use crate::support::release_fixture::{ReleaseFixture, package, zip_name};

/// A fixture with two registries that hold 1.2.3 and 1.2.4, released in this order; the third is left out.
async fn released() -> ReleaseFixture {
    let mut fixture = ReleaseFixture::new(2).await;
    fixture.workspace.set("ALIYUN_ACR_USERNAME", "");
    fixture.workspace.set("ALIYUN_ACR_PASSWORD", "");
    for version in ["1.2.3", "1.2.4"] {
        let packages = [
            (&*zip_name("x64"), &*package(&format!("amd64 {version}"))),
            (&*zip_name("arm64"), &package(&format!("arm64 {version}"))),
        ];
        fixture.feed.publish(version, &packages);
        fixture.workspace.set("RELEASE_VERSION", version);
        let arguments = ["docker-push-all", "--report", "report.json"];
        fixture.workspace.run(&arguments).await.expect(0, &[]);
    }
    fixture
}

fn digest(fixture: &ReleaseFixture, tag: &str) -> String {
    xtask::oci::Digest::sha256_of(&fixture.registries[0].tagged(tag)).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_does_not_stop_the_rollback_and_is_brought_level_later() {
    let fixture = released().await;
    let (old, new) = (digest(&fixture, "1.2.3"), digest(&fixture, "1.2.4"));
    let arguments = ["promote", "1.2.3", "--tag", "latest", "--tag", "1.2"];
    let change = format!(":latest: {new} -> {old}");

    let dry = [&arguments[..], &["--dry-run"]].concat();
    let run = fixture.workspace.run(&dry).await;
    run.expect(0, &[&change, "would be moved"]);
    assert_eq!(digest(&fixture, "latest"), new);

    // It answers nobody who asks for the version.
    for method in [Method::HEAD, Method::GET] {
        let fault = Fault::Respond(400, &[], "");
        fixture.registries[1].fault(method, "manifests/1.2.3", fault);
    }
    let reported = [&arguments[..], &["--report", "moved.json"]].concat();
    let run = fixture.workspace.run(&reported).await;
    run.expect(3, &[&change, "partly done"]);
    let latest = |number: usize| fixture.registries[number].tagged("latest");
    assert_eq!(digest(&fixture, "1.2"), old);
    assert_eq!(latest(1), fixture.registries[1].tagged("1.2.4"));
    let report = fixture.report("moved.json");
    let of = |number: usize| report["registries"][number].clone();
    assert_eq!(of(0)["before"][0]["digest"], new, "{report}");
    assert_eq!(of(1)["status"], "failed", "{report}");
    let note = of(1)["note"].to_string();
    assert!(note.contains("cannot be asked for `1.2.3`"), "{note}");

    fixture
        .workspace
        .run(&arguments)
        .await
        .expect(0, &["equal", "moved"]);
    fixture.same(&["1.2.3", "latest", "1.2"]);
    // What was reported is verified, and taken back, as the report of a release is.
    let back = ["promote", "--back", "moved.json"];
    fixture.workspace.run(&back).await.expect(0, &[]);
    assert_eq!(digest(&fixture, "latest"), new);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_of_a_version_is_not_overwritten_unless_it_is_forced() {
    let fixture = released().await;
    let (old, new) = (digest(&fixture, "1.2.3"), digest(&fixture, "1.2.4"));
    let arguments = ["promote", "1.2.4", "--tag", "1.2.3"];
    let run = fixture.workspace.run(&arguments).await;
    run.expect(
        2,
        &[
            "`1.2.3` is the tag of one version",
            "nothing was moved",
            "--force",
        ],
    );
    assert_eq!(digest(&fixture, "1.2.3"), old);
    let forced = [&arguments[..], &["--force", "--skip", "azure"]].concat();
    let run = fixture.workspace.run(&forced).await;
    run.expect(0, &[&format!("{old} has lost this tag")]);
    assert_eq!(digest(&fixture, "1.2.3"), new);
    let other = &fixture.registries[1];
    assert_ne!(other.tagged("1.2.3"), other.tagged("1.2.4"));
    let run = fixture
        .workspace
        .run(&["promote", "1.2.4", "--tag", "x", "--skip", "nosuch"])
        .await;
    run.expect(2, &["`--skip nosuch`", "dockerhub"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_taken_back_with_its_report() {
    let mut fixture = released().await;
    let (old, new) = (
        fixture.same(&["1.2.3"]),
        fixture.same(&["1.2.4", "1.2", "1", "latest"]),
    );
    let back = ["promote", "--back", "report.json"];
    // The same release again finds its own image, and its report still knows what was there before.
    let again = ["docker-push-all", "--report", "report.json"];
    fixture.workspace.run(&again).await.expect(0, &[]);
    // A registry that cannot be read is not said to name nothing.
    for _ in 0..2 {
        for method in [Method::HEAD, Method::GET] {
            fixture.registries[1].fault(method, "manifests/1", Fault::Respond(400, &[], ""));
        }
        let dry = [&back[..], &["--dry-run"]].concat();
        let run = fixture.workspace.run(&dry).await;
        run.expect(3, &["failed"]);
        assert!(!run.to_string().contains("nothing"), "{run}");
    }
    // A wrong password is found before anything is moved.
    fixture.workspace.set("AZURE_ACR_PASSWORD", "wrong-one");
    let run = fixture.workspace.run(&back).await;
    run.expect(2, &["refused the login", "AZURE_ACR_PASSWORD"]);
    assert_eq!(fixture.same(&["1.2", "1", "latest"]), new);
    fixture
        .workspace
        .set("AZURE_ACR_PASSWORD", fakes::registry::PASSWORD);
    fixture
        .workspace
        .run(&back)
        .await
        .expect(0, &["promote back from 1.2.4: done"]);
    assert_eq!(fixture.same(&["1.2", "1", "latest"]), old);
    assert_eq!(fixture.same(&["1.2.4"]), new);
    // Again: nothing to do.
    fixture.workspace.run(&back).await.expect(0, &["equal"]);

    // Where somebody has moved a tag since, it is not taken from there unawares.
    let repository = format!("team/{}", fixture.workspace.image);
    let index = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let media_type = "application/vnd.oci.image.index.v1+json";
    let other = bytes::Bytes::from_static(index);
    fixture.registries[0].put_manifest(&repository, "latest", media_type, other);
    let run = fixture.workspace.run(&back).await;
    run.expect(3, &["partly done", "--force"]);
    let forced = [&back[..], &["--force"]].concat();
    fixture.workspace.run(&forced).await.expect(0, &[]);
    assert_eq!(fixture.same(&["latest"]), old);
}
