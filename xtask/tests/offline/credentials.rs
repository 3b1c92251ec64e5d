//! Who signs in where: every command finds `docker login`'s credentials, and says whose they are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use serde_json::json;

use crate::support::images;
use crate::support::workspace::{Run, Workspace};

pub(super) const HELPER: &str = "docker-credential-tells";

/// Three registries that ask for a login, and a workspace with an image to publish that has none.
pub(super) struct Fixture {
    pub(super) registries: [FakeRegistry; 3],
    pub(super) workspace: Workspace,
}

impl Fixture {
    pub(super) async fn new() -> Fixture {
        Fixture::with(AuthMode::Basic).await
    }

    pub(super) async fn with(auth: AuthMode) -> Fixture {
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

    pub(super) fn sign_in_by_variables(&mut self, prefix: &str) {
        for (name, value) in [("USERNAME", USER), ("PASSWORD", PASSWORD)] {
            self.workspace.set(&format!("{prefix}_{name}"), value);
        }
    }

    /// As `docker login` leaves it.
    pub(super) fn sign_in_by_docker(&self, number: usize, password: &str) {
        let auth = STANDARD.encode(format!("{USER}:{password}"));
        let auths = json!({"auths": {&self.registries[number].host: {"auth": auth}}});
        self.docker_config(&auths.to_string());
    }

    pub(super) fn docker_config(&self, text: &str) {
        self.workspace.write("docker-home/config.json", text);
    }

    /// Leaves a credential helper in the path, which also tells that it was started.
    pub(super) fn install_helper(&mut self) {
        let answer = json!({"Username": USER, "Secret": PASSWORD});
        self.install_script(&format!("touch \"$0.started\"\necho '{answer}'\n"));
    }

    pub(super) fn install_script(&mut self, script: &str) {
        self.workspace.install(HELPER, script);
        self.docker_config(r#"{"credsStore": "tells"}"#);
    }

    pub(super) async fn release(&self, arguments: &[&str]) -> Run {
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
    let variables = "set `ONE_USERNAME` and `ONE_PASSWORD`";
    run.expect(1, &["0 tags as reported, 4 not", variables]);
    let asked = run.stderr.matches("requires authentication").count();
    assert_eq!(asked, 1, "{run}");

    fixture.workspace.set("ONE_USERNAME", USER);
    fixture.workspace.set("ONE_PASSWORD", "Wrong-1234");
    let run = verify(&fixture).await;
    run.expect(1, &["refused the login", "`ONE_PASSWORD`"]);
    assert_eq!(run.stderr.matches("refused").count(), 1, "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_looks_at_what_was_pushed_since_the_report() {
    let mut fixture = Fixture::new().await;
    fixture.sign_in_by_variables("ONE");
    fixture.sign_in_by_variables("TWO");
    let push = ["docker-push-one", "docker-push-two"];
    let reported = [&push[..], &["--report", "report.json"]].concat();
    fixture.registries[1].behave(|it| it.denies_uploads = true);
    fixture.release(&reported).await.expect(3, &[]);
    let verify = ["verify", "report.json"];
    let run = fixture.workspace.run(&verify).await;
    run.expect(3, &["not published: failed in the reported run"]);

    fixture.registries[1].behave(|it| it.denies_uploads = false);
    fixture.release(&["docker-push-two"]).await.expect(0, &[]);
    let run = fixture.workspace.run(&verify).await;
    let since = "`two`, failed in the reported run, holds the same as the others now";
    run.expect(0, &["4 tags as reported, 0 not", since]);

    // Something else under one of the tags is no repair.
    let index = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let media_type = "application/vnd.oci.image.index.v1+json";
    let repository = format!("team/{}", fixture.workspace.image);
    let other = bytes::Bytes::from_static(index);
    fixture.registries[1].put_manifest(&repository, "latest", media_type, other);
    let run = fixture.workspace.run(&verify).await;
    run.expect(3, &[":latest", "4 tags as reported, 0 not"]);
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
