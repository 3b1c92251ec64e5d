//! What distribution lists as the source of a rule.

use crate::servers::distribution::Distribution;
use crate::support::sync_fixture::SyncFixture;

#[tokio::test(flavor = "multi_thread")]
async fn the_repositories_of_a_project_are_copied_each_to_its_place() {
    let (source, there) = (Distribution::open(), Distribution::open());
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    for name in ["team/app", "team/sub/tool", "teams/app", "other"] {
        let image = format!("source.io/{name}:v1");
        fixture.publish(&image, &["linux/amd64"]).await;
    }
    fixture.write(
        "sync.yaml",
        "- {source: source.io/team/*, targets: one.io/mirror}
- {source: ['source.io/*/app', source.io/other], targets: 'one.io/all/{repository}'}
",
    );
    fixture
        .sync(&["sync.yaml"])
        .await
        .expect(0, &["5 of 5 in place"]);
    for (image, copied) in [
        ("team/app:v1", "mirror/app:v1"),
        ("team/sub/tool:v1", "mirror/sub/tool:v1"),
        ("teams/app:v1", "all/teams/app:v1"),
        ("other:v1", "all/other:v1"),
    ] {
        let wanted = fixture.digest(&format!("source.io/{image}"));
        assert_eq!(fixture.digest(&format!("one.io/{copied}")), wanted);
    }
    let again = fixture.sync(&["sync.yaml"]).await;
    again.expect(0, &["5 of 5 in place, 0 B read"]);
    let none = ["copy", "source.io/none/*", "one.io/none"];
    fixture
        .run(&none)
        .await
        .expect(1, &["none of 4 repositories fits `source.io/none/*`"]);
}
