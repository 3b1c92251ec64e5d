//! Who signs in where: every command finds `docker login`'s credentials, and says whose they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use serde_json::json;

use crate::support::images;
use crate::support::workspace::{Run, Workspace};

const HELPER: &str = "docker-credential-tells";

/// Three registries that ask for a login, and a workspace with an image to publish that has none.
struct Fixture {
    registries: [FakeRegistry; 3],
    workspace: Workspace,
}

impl Fixture {
    async fn new() -> Fixture {
        Fixture::with(AuthMode::Basic).await
    }

    async fn with(auth: AuthMode) -> Fixture {
        let start = || {
            FakeRegistry::start(Behavior {
                auth,
                ..Behavior::default()
            })
        };
        let registries = [start().await, start().await, start().await];
        let [one, two, three] = [0, 1, 2].map(|number: usize| &*registries[number].host);
        let mut workspace = Workspace::new(
            &["linux/amd64"],
            &[
                ("one", "ONE", one, "team"),
                ("two", "TWO", two, "team"),
                ("three", "THREE", three, "team"),
            ],
        );
        images::tarball().write(&workspace.path().join("image"));
        let directory = workspace.path().join("docker-home");
        workspace.set("DOCKER_CONFIG", directory.to_str().unwrap());
        workspace.set("DOCKER_HOST", "unix:///nonexistent.sock");
        Fixture {
            registries,
            workspace,
        }
    }

    fn sign_in_by_variables(&mut self, prefix: &str) {
        for (name, value) in [("USERNAME", USER), ("PASSWORD", PASSWORD)] {
            self.workspace.set(&format!("{prefix}_{name}"), value);
        }
    }

    /// As `docker login` leaves it.
    fn sign_in_by_docker(&self, number: usize, password: &str) {
        let auth = STANDARD.encode(format!("{USER}:{password}"));
        let auths = json!({"auths": {&self.registries[number].host: {"auth": auth}}});
        self.docker_config(&auths.to_string());
    }

    fn docker_config(&self, text: &str) {
        self.workspace.write("docker-home/config.json", text);
    }

    /// Leaves a credential helper in the path, which also tells that it was started.
    fn install_helper(&mut self) {
        let answer = json!({"Username": USER, "Secret": PASSWORD});
        self.install_script(&format!("touch \"$0.started\"\necho '{answer}'\n"));
    }

