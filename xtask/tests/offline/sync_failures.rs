//! What fails, fails alone, and says what to look at.

use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, PASSWORD, USER};
use hyper::Method;

use crate::support::dead_address;
use crate::support::sync_fixture::{SyncFixture, digest};

const ONE: [&str; 1] = ["linux/amd64"];

async fn open() -> FakeRegistry {
    FakeRegistry::start(Behavior::default()).await
}

/// A registry that knows one user.
async fn closed() -> FakeRegistry {
    FakeRegistry::start(Behavior {
        auth: AuthMode::Basic,
        ..Behavior::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_registry_and_one_without_a_login_fail_alone() {
    let (source, good) = (open().await, open().await);
    let closed = closed().await;
    let fixture = SyncFixture::between(&[
        ("source.io", &source.host),
        ("one.io", &good.host),
        ("dead.io", &dead_address()),
        ("closed.io", &closed.host),
    ]);
    let mut digests = Vec::new();
    for tag in ["v1", "v2"] {
        digests.push(fixture.publish(&format!("source.io/app:{tag}"), &ONE).await);
    }
    fixture.write(
        "images.yaml",
        "source.io/app: [dead.io/app, one.io/app, closed.io/app]",
    );
    let arguments = ["images.yaml", "--retries", "1", "--report", "report.json"];
    let run = fixture.sync(&arguments).await;
    run.expect(
        3,
        &[
            "`dead.io` cannot be reached",
            "`closed.io` requires authentication; hint: `--auth FILE`",
            "`docker login closed.io`",
            "source.io/app:v1 and 1 more",
            "2 of 6 in place",
        ],
    );
    let reasons = run.stderr.matches("`dead.io` cannot be reached").count();
    assert_eq!(reasons, 1, "{run}");
    let found = ["v1", "v2"].map(|tag| digest(&good, "app", tag));
    assert_eq!(found[..], digests);
    // Each image is in the report, though the table tells their reason once.
    let report = fixture.report("report.json");
    assert_eq!(report["images"].as_array().unwrap().len(), 6);

    fixture.write("images.yaml", "source.io/app: dead.io/app");
    let nothing = fixture.sync(&["images.yaml", "--retries", "0"]).await;
    nothing.expect(1, &["0 of 2 in place", "failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_stop_everything_and_say_where_they_are_from() {
    let source = open().await;
    let (good, closed) = (open().await, closed().await);
    let mut fixture = SyncFixture::between(&[
        ("source.io", &source.host),
        ("one.io", &good.host),
        ("closed.io", &closed.host),
    ]);
    fixture.publish("source.io/app:v1", &ONE).await;
    fixture.write(
        "images.yaml",
        "source.io/app:v1: [one.io/app, closed.io/app]",
    );
    let auth = "# who\nclosed.io:\n  username: me\n  password: Wrong-1234\n";
    fixture.write("auth.yaml", auth);
    let refused = "`closed.io` refused the login";
    let run = fixture.sync(&["images.yaml", "--auth", "auth.yaml"]).await;
    run.expect(2, &[refused, "`auth.yaml`, line 3"]);

    // The same for a source, and for a login that is from a variable.
    fixture.write("from.yaml", "closed.io/app:v1: one.io/app");
    fixture.workspace.set("DOCKER_REGISTRY", &closed.host);
    fixture.workspace.set("DOCKER_USERNAME", USER);
    let half = fixture.sync(&["from.yaml"]).await;
    half.expect(
        2,
        &["`DOCKER_USERNAME` is set and `DOCKER_PASSWORD` is not"],
    );
    fixture.workspace.set("DOCKER_PASSWORD", "Wrong-1234");
    let run = fixture.sync(&["from.yaml"]).await;
    run.expect(2, &[refused, "`DOCKER_USERNAME` and `DOCKER_PASSWORD`"]);
    assert_eq!(
        good.count(Method::POST, "/") + good.count(Method::PUT, "/"),
        0
    );

    fixture.workspace.set("DOCKER_PASSWORD", PASSWORD);
    let run = fixture.sync(&["images.yaml"]).await;
    run.expect(0, &["2 of 2 in place"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dockers_own_login_is_used_last() {
    let source = open().await;
    let closed = closed().await;
    let mut fixture =
        SyncFixture::between(&[("source.io", &source.host), ("closed.io", &closed.host)]);
    fixture.publish("source.io/app:v1", &ONE).await;
    fixture.write("images.yaml", "source.io/app:v1: closed.io/app");
    let directory = fixture.workspace.path().join("docker-home");
    let directory = directory.to_str().unwrap();
    fixture.workspace.set("DOCKER_CONFIG", directory);
    let login = |password: &str| {
        format!(
            r#"{{"auths": {{"closed.io": {{"username": "{USER}", "password": "{password}"}}}}}}"#
        )
    };
    fixture.write("docker-home/config.json", &login("Wrong-1234"));
    let run = fixture.sync(&["images.yaml"]).await;
    run.expect(2, &["refused the login", "Docker's login for `closed.io`"]);
    fixture.write("docker-home/config.json", &login(PASSWORD));
    let run = fixture.sync(&["images.yaml"]).await;
    run.expect(0, &["1 of 1 in place"]);
    fixture.write("docker-home/config.json", "{");
    let run = fixture.sync(&["images.yaml"]).await;
    run.expect(
        2,
        &["config.json`: docker's configuration is not readable at line 1"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_lacks_fails_and_the_rest_goes_on() {
    let (source, there) = (open().await, open().await);
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    let published = fixture.publish("source.io/app:v1", &ONE).await;
    fixture.write(
        "images.yaml",
        "source.io/app:v1,v9: one.io/app\nsource.io/absent: one.io/absent\nsource.io/app:/x/: one.io/x",
    );
    let run = fixture.sync(&["images.yaml"]).await;
    run.expect(
        3,
        &[
            "warning: `images.yaml`, line 3: no tag of `source.io/app` is chosen",
            "source: `source.io/app:v9` does not exist; hint: ",
            "source: `source.io/absent` does not exist; hint: ",
            "1 of 3 in place",
        ],
    );
    assert_eq!(digest(&there, "app", "v1"), published);
    // As image-syncer does.
    fixture.write("images.yaml", "source.io/app:/x/: one.io/x");
    let nothing = fixture.sync(&["images.yaml"]).await;
    nothing.expect(
        0,
        &["no tag of `source.io/app` is chosen", "0 of 0 in place"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_which_nothing_is_chosen_is_counted_and_a_run_of_which_nothing_is_has_failed() {
    let (source, there) = (open().await, open().await);
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    fixture.publish("source.io/app:v1.0.0", &ONE).await;
    let both = "- {source: source.io/app, targets: one.io/app}\n";
    let empty =
        |tags: &str| format!("- {{source: source.io/app, targets: one.io/x, tags: {tags}}}\n");
    fixture.write("own.yaml", &format!("{both}{}", empty("'semver:>=99'")));
    let run = fixture.sync(&["own.yaml", "--report", "r.json"]).await;
    run.expect(0, &["sync: 1 of 1 in place, 1 rule chose nothing, "]);
    let report: serde_json::Value = serde_json::from_str(&fixture.read("r.json")).unwrap();
    let rule = "`own.yaml`, line 2: no tag of `source.io/app` is chosen, nothing is copied";
    assert_eq!(report["empty_rules"], serde_json::json!([rule]));

    fixture.write("own.yaml", &empty("'semver:>=99'"));
    let dry = fixture.sync(&["own.yaml", "--dry-run"]).await;
    dry.expect(1, &["0 cannot be done, 1 rule chose nothing"]);
    fixture.write(
        "own.yaml",
        &format!(
            "{}{}",
            empty("['v1.*', 'semver:2']"),
            empty("['v*', 'version:<2', 'semver:2']")
        ),
    );
    let narrowed = fixture.sync(&["own.yaml"]).await;
    narrowed.expect(1, &["2 rules chose nothing"]);
    assert!(
        !narrowed.stderr.contains("hint: some tags fit each"),
        "{narrowed}"
    );
    fixture.publish("source.io/app:2.0.0", &ONE).await;
    let narrowed = fixture.sync(&["own.yaml"]).await;
    narrowed.expect(
        1,
        &["is chosen, nothing is copied; hint: some tags fit each of the patterns and none fits all: `semver:`, "],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_may_not_be_written_is_named() {
    let source = open().await;
    // As Aliyun answers: the login is good, and the namespace is not there or not this user's.
    let aliyun = FakeRegistry::start(Behavior {
        auth: AuthMode::Tokens,
        ..Behavior::default()
    });
    let aliyun = aliyun.await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("aliyun.io", &aliyun.host)]);
    fixture.publish("source.io/app:v1", &ONE).await;
    let auth = format!(
        "aliyun.io: {{username: '{}', password: '{}'}}",
        USER, PASSWORD
    );
    fixture.write("auth.yaml", &auth);
    fixture.write(
        "images.yaml",
        "source.io/app:v1: [aliyun.io/readonly/app, aliyun.io/team/app]",
    );
    let arguments = [
        "images.yaml",
        "--auth",
        "auth.yaml",
        "--report",
        "report.json",
    ];
    let run = fixture.sync(&arguments).await;
    run.expect(
        3,
        &[
            "hint: does `aliyun.io/readonly` exist, and may this user do that there?",
            "1 of 2 in place",
        ],
    );
    let report = fixture.report("report.json");
    assert_eq!(report["images"][0]["http_status"], 401);
    assert_eq!(report["images"][1]["status"], "created");
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_and_the_time_limit_are_those_asked_for() {
    let source = open().await;
    let there = open().await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    fixture.publish("source.io/app:v1", &ONE).await;
    fixture.write("images.yaml", "source.io/app:v1: one.io/app");
    let busy = || Fault::Respond(503, &[], "");
    there.fault(Method::PUT, "/manifests/", busy());
    let run = fixture.sync(&["images.yaml", "--retries", "0"]).await;
    run.expect(1, &["answered 503"]);
    there.fault(Method::PUT, "/manifests/", busy());
    let run = fixture.sync(&["images.yaml", "--retries", "1"]).await;
    run.expect(0, &["1 of 1 in place"]);

    fixture.publish("source.io/app:v1", &["linux/arm64"]).await;
    there.fault(Method::HEAD, "/manifests/", Fault::Silence);
    let run = fixture.sync(&["images.yaml", "--timeout", "1s"]).await;
    run.expect(1, &["not done within 1s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_where_all_may_read_is_found_before_anything_is_written() {
    let (source, good) = (open().await, open().await);
    let to_push = FakeRegistry::start(Behavior {
        auth: AuthMode::BasicToPush,
        ..Behavior::default()
    })
    .await;
    let fixture = SyncFixture::between(&[
        ("source.io", &source.host),
        ("good.io", &good.host),
        ("push.io", &to_push.host),
    ]);
    for tag in ["v1", "v2", "v3"] {
        fixture.publish(&format!("source.io/app:{tag}"), &ONE).await;
    }
    fixture.write("images.yaml", "source.io/app: [push.io/app, good.io/app]");
    let auth = |password: &str| format!("push.io: {{username: {USER}, password: '{password}'}}");
    fixture.write("auth.yaml", &auth("Wrong-1234"));
    let arguments = ["images.yaml", "--auth", "auth.yaml"];
    let run = fixture.sync(&arguments).await;
    run.expect(2, &["`push.io` refused the login"]);
    assert!(good.tags().is_empty());
    let sent = to_push.requests().into_iter();
    let sent = sent.filter(|it| it.headers.contains_key("authorization"));
    assert_eq!(sent.count(), 1);
    fixture.write("auth.yaml", &auth(PASSWORD));
    fixture.sync(&arguments).await.expect(0, &[]);
    assert_eq!(to_push.tags(), good.tags());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tag_in_a_list_is_named_and_left_out() {
    let source = open().await;
    let fixture = SyncFixture::between(&[("source.io", &source.host)]);
    fixture.publish("source.io/app:v1", &ONE).await;
    let list = r#"{"tags": ["v1", "a b", "v1", "::error::\u001b[2J\ncreated", "-x", "", "é"]}"#;
    source.fault(
        Method::GET,
        "/app/tags/list",
        Fault::Respond(200, &[], list),
    );
    fixture.write("images.yaml", "source.io/app: source.io/copy");
    let run = fixture.sync(&["images.yaml"]).await;
    let wrong = "cannot be tags of `source.io/app`, which is left out: `a b`, `::error::\u{fffd}[2J created`, \
                 `-x` and 2 more";
    run.expect(0, &[wrong, "1 of 1 in place"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_two_rules_choose_is_copied_and_counted_once() {
    let (source, good) = (open().await, open().await);
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &good.host)]);
    fixture.publish("source.io/app:v1", &ONE).await;
    fixture.write("a.yaml", "source.io/app:v1: one.io/app:v1");
    fixture.write("b.yaml", "source.io/app: one.io/app");
    let run = fixture
        .sync(&["a.yaml", "b.yaml", "--report", "report.json"])
        .await;
    run.expect(0, &[]);
    let report = fixture.report("report.json");
    assert_eq!(report["images"].as_array().unwrap().len(), 1, "{run}");
}
