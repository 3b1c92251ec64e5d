//! `copy` and `tags` between real registries, outside of any workspace; skopeo looks at what came of it.

use crate::servers::distribution::Distribution;
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
