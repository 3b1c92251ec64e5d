//! Destinations with parts of the source's name in them, for one rule over many sources.

use fakes::registry::{Behavior, FakeRegistry};
use hyper::Method;

use crate::support::sync_fixture::SyncFixture;

#[tokio::test(flavor = "multi_thread")]
async fn many_sources_go_each_to_a_place_of_its_own() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let one = FakeRegistry::start(Behavior::default()).await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &one.host)]);
    for image in ["team/app:v1", "team/tool:v1", "other/app:v1"] {
        let image = format!("source.io/{image}");
        fixture.publish(&image, &["linux/amd64"]).await;
    }
    fixture.write(
        "sync.yaml",
        "source: [source.io/team/app, source.io/team/tool, source.io/other/app]\ntargets: 'one.io/mirror/{repository}'\n",
    );
    fixture
        .sync(&["sync.yaml"])
        .await
        .expect(0, &["3 of 3 in place"]);
    let copy = ["copy", "source.io/team/app:v1", "one.io/{host}/{name}"];
    fixture.run(&copy).await.expect(0, &["1 of 1 in place"]);
    let scoped = format!("{}/app:v1", source.host.replace(':', "-"));
    let mut tags: Vec<String> = one.tags().into_values().flatten().collect();
    tags.sort();
    let mirrored = ["other/app", "team/app", "team/tool"].map(|it| format!("mirror/{it}:v1"));
    let mut all = [&[scoped][..], &mirrored].concat();
    all.sort();
    assert_eq!(tags, all);

    // Which tags there are is known once they are listed: nothing was written.
    let puts = one.count(Method::PUT, "/");
    fixture.write(
        "sync.yaml",
        "source: [source.io/team/app, source.io/other/app]\ntargets: 'one.io/{name}'\n",
    );
    let twice = "`one.io/app:v1` would be written twice: from `source.io/team/app:v1` (";
    fixture.sync(&["sync.yaml"]).await.expect(2, &[twice]);
    for (destination, said) in [
        (
            "one.io/{tag}",
            "a destination: `{tag}` can only be the whole tag",
        ),
        ("one.io/{names}", "hint: did you mean `{name}`?"),
        ("source.io/{repository}", "is both source and destination"),
    ] {
        let copy = ["copy", "source.io/team/app:v1", destination];
        fixture.run(&copy).await.expect(2, &[said]);
    }
    assert_eq!(one.count(Method::PUT, "/"), puts);
}
