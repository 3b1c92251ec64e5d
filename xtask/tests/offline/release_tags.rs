//! Moving tags: none goes back to an older version.

use fakes::registry::Fault;
use hyper::Method;

use crate::support::release_fixture::{ReleaseFixture, TAGS, VERSION, package, zip_name};

const ONE: [&str; 1] = ["docker-push"];

/// A fixture with one registry that holds `versions`, released in this order.
async fn released(versions: &[&str]) -> ReleaseFixture {
    let mut fixture = ReleaseFixture::new(1).await;
    for version in versions {
        release(&mut fixture, version, &[])
            .await
            .expect(0, &["done"]);
    }
    fixture
}

async fn release(
    fixture: &mut ReleaseFixture,
    version: &str,
    options: &[&str],
) -> crate::support::workspace::Run {
    let packages = [
        (&*zip_name("x64"), &*package(&format!("amd64 {version}"))),
        (&*zip_name("arm64"), &package(&format!("arm64 {version}"))),
    ];
    fixture.feed.publish(version, &packages);
    fixture.workspace.set("RELEASE_VERSION", version);
    let arguments = [&ONE[..], &["--report", "report.json"], options].concat();
    fixture.workspace.run(&arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_that_is_released_again_takes_no_tag_from_a_newer_one() {
    let mut fixture = released(&["1.2.3", "1.2.4"]).await;
    let registry = &fixture.registries[0];
    let (old, new) = (registry.tagged("1.2.3"), registry.tagged("1.2.4"));
    assert_ne!(old, new);
    let report = fixture.report("report.json");
    let before = &report["registries"][0]["before"][2];
    assert_eq!(before["tag"], "latest", "{report}");
    assert!(before["digest"].as_str().unwrap().starts_with("sha256:"));

    // Pushed again, and so that every tag would have to be set.
    let run = release(&mut fixture, "1.2.3", &[]).await;
    run.expect(0, &["1.2, 1, latest kept at 1.2.4"]);
    for tag in &TAGS[1..] {
        assert_eq!(fixture.registries[0].tagged(tag), new, "{tag}");
    }
    let report = fixture.report("report.json");
    assert_eq!(
        report["registries"][0]["tags"],
        serde_json::json!([VERSION])
    );

    // Another line: only `latest` and `1` are newer elsewhere.
    let run = release(&mut fixture, "1.1.9", &[]).await;
    run.expect(0, &["tags 1.1.9, 1.1 set; 1, latest kept at 1.2.4"]);
    let run = release(&mut fixture, "1.10.0", &[]).await;
    run.expect(0, &["tags 1.10.0, 1.10, 1, latest set"]);

    // By hand, whatever they name.
    let run = release(&mut fixture, "1.2.3", &["--tags", "latest,1.2"]).await;
    run.expect(0, &["tags latest, 1.2 set"]);
    assert_eq!(fixture.registries[0].tagged("latest"), old);
    assert_ne!(fixture.registries[0].tagged("1"), old);
    let run = release(&mut fixture, "1.2.3", &["--tags", "1.2.4"]).await;
    run.expect(2, &["`--tags 1.2.4`", "one version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_tags_cannot_be_listed_the_image_itself_says_its_version() {
    let mut fixture = released(&["1.2.4"]).await;
    let refuse = |fixture: &ReleaseFixture| {
        let fault = Fault::Respond(403, &[], "");
        fixture.registries[0].fault(Method::GET, "/tags/list", fault);
    };
    refuse(&fixture);
    let run = release(&mut fixture, "1.2.3", &[]).await;
    run.expect(0, &["1.2, 1, latest kept at 1.2.4"]);
    refuse(&fixture);
    let run = release(&mut fixture, "1.2.5", &[]).await;
    run.expect(0, &["tags 1.2.5, 1.2, 1, latest set"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_says_which_version_a_tag_names_it_stays_and_the_target_fails() {
    let mut fixture = released(&["1.2.4"]).await;
    // An image that says nothing of its version.
    let index = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let repository = format!("team/{}", fixture.workspace.image);
    let media_type = "application/vnd.oci.image.index.v1+json";
    fixture.registries[0].put_manifest(
        &repository,
        "latest",
        media_type,
        bytes::Bytes::from_static(index),
    );
    fixture.registries[0].fault(Method::GET, "/tags/list", Fault::Respond(403, &[], ""));
    let run = release(&mut fixture, "1.2.5", &[]).await;
    run.expect(1, &["`latest` is left as it is", "--tags latest"]);
    assert_eq!(fixture.registries[0].tagged("latest"), &index[..]);
    // What was done is reported.
    let report = fixture.report("report.json");
    assert_eq!(report["registries"][0]["status"], "failed");
    assert_eq!(report["registries"][0]["tags"].as_array().unwrap().len(), 3);
}
