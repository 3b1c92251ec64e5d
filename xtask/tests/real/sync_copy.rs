//! `copy` and `tags` between real registries, outside of any workspace; skopeo looks at what came of it.

use std::time::Duration;

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry, Fault, Rule};
use tokio::process::Command;

use crate::servers::distribution::Distribution;
use crate::support::copying::repository;
use crate::support::images::image;
use crate::support::sync_fixture::SyncFixture;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_the_same_wherever_it_was_copied_to() {
    let (source, there) = (Distribution::open(), Distribution::open());
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    let platforms = ["linux/amd64", "linux/arm64"];
    for tag in ["v1.9.0", "v1.10.0"] {
        let image = format!("source.io/app:{tag}");
        fixture.publish(&image, &platforms).await;
    }
    let shown = fixture.run(&["tags", "source.io/app", "v*"]).await;
    assert_eq!(shown.stdout, "v1.10.0\nv1.9.0\n");
    let copy = [
        "copy",
        "source.io/app:v1.10.0",
        "one.io/app",
        "one.io/team/app:stable",
    ];
    fixture.run(&copy).await.expect(0, &["2 of 2 in place"]);
    let wanted = fixture.digest("source.io/app:v1.10.0");
    for image in ["one.io/app:v1.10.0", "one.io/team/app:stable"] {
        assert_eq!(fixture.digest(image), wanted);
        assert_eq!(fixture.platforms(image), platforms);
    }
}

/// distribution 2.8 lets go of no upload that was left in the middle of a body.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_stays_after_an_interrupt_is_told() {
    let (source, there) = (
        FakeRegistry::start(Behavior::default()).await,
        Distribution::open(),
    );
    let sample = image("linux/amd64", &[noise("large", 20_000_000)]);
    sample.place(&source, "app", "v1");
    // The config is there, so that the layer's upload is the only one.
    let app = repository(&there.host, "app");
    for (digest, bytes) in sample.blobs.iter().filter(|(_, it)| it.len() < 4096) {
        let config = app.upload_bytes(digest, None, bytes.clone());
        config.await.unwrap();
    }
    let slowly = Fault::Drip(100_000, Duration::from_millis(100));
    source.rule(Rule::new(slowly).path("/blobs/"));
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    fixture.write("images.yaml", "source.io/app:v1: one.io/app");
    let child = fixture.command(&["images.yaml"]).spawn().unwrap();
    while !there.open_uploads("app").iter().any(|it| *it > 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let id = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().await;
    assert!(sent.unwrap().success());
    let run = fixture.ended(child.wait_with_output().await.unwrap());
    run.expect(
        130,
        &["has not cancelled 1 of the uploads", ": interrupted"],
    );
    assert_eq!(there.open_uploads("app").len(), 1);
}