    fn install_script(&mut self, script: &str) {
        self.workspace.install(HELPER, script);
        self.docker_config(r#"{"credsStore": "tells"}"#);
    }

    async fn release(&self, arguments: &[&str]) -> Run {
        let image = ["--release-version", "1.2.3", "--image", "oci:image"];
        self.workspace.run(&[arguments, &image[..]].concat()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dockers_login_is_as_good_as_variables() {
    let mut fixture = Fixture::new().await;
    fixture.sign_in_by_docker(0, PASSWORD);
    fixture.sign_in_by_variables("TWO");
    let unset = "`THREE_USERNAME` and `THREE_PASSWORD` are not set, and there is no `docker login 127.0.0.1";
    let pushed = fixture
        .release(&["docker-push-all", "--report", "report.json"])
        .await;
    pushed.expect(0, &["docker-push-three  skipped", unset]);
    let tags = fixture.registries[0].tags();
    assert!(!tags.is_empty());
    assert_eq!(tags, fixture.registries[1].tags());
    assert!(fixture.registries[2].tags().is_empty());
    // Where it has to be pushed, no login is an error.
    for arguments in [&["docker-push-three"][..], &["docker-push-all", "--strict"]] {
        fixture.release(arguments).await.expect(2, &[unset]);
    }

    let check = fixture.workspace.run(&["check"]).await;
    let docker = format!("Docker's login for `{}`", fixture.registries[0].host);
    check.expect(
        0,
        &[
            &docker,
            "`TWO_USERNAME` and `TWO_PASSWORD`",
            "accepts the push",
        ],
    );

    let promote = ["promote", "1.2.3", "--tag", "stable"];
    fixture.workspace.run(&promote).await.expect(0, &["done"]);
    assert!(fixture.registries[0].tags() == fixture.registries[1].tags());
    let verify = ["verify", "report.json"];
    let equal = "8 tags as reported, 0 not";
    fixture.workspace.run(&verify).await.expect(0, &[equal]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_verified_in_any_directory() {
    let fixture = Fixture::new().await;
    fixture.sign_in_by_docker(0, PASSWORD);
    fixture
        .release(&["docker-push-one", "--report", "report.json"])
        .await
        .expect(0, &[]);
    std::fs::remove_file(fixture.workspace.path().join("Cargo.toml")).unwrap();
    let verify = fixture.workspace.run(&["verify", "report.json"]).await;
    verify.expect(0, &["4 tags as reported, 0 not"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_whose_it_is() {
    let fixture = Fixture::new().await;
    fixture.sign_in_by_docker(0, "Wrong-1234");
    let hint = format!("check Docker's login for `{}`", fixture.registries[0].host);
    let push = fixture.release(&["docker-push-one"]).await;
    push.expect(2, &["refuses the credentials", &hint]);
    assert!(!push.to_string().contains("Wrong-1234"), "{push}");
    let check = fixture.workspace.run(&["check"]).await;
    check.expect(2, &["refuses the credentials", &hint]);
    let promote = ["promote", "1.2.3", "--tag", "stable"];
    let promote = fixture.workspace.run(&promote).await;
    promote.expect(2, &["refused the login", &hint]);
    assert_eq!(promote.stderr.matches("hint:").count(), 1, "{promote}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_names_the_registries_without_a_login() {
    let fixture = Fixture::new().await;
    let promote = ["promote", "1.2.3", "--tag", "stable"];
    let run = fixture.workspace.run(&promote).await;
    run.expect(2, &["no registry has credentials", "hint: "]);
    fixture.sign_in_by_docker(0, PASSWORD);
    let push = fixture.release(&["docker-push-one"]).await;
    push.expect(0, &[]);
    let run = fixture.workspace.run(&promote).await;
    let why = "skipped: `TWO_USERNAME` and `TWO_PASSWORD` are not set";
    run.expect(0, &["warning: registry `two` is skipped: ", why]);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_what_was_not_published_and_a_missing_login_once() {
    let mut fixture = Fixture::new().await;
    fixture.sign_in_by_variables("ONE");
    let arguments = ["docker-push-all", "--report", "report.json"];
    fixture.release(&arguments).await.expect(0, &[]);
    let verify = async |fixture: &Fixture| {
        let arguments = ["verify", "report.json"];
        fixture.workspace.run(&arguments).await
    };
    let skipped = "not published: skipped in the reported run";
    let run = verify(&fixture).await;
    run.expect(0, &["4 tags as reported, 0 not", skipped]);
    assert!(run.stderr.starts_with("REGISTRY"), "{run}");

    let report = fixture.workspace.read("report.json");
    let (one, others) = report.split_once("\"registries\"").unwrap();
    let others = others.replacen("\"skipped\"", "\"failed\"", 1);
    let report = format!("{one}\"registries\"{others}");
    fixture.workspace.write("report.json", &report);
    let failed = "not published: failed in the reported run";
    verify(&fixture).await.expect(3, &[failed, skipped]);

    fixture.workspace.set("ONE_USERNAME", "");
    fixture.workspace.set("ONE_PASSWORD", "");
    let run = verify(&fixture).await;
    run.expect(1, &["0 tags as reported, 4 not", "hint: "]);
    let asked = run.stderr.matches("requires authentication").count();
    assert_eq!(asked, 1, "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_why_it_fails() {
    let mut fixture = Fixture::new().await;
    let unset = "error: registry `one`: `ONE_USERNAME` and `ONE_PASSWORD` are not set";
    let check = async |fixture: &Fixture, arguments: &[&str]| {
        let arguments = [&["check"], arguments].concat();
        fixture.workspace.run(&arguments).await
    };
    let none = ["error: no registry has credentials"];
    check(&fixture, &[]).await.expect(2, &none);
    let strict = check(&fixture, &["--strict"]).await;
    strict.expect(2, &[unset, "\n`GITHUB_TOKEN` is not set"]);

    for prefix in ["ONE", "TWO", "THREE"] {
        fixture.sign_in_by_variables(prefix);
    }
    let run = check(&fixture, &[]).await;
    run.expect(0, &["`GITHUB_TOKEN` is not set: `github-release`"]);
    let no_token = ["error: `GITHUB_TOKEN` is not set"];
    check(&fixture, &["--strict"]).await.expect(2, &no_token);
    fixture.workspace.set("GITHUB_TOKEN", "token-1234");
    let run = check(&fixture, &["--strict"]).await;
    run.expect(0, &["`GITHUB_TOKEN` is set"]);
    fixture.workspace.set("TWO_PASSWORD", "");
    let half = ["error: registry `two`: `TWO_USERNAME` is set and `TWO_PASSWORD` is not"];
    check(&fixture, &[]).await.expect(2, &half);
}

#[tokio::test(flavor = "multi_thread")]
async fn dockers_configuration_matters_where_it_is_needed() {
    let mut fixture = Fixture::new().await;
    fixture.docker_config("{");
    fixture.sign_in_by_variables("ONE");
    let unreadable = "docker's configuration is not readable at line 1";
    let push = fixture.release(&["docker-push-all"]).await;
    push.expect(0, &["docker-push-two    skipped", unreadable]);
    let push = fixture.release(&["docker-push-two"]).await;
    push.expect(2, &[unreadable]);
    for prefix in ["TWO", "THREE"] {
        fixture.sign_in_by_variables(prefix);
    }
    let push = fixture.release(&["docker-push-all", "--strict"]).await;
    push.expect(0, &[]);
    assert!(!push.to_string().contains(unreadable), "{push}");
}

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
async fn registries_at_one_host_are_verified_with_their_own_logins() {
    let mut fixture = Fixture::new().await;
    let [one, two, _] = fixture.registries.each_ref().map(|it| &*it.host);
    let facts = fixture.workspace.read("Cargo.toml").replace(two, one);
    fixture.workspace.write("Cargo.toml", &facts);
    fixture.workspace.set("TWO_NAMESPACE", "teamb");
    fixture.sign_in_by_variables("TWO");
    let push = ["docker-push-two", "--report", "report.json"];
    fixture.release(&push).await.expect(0, &[]);
    fixture.workspace.set("ONE_USERNAME", USER);
    fixture.workspace.set("ONE_PASSWORD", "Wrong-1234");
    let verify = fixture.workspace.run(&["verify", "report.json"]).await;
    verify.expect(0, &["4 tags as reported, 0 not"]);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_login_for_a_namespace_is_for_what_is_in_it() {
    let fixture = Fixture::new().await;
    let host = &fixture.registries[0].host;
    let login = |password: &str| json!({"auth": STANDARD.encode(format!("{USER}:{password}"))});
    let auths = json!({"auths": {
        format!("{host}/other"): login("wrong"),
        format!("https://{host}/v1/"): login("wrong"),
        format!("{host}/team"): login(PASSWORD),
    }});
    fixture.docker_config(&auths.to_string());
    fixture.release(&["docker-push-one"]).await.expect(0, &[]);
}
