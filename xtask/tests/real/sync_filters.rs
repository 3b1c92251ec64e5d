//! Our own form with all its filters.

use crate::servers::distribution::Distribution;
use crate::support::sync_fixture::SyncFixture;

const MANY: [&str; 4] = [
    "linux/amd64",
    "unknown/unknown",
    "linux/arm64",
    "linux/s390x",
];

#[tokio::test(flavor = "multi_thread")]
async fn our_own_form_filters_tags_platforms_and_attestations() {
    // Real registries, for skopeo looks at them.
    let (source, there) = (Distribution::open(), Distribution::open());
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    let tags = "v1.1.0 v1.2.0 v1.3.0 v1.3.0-nightly v1.10.0 v2.0.0-rc.1 w1.4.0 latest";
    for tag in tags.split(' ') {
        fixture
            .publish(&format!("source.io/app:{tag}"), &MANY)
            .await;
    }
    let form = "source: source.io/app
targets: [one.io/app, one.io/team/copy]
tags: ['v*', '!*-nightly', 'semver:>=1.2', 'newest:2']
";
    let run = async |more: &str, arguments: &[&str]| {
        fixture.write("sync.yaml", &format!("{form}{more}"));
        fixture
            .sync(&[&["sync.yaml", "--report", "r.json"], arguments].concat())
            .await
    };
    run("", &[]).await.expect(0, &["4 of 4 in place"]);
    for repository in ["one.io/app", "one.io/team/copy"] {
        assert_eq!(fixture.tags(repository), ["v1.10.0", "v1.3.0"]);
    }
    let image = "one.io/app:v1.10.0";
    assert_eq!(
        fixture.digest(image),
        fixture.digest("source.io/app:v1.10.0")
    );
    assert_eq!(fixture.platforms(image), MANY);

    // An attestation goes where its image goes, and the new digest is told.
    let some = run("platforms: [linux/s390x, linux/amd64]\n", &[]).await;
    some.expect(0, &["updated source.io/app:v1.10.0 -> one.io/app:v1.10.0"]);
    let kept = ["linux/amd64", "unknown/unknown", "linux/s390x"];
    assert_eq!(fixture.platforms(image), kept);
    assert_eq!(
        fixture.report("r.json")["images"][0]["digest"],
        fixture.digest(image).to_string()
    );
    run("platforms: [linux/s390x]\n", &[]).await.expect(0, &[]);
    assert_eq!(fixture.platforms(image), ["linux/s390x"]);
    run("attestations: strip\n", &[]).await.expect(0, &[]);
    assert_eq!(
        fixture.platforms(image),
        ["linux/amd64", "linux/arm64", "linux/s390x"]
    );

    // The command line narrows the tags, and has the last word about the platforms.
    let narrowed = ["--tags", "v1.10.*", "--platform", "linux/arm64"];
    run("platforms: [linux/s390x]\n", &narrowed)
        .await
        .expect(0, &["2 of 2 in place"]);
    assert_eq!(fixture.platforms(image), ["linux/arm64"]);
    let absent = run("", &["--platform", "linux/riscv64"]).await;
    absent.expect(
        1,
        &["there is no image for linux/riscv64; it has linux/amd64, linux/arm64, linux/s390x"],
    );
}
