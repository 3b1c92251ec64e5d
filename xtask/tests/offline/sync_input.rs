//! Bad input of `sync`: a clear sentence, exit code 2, and nothing touched.

use fakes::registry::{Behavior, FakeRegistry};

use crate::support::sync_fixture::SyncFixture;

/// What the file says, further arguments, and what is said about it.
type Case = (&'static str, &'static [&'static str], &'static str);

const FINE: &str = "source.io/app:v1: one.io/app";

const CASES: &[Case] = &[
    (
        FINE,
        &["absent.yaml"],
        "`absent.yaml` cannot be read: No such file",
    ),
    (
        FINE,
        &["--auth", "absent.yaml"],
        "`absent.yaml` cannot be read: No such file",
    ),
    (
        "a.io/x: [b.io/x",
        &[],
        "`in.yaml`, line 2, column 1: while parsing a flow sequence",
    ),
    (
        "{\"rules\": [{\"src\": \"a\",}}",
        &[],
        "`in.yaml`, line 1, column 25: ",
    ),
    (
        "// ours\n{\"source\": \"source.io/app\", \"targets\": \"one.io/app\", \"tag\": \"v1\"}",
        &[],
        "line 2, column 69: unknown key `tag`; hint: did you mean `tags`?",
    ),
    (
        "source: source.io/app\ntargets: one.io/app\nplatform: linux/amd64",
        &[],
        "line 3, column 1: unknown key `platform`; hint: did you mean `platforms`?",
    ),
    (
        "source.io/app: ''",
        &[],
        "the destination of `source.io/app` is empty",
    ),
    (
        "source.io/app: source.io/app",
        &[],
        "`source.io/app` is both source and destination",
    ),
    (
        "source.io/a:1: one.io/x\nsource.io/b:1: one.io/x",
        &[],
        "`one.io/x:1` would be written twice: from `source.io/a:1` (`in.yaml`, line 1) and from `source.io/b:1` (`in.yaml`, line 2)",
    ),
    (
        "source.io/app:/v(/: one.io/app",
        &[],
        "`v(` is not a regular expression",
    ),
    (
        "{source: source.io/app, targets: one.io/app, tags: ['semver:>>1']}",
        &[],
        "`>>1` is not a range of versions",
    ),
    (
        FINE,
        &["--tags", "-x-"],
        "error: unexpected argument '-x' found",
    ),
    (
        FINE,
        &["--tags", "a b"],
        "`--tags`: `a b` is neither a tag nor a pattern",
    ),
    (FINE, &["--platform", "amd64"], "`--platform`: `amd64`"),
    (
        "source.io/app: ${WHERE}/app",
        &[],
        "the variable `WHERE` is not set",
    ),
    (
        "[{source: 'source.io/app:1', target: app, tags: [x], architectures: [amd46]}]",
        &[],
        "unknown architecture `amd46`; hint: did you mean `amd64`?",
    ),
    ("source.io/app", &[], "`REGISTRY` is not set"),
    ("# nothing", &[], "`in.yaml` names no image"),
    (
        FINE,
        &["--log-level", "loud"],
        "invalid value 'loud' for '--log-level <LEVEL>'\n  [possible values: debug, info, warn, error]",
    ),
    (
        FINE,
        &["--timeout", "soon"],
        "invalid value 'soon' for '--timeout <DURATION>': expected number at 0; hint: `90s`, `30m`",
    ),
    (
        FINE,
        &["--timeout", "0s"],
        "nothing can be done in no time; hint: `90s`",
    ),
    (
        FINE,
        &["--to", "one.io"],
        "`--to`: nothing goes there, because the files say of each image where it goes",
    ),
    (
        FINE,
        &["--only-failed", "in.yaml"],
        "`in.yaml`, line 1, column 6: this is not the report of a sync",
    ),
    (
        FINE,
        &["--log", "no/such/log"],
        "`no/such/log` cannot be written: No such file",
    ),
    (
        FINE,
        &["--report", "no/such.json"],
        "`no/such.json` cannot be written: No such file",
    ),
    (
        FINE,
        &["--succeeded", "."],
        "`.` cannot be written: Is a directory",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_clear_sentence_and_nothing_touched() {
    let (source, there) = (
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
    );
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    for (text, arguments, sentence) in CASES {
        fixture.write("in.yaml", text);
        let run = fixture.sync(&[&["in.yaml"], *arguments].concat()).await;
        run.expect(2, &[sentence]);
    }
    fixture
        .sync(&[])
        .await
        .expect(2, &["nothing says what to copy"]);
    assert!(source.requests().is_empty() && there.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_images_for_one_tag_that_only_the_lists_show() {
    let (source, there) = (
        FakeRegistry::start(Behavior::default()).await,
        FakeRegistry::start(Behavior::default()).await,
    );
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    for image in ["a:1", "a:2", "b:2", "b:3"] {
        fixture
            .publish(&format!("source.io/{image}"), &["linux/amd64"])
            .await;
    }
    fixture.write("in.yaml", "source.io/a: one.io/x\nsource.io/b: one.io/x");
    let run = fixture.sync(&["in.yaml"]).await;
    run.expect(
        2,
        &["`one.io/x:2` would be written twice: from `source.io/a:2`"],
    );
    assert!(there.blobs().is_empty() && there.manifests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_all_over_is_told_in_bounded_length() {
    let fixture = SyncFixture::between(&[]);
    let entries = vec![r#"{"bad": 1}"#; 100_000];
    fixture.write("many.json", &format!("[{}]", entries.join(",")));
    let long = format!("a.io/x:1: {}", "b".repeat(1_000_000));
    fixture.write("long.yaml", &long);
    for (file, part) in [("many.json", "more problems"), ("long.yaml", "…")] {
        let run = fixture.sync(&[file]).await;
        assert!(run.stderr.len() < 50_000, "{} bytes", run.stderr.len());
        run.expect(2, &[part]);
    }
}
