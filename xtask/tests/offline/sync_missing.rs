//! `missing-platform`: an image that lacks a wanted platform.

use fakes::registry::{Behavior, FakeRegistry};

use crate::support::sync_fixture::SyncFixture;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_lacks_a_platform_is_failed_or_skipped_and_both_are_counted() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let one = FakeRegistry::start(Behavior::default()).await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &one.host)]);
    let both = ["linux/amd64", "linux/arm64"];
    fixture.publish("source.io/app:v1", &both[..1]).await;
    fixture.publish("source.io/app:v2", &both).await;
    let form = "source: source.io/app\ntargets: one.io/app\nplatforms: linux/arm64\n";
    fixture.write("fail.yaml", form);
    fixture.write("skip.yaml", &format!("{form}missing-platform: skip\n"));
    let run = async |arguments: &[&str]| {
        fixture
            .sync(&[arguments, &["--report", "r.json"]].concat())
            .await
    };
    let statuses = || {
        let images = fixture.report("r.json")["images"].clone();
        let images = images.as_array().unwrap().iter();
        let mut all: Vec<String> = images
            .map(|it| {
                format!(
                    "{} {} {}",
                    it["image"],
                    it["status"],
                    it["digest"].is_null()
                )
                .replace('"', "")
            })
            .collect();
        all.sort();
        all
    };
    let why = "there is no image for linux/arm64; it has linux/amd64";
    run(&["fail.yaml"])
        .await
        .expect(3, &["1 of 2 in place", why]);
    assert_eq!(
        statuses(),
        [
            "source.io/app:v1 failed true",
            "source.io/app:v2 created false"
        ]
    );
    let told = ["1 of 2 in place, 1 skipped", "SKIPPED", why];
    run(&["skip.yaml", "--succeeded", "s.log"])
        .await
        .expect(0, &told);
    assert_eq!(
        statuses(),
        [
            "source.io/app:v1 skipped true",
            "source.io/app:v2 equal false"
        ]
    );
    assert_eq!(fixture.read("s.log"), "one.io/app:v2\n");
    run(&["skip.yaml", "--dry-run"])
        .await
        .expect(0, &["1 equal, 0 to do, 0 cannot be done, 1 skipped"]);
    run(&["skip.yaml", "--only-failed", "r.json"])
        .await
        .expect(0, &["nothing failed according to the report"]);

    // Nothing fits: a platform may be misspelled.
    let none = format!("{}missing-platform: skip\n", form.replace("arm64", "arm46"));
    fixture.write("none.yaml", &none);
    let nothing = "warning: `none.yaml`, line 1: no image of `source.io/app` has the platforms";
    run(&["none.yaml"])
        .await
        .expect(0, &[nothing, "0 of 2 in place, 2 skipped"]);
    assert!(
        !run(&["skip.yaml"])
            .await
            .stderr
            .contains("has the platforms")
    );

    // In place with less is no failure of anything, and not all that was asked for.
    let lenient = "source: source.io/app\ntargets: one.io/lenient\n\
                   platforms: [linux/amd64, linux/arm64]\nlenient: true\n";
    fixture.write("lenient.yaml", lenient);
    let partly = run(&["lenient.yaml", "--dry-run"]).await;
    partly.expect(
        3,
        &["2 to do", "done but for 1 image that lacks a platform"],
    );
    assert!(!partly.stderr.contains("something failed"), "{partly}");

    // The command line has the last word.
    let fail = ["skip.yaml", "--missing-platform", "fail"];
    run(&fail).await.expect(3, &["1 of 2 in place", why]);
    let all = ["fail.yaml", "--missing-platform", "skip", "--tags", "v1"];
    let run = run(&all).await;
    run.expect(0, &["0 of 1 in place, 1 skipped", why]);
    assert!(!run.stderr.contains("failed source"), "{run}");
    let print = fixture.sync(&["skip.yaml", "--print"]).await;
    assert!(
        print.stdout.contains("  missing-platform: skip\n"),
        "{print}"
    );
    assert!(one.tags().values().flatten().eq(["app:v2"]));
}
