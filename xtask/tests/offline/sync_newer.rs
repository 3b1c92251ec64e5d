//! `newer:`: tags by when their images were created.

use std::time::{Duration, SystemTime};

use fakes::registry::{Behavior, FakeRegistry, Fault, Rule};
use hyper::Method;
use serde_json::{Value, json};
use xtask::oci::media_type;

use crate::support::images::{self, OCI_CONFIG, OCI_LAYER, Sample};
use crate::support::sync_fixture::SyncFixture;

const DAY: u64 = 86_400;

/// An image with this value of `created`.
fn image(created: &Value) -> Sample {
    let config = json!({"os": "linux", "architecture": "amd64", "created": created});
    let layer = (OCI_LAYER, fakes::noise("layer", 100));
    let config = (OCI_CONFIG, config.to_string().into());
    images::manifest(media_type::OCI_MANIFEST, config, &[layer])
}

fn days_ago(days: u64) -> Value {
    let date = SystemTime::now() - Duration::from_secs(days * DAY);
    humantime::format_rfc3339_nanos(date).to_string().into()
}

struct Registries {
    source: FakeRegistry,
    one: FakeRegistry,
    fixture: SyncFixture,
}

impl Registries {
    async fn new(behavior: Behavior) -> Registries {
        let source = FakeRegistry::start(Behavior::default()).await;
        let one = FakeRegistry::start(behavior).await;
        let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &one.host)]);
        let lately = days_ago(10);
        for (tag, created) in [
            ("v1", days_ago(400)),
            ("v2", days_ago(80)),
            // The same bytes are the same image.
            ("v3", lately.clone()),
            ("latest", lately),
            ("v9", json!("2124-01-01T00:00:00+08:00")),
            ("v4", json!("1970-01-01T00:00:00Z")),
            ("v5", json!("0001-01-01T00:00:00Z")),
            ("v6", json!("1980-01-01T00:00:01Z")),
            ("v7", json!(null)),
        ] {
            image(&created).place(&source, "app", tag);
        }
        let old = image(&days_ago(400));
        let index = images::index(
            media_type::OCI_INDEX,
            &[
                (&images::attestation("a"), images::attests(&old)),
                (&image(&days_ago(3)), images::platform("linux/amd64")),
                (&old, images::platform("linux/arm64")),
            ],
        );
        index.place(&source, "app", "v8");
        Registries {
            source,
            one,
            fixture,
        }
    }

    fn copied(&self) -> Vec<String> {
        let tags = self.one.tags().into_values().flatten();
        let mut tags: Vec<String> = tags.collect();
        tags.sort();
        tags
    }
}

const UNDATED: &str =
    "`source.io/app`: the images of these tags do not tell when they were created";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_created_lately_is_copied_and_the_same_is_shown() {
    let it = Registries::new(Behavior::default()).await;
    let file =
        "{source: source.io/app, targets: [one.io/app, one.io/other], tags: [\"newer:90d\"]}";
    it.fixture.write("sync.yaml", file);
    let dry = it.fixture.sync(&["sync.yaml", "--dry-run"]).await;
    dry.expect(
        0,
        &[
            "0 equal, 8 to do",
            UNDATED,
            ": 5 (`v4`, `v5`, `v6` and 2 more)",
        ],
    );
    assert_eq!(dry.stderr.matches(UNDATED).count(), 1, "{dry}");
    let run = it.fixture.sync(&["sync.yaml"]).await;
    run.expect(0, &["8 of 8 in place", UNDATED]);
    let all =
        ["app", "other"].map(|it| ["latest", "v2", "v3", "v8"].map(|tag| format!("{it}:{tag}")));
    assert_eq!(it.copied(), all.concat());

    let shown = it
        .fixture
        .run(&["tags", "source.io/app", "newer:12w"])
        .await;
    shown.expect(0, &[UNDATED]);
    assert_eq!(shown.stdout, "v8\nv3\nv2\nlatest\n");
    let shown = it
        .fixture
        .run(&["tags", "source.io/app", "newer:30d", "v*", "newest:5"])
        .await;
    assert_eq!(shown.stdout, "v8\nv3\n");
    let print = it.fixture.sync(&["sync.yaml", "--print"]).await;
    assert!(print.stdout.contains("- \"newer:90d\""), "{print}");
    let none = it
        .fixture
        .run(&["tags", "source.io/app", "newer:1h", "v1*"])
        .await;
    none.expect(1, &["no tag of `source.io/app` is chosen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_read_once_and_the_others_not_at_all() {
    let it = Registries::new(Behavior::default()).await;
    let copy = ["copy", "source.io/app", "one.io/app", "--dry-run", "--tags"];
    let some = [&copy[..], &["newer:90d", "v3", "latest", "newest:1"]].concat();
    it.fixture.run(&some).await.expect(0, &["to do"]);
    // The plain names are not asked about.
    let configs = it.source.count(Method::GET, "/blobs/");
    let twice = it
        .fixture
        .run(&["tags", "source.io/app", "newer:90d", "v3*", "latest*"])
        .await;
    twice.expect(0, &[]);
    assert_eq!(twice.stdout, "v3\nlatest\n");
    assert_eq!(it.source.count(Method::GET, "/blobs/"), configs + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_names_is_narrowed_by_the_command_line() {
    let it = Registries::new(Behavior::default()).await;
    let copy = [
        "copy",
        "source.io/app:v1,v2,v3",
        "one.io/app",
        "--tags",
        "newer:30d",
    ];
    it.fixture.run(&copy).await.expect(0, &["1 of 1 in place"]);
    assert_eq!(it.copied(), ["app:v3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_gone_is_told_and_what_cannot_be_read_fails() {
    let it = Registries::new(Behavior::default()).await;
    let gone = Rule::new(Fault::Respond(404, &[], "")).path("/manifests/v2");
    it.source.rule(gone);
    let copy = [
        "copy",
        "source.io/app:v*",
        "one.io/app",
        "--tags",
        "newer:90d",
    ];
    let run = it.fixture.run(&copy).await;
    run.expect(
        0,
        &[
            "these tags were listed, and are not there any more: 1 (`v2`)",
            "2 of 2 in place",
        ],
    );

    let it = Registries::new(Behavior::default()).await;
    let v3: Value = serde_json::from_slice(&it.source.tagged("v3")).unwrap();
    let config = v3["config"]["digest"].as_str().unwrap();
    it.source.remove_blob("app", config);
    let run = it.fixture.run(&copy).await;
    let why = "source: when it was created is not known";
    run.expect(
        3,
        &["source.io/app:v3", why, "is not there", "2 of 3 in place"],
    );
    let shown = it
        .fixture
        .run(&["tags", "source.io/app", "newer:90d"])
        .await;
    shown.expect(
        3,
        &["`source.io/app:v3`: ", "when it was created is not known"],
    );
    assert_eq!(shown.stdout, "v8\nv2\n");
    let none = it
        .fixture
        .run(&["tags", "source.io/app", "newer:90d", "v3*"])
        .await;
    none.expect(1, &["when it was created is not known"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_that_is_none_is_refused_before_anything_is_asked() {
    let it = Registries::new(Behavior::default()).await;
    for (pattern, said) in [
        ("newer:90", "`90` is not an age; hint: `newer:90d`"),
        ("newer:0d", "`0d` is not an age"),
        ("!newer:9d", "`newer:` has no opposite"),
    ] {
        let run = it.fixture.run(&["tags", "source.io/app", pattern]).await;
        run.expect(2, &[said]);
    }
    assert!(it.source.requests().is_empty());
}
