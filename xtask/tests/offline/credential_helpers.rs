//! Credential helpers: asked only by whom and for what they are needed, told with their reason when they fail, and trusted
//! with no secret of another.

use fakes::registry::{AuthMode, FakeRegistry, PASSWORD, USER};
use serde_json::json;

use super::credentials::{Fixture, HELPER};
use crate::support::workspace::Run;

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_is_asked_in_a_run_and_not_for_a_plan() {
    let mut fixture = Fixture::new().await;
    fixture.install_helper();
    fixture.sign_in_by_variables("TWO");
    let dry_run = fixture.release(&["docker-push-all", "--dry-run"]).await;
    let asked_later = format!("if `{HELPER}` has one");
    dry_run.expect(
        0,
        &["login: `TWO_USERNAME` and `TWO_PASSWORD`", &asked_later],
    );
    assert!(!fixture.workspace.was_started(HELPER));
    assert!(fixture.registries.iter().all(|it| it.requests().is_empty()));

    fixture.release(&["docker-push-all"]).await.expect(0, &[]);
    assert!(fixture.workspace.was_started(HELPER));
    let tags = fixture.registries.each_ref().map(FakeRegistry::tags);
    assert!(!tags[0].is_empty());
    assert!(tags.iter().all(|it| *it == tags[0]), "{tags:?}");

    fixture.docker_config("{}");
    let dry_run = fixture.release(&["docker-push-all", "--dry-run"]).await;
    dry_run.expect(
        0,
        &["would be skipped: `ONE_USERNAME` and `ONE_PASSWORD` are not set"],
    );
    let dry_run = ["docker-push-one", "github-release", "--dry-run"];
    let dry_run = fixture.release(&dry_run).await;
    dry_run.expect(
        0,
        &[
            "    no login: `ONE_USERNAME`",
            "it would not start: `docker-push-one`",
            "with the packages that are there",
        ],
    );
    assert!(!dry_run.stdout.contains("would be skipped"), "{dry_run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_fails_is_a_failure_of_its_registry_and_shows_no_secret() {
    let mut fixture = Fixture::new().await;
    let answer = r#"{"Username":"u","Secret":"hunter22secret"}"#;
    fixture.install_script(&format!("echo '{answer}'\necho locked >&2\nexit 1\n"));
    fixture.sign_in_by_variables("TWO");
    let push = ["docker-push-all", "--report", "report.json"];
    let promote = ["promote", "1.2.3", "--tag", "stable"];
    let failed = "gave no credentials for `127.0.0.1";
    let locked = "exit status: 1: locked";
    let silent = |run: &Run| assert!(!run.to_string().contains("hunter22secret"), "{run}");

    let run = fixture.release(&push).await;
    run.expect(3, &["docker-push-one    failed", failed, locked]);
    silent(&run);
    let report = fixture.workspace.read("report.json");
    assert!(report.contains(locked) && !report.contains("hunter22secret"));
    let run = fixture.workspace.run(&promote).await;
    run.expect(3, &["failed: the credential helper", locked]);
    silent(&run);
    let run = fixture.workspace.run(&["check"]).await;
    run.expect(2, &["error: registry `one`: the credential helper", locked]);
    silent(&run);

    fixture.workspace.set("TWO_USERNAME", "");
    fixture.workspace.set("TWO_PASSWORD", "");
    fixture.release(&push).await.expect(1, &[failed, locked]);
    let run = fixture.workspace.run(&promote).await;
    run.expect(1, &["failed: the credential helper", locked]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_a_helper_does_not_stop_reading() {
    let mut fixture = Fixture::with(AuthMode::Open).await;
    fixture.sign_in_by_variables("ONE");
    let push = ["docker-push-one", "--report", "report.json"];
    fixture.release(&push).await.expect(0, &[]);
    fixture.workspace.set("ONE_USERNAME", "");
    fixture.workspace.set("ONE_PASSWORD", "");
    let [one, two, three] = fixture.registries.each_ref().map(|it| &it.host);
    let gone = json!({"credHelpers": {one: "gone", two: "gone"}});
    fixture.docker_config(&gone.to_string());
    let gone = "the credential helper `docker-credential-gone` gave no credentials";
    let read = format!("warning: `{one}` is read without a login: {gone}");
    let run = fixture.workspace.run(&["verify", "report.json"]).await;
    run.expect(0, &["4 tags as reported, 0 not", &read]);

    // A sync reads there, and does not write there.
    let image = format!("{one}/team/{}:1.2.3", fixture.workspace.image);
    let file = format!("{image}:\n  - {two}/copy\n  - {three}/copy\n");
    fixture.workspace.write("images.yaml", &file);
    let run = fixture.workspace.run(&["sync", "images.yaml"]).await;
    run.expect(
        3,
        &["1 of 2 in place", &read, &format!("`{two}`: No such file")],
    );
    assert!(fixture.registries[1].tags().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_while_a_helper_hangs_is_reported() {
    let mut fixture = Fixture::new().await;
    // One of several is the first: a second signal would end the program at once.
    fixture.install_script("mkdir \"$0.asked\" && kill -INT $PPID\nexec sleep 100\n");
    let push = ["docker-push-all", "--report", "report.json"];
    let run = fixture.release(&push).await;
    run.expect(130, &["interrupted before it started"]);
    let report = fixture.workspace.read("report.json");
    assert!(report.contains("\"exit_code\": 130"), "{report}");
    assert!(fixture.registries.iter().all(|it| it.requests().is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_helper_of_a_registry_that_is_pushed_to_is_asked() {
    let mut fixture = Fixture::new().await;
    fixture.install_helper();
    fixture.sign_in_by_variables("TWO");
    let host = &fixture.registries[0].host;
    fixture.docker_config(&json!({"credHelpers": {host: "tells"}}).to_string());
    fixture.release(&["docker-push-two"]).await.expect(0, &[]);
    assert!(!fixture.workspace.was_started(HELPER));
    fixture.release(&["docker-push-one"]).await.expect(0, &[]);
    assert!(fixture.workspace.was_started(HELPER));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_sees_no_secret_that_is_not_its_own() {
    let mut fixture = Fixture::new().await;
    let answer = json!({"Username": USER, "Secret": PASSWORD});
    fixture.install_script(&format!("env > \"$0.env\"\necho '{answer}'\n"));
    fixture.sign_in_by_variables("TWO");
    fixture.workspace.set("GITHUB_TOKEN", "ghp_canary");
    fixture.workspace.set("AWS_SESSION_TOKEN", "its own");
    let signed = "https://feed.example/packages?sv=1&sig=canary";
    fixture.workspace.set("RELEASE_PACKAGE_INDEX_URL", signed);
    fixture.release(&["docker-push-one"]).await.expect(0, &[]);
    let seen = fixture.workspace.read(&format!("bin/{HELPER}.env"));
    assert!(seen.contains("TWO_USERNAME") && seen.contains("AWS_SESSION_TOKEN"));
    for secret in [PASSWORD, "canary"] {
        assert!(!seen.contains(secret), "{seen}");
    }
}
