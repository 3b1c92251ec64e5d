//! Whole releases without an engine: the built program, and registries in memory.

use fakes::registry::{Behavior, FakeRegistry, Fault, PASSWORD, USER};
use hyper::Method;
use serde_json::Value;
use xtask::oci::Digest;

use crate::support::release_fixture::{ReleaseFixture, TAGS, VERSION, package, zip_name};

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_registry_fails_alone_and_a_second_run_pushes_nothing() {
    let fixture = ReleaseFixture::new(2).await;
    let run = fixture
        .workspace
        .run(&["release", "--report", "report.json"])
        .await;
    run.expect(
        3,
        &[
            "docker-push-aliyun  failed",
            "docker-push         succeeded",
            "docker-push-all     partial",
            "release             partial",
            "without `docker-push-aliyun`",
            "partly done",
        ],
    );

    let expected = fixture.registries[0].tagged(VERSION);
    for tag in TAGS {
        assert_eq!(
            fixture.registries[0].tagged(tag),
            expected,
            "{tag} on the first"
        );
        assert_eq!(
            fixture.registries[1].tagged(tag),
            expected,
            "{tag} on the second"
        );
    }
    let release = fixture.github.release();
    assert!(!release.draft && !release.prerelease);
    assert_eq!(release.tag, "v1.2.3");
    assert_eq!(release.assets.len(), 2);
    let report: Value = serde_json::from_str(&fixture.workspace.read("report.json")).unwrap();
    let digest = report["registries"][0]["digest"].as_str().unwrap();
    assert!(release.notes.contains(digest), "{}", release.notes);
    assert_eq!(report["exit_code"], 3);
    assert_eq!(report["registries"][2]["status"], "failed");

    let again = fixture.workspace.run(&["release"]).await;
    again.expect(3, &["already there, nothing pushed", "2 already there"]);
    assert!(!again.stderr.contains("pushed, tags "), "{again}");
    assert_eq!(fixture.registries[0].tagged("latest"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_platform_is_pushed_without_an_index() {
    let fixture = ReleaseFixture::new(1).await;
    fixture.change_facts("\"linux/amd64\", ", "");
    fixture
        .workspace
        .run(&["docker-push"])
        .await
        .expect(0, &["pushed, tags 1.2.3, 1.2, 1, latest set"]);
    let manifest: Value = serde_json::from_slice(&fixture.registries[0].tagged("1")).unwrap();
    assert!(manifest["config"].is_object(), "{manifest}");
    fixture
        .workspace
        .run(&["docker-push"])
        .await
        .expect(0, &["already there, nothing pushed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prerelease_moves_no_tag() {
    let mut fixture = ReleaseFixture::new(1).await;
    fixture.feed.publish(
        "2.0.0-beta.1",
        &[
            (&zip_name("x64"), &package("amd64")),
            (&zip_name("arm64"), &package("arm64")),
        ],
    );
    fixture.workspace.set("RELEASE_VERSION", "v2.0.0-beta.1");
    fixture
        .workspace
        .run(&[
            "release",
            "--skip",
            "docker-push-azure",
            "docker-push-aliyun",
        ])
        .await
        .expect(0, &["done"]);
    assert_eq!(fixture.tags(0), ["2.0.0-beta.1"]);
    assert!(fixture.github.release().prerelease);
}

#[tokio::test(flavor = "multi_thread")]
async fn require_holds_the_github_release_back() {
    let fixture = ReleaseFixture::new(1).await;
    fixture.change_facts("github-repository", "require = \"all\"\ngithub-repository");
    let run = fixture.workspace.run(&["release"]).await;
    run.expect(
        1,
        &[
            "github-release      skipped",
            "the image is not on azure, aliyun",
            "docker-push         succeeded",
        ],
    );
    assert!(fixture.github.state().releases.is_empty());

    // `latest` must not name a version that only part of the registries hold.
    run.expect(1, &["moving tags held back"]);
    assert_eq!(fixture.tags(0), [VERSION]);
    let run = fixture
        .workspace
        .run(&["docker-push", "--tags-when", "any"])
        .await;
    run.expect(0, &["tags 1.2, 1, latest set"]);

    // Once they hold it, the release can be made alone: the registries are asked.
    fixture.change_facts("\"all\"", "[\"dockerhub\"]");
    fixture
        .workspace
        .run(&["github-release"])
        .await
        .expect(0, &["created"]);
    assert!(fixture.github.release().notes.contains("sha256:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_added_in_the_table_alone() {
    let mut fixture = ReleaseFixture::new(1).await;
    let facts = fixture.workspace.read("Cargo.toml")
        + &format!(
            "[workspace.metadata.release.registries.harbor]\nprefix = \"HARBOR\"\nregistry = \"{}\"\nnamespace = \"x\"\n",
            fixture.registries[0].host
        );
    fixture.workspace.write("Cargo.toml", &facts);
    fixture
        .workspace
        .run(&["docker-push-harbor"])
        .await
        .expect(2, &["`HARBOR_USERNAME` and `HARBOR_PASSWORD` are not set"]);
    fixture.workspace.set("HARBOR_USERNAME", USER);
    fixture.workspace.set("HARBOR_PASSWORD", PASSWORD);
    fixture
        .workspace
        .run(&["DockerPushHarbor"])
        .await
        .expect(0, &["docker-push-harbor: succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_laptop_without_credentials_skips_and_ci_does_not() {
    let mut fixture = ReleaseFixture::new(1).await;
    for prefix in ["AZURE_ACR", "ALIYUN_ACR"] {
        fixture.workspace.set(&format!("{prefix}_USERNAME"), "");
        fixture.workspace.set(&format!("{prefix}_PASSWORD"), "");
    }
    let skipped = "`AZURE_ACR_USERNAME` and `AZURE_ACR_PASSWORD` are not set";
    fixture
        .workspace
        .run(&["docker-push-all", "--strict"])
        .await
        .expect(2, &[skipped, "ALIYUN_ACR_USERNAME"]);
    fixture
        .workspace
        .run(&["docker-push-all"])
        .await
        .expect(0, &["docker-push-azure   skipped", skipped]);
    fixture.workspace.set("DOCKER_USERNAME", "");
    fixture.workspace.set("DOCKER_PASSWORD", "");
    fixture
        .workspace
        .run(&["docker-push-all"])
        .await
        .expect(2, &["no registry has credentials"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_holds_something_else_is_replaced_and_that_is_said() {
    let fixture = ReleaseFixture::new(1).await;
    fixture.workspace.run(&["docker-push"]).await.expect(0, &[]);
    let before = fixture.registries[0].tagged(VERSION);
    let (amd64, arm64) = (package("amd64, mended"), package("arm64"));
    let files = [(&*zip_name("x64"), &*amd64), (&*zip_name("arm64"), &*arm64)];
    fixture.feed.publish(VERSION, &files);
    let arguments = ["docker-push", "--report", "report.json"];
    let run = fixture.workspace.run(&arguments).await;
    let after = fixture.registries[0].tagged(VERSION);
    assert_ne!(before, after);
    let [old, new] = [&before, &after].map(|it| Digest::sha256_of(it).to_string());
    let change = format!("{} -> {}", &old[..19], &new[..19]);
    run.expect(
        0,
        &[
            "warning: docker-push: `1.2.3` is sha256:",
            "is replaced",
            &change,
        ],
    );
    // Done again, the report still knows it.
    for _ in 0..2 {
        let report = &fixture.report("report.json")["registries"][0];
        assert_eq!(report["replaced"], *old, "{report}");
        assert_eq!(report["digest"], *new, "{report}");
        fixture.workspace.run(&arguments).await.expect(0, &[]);
    }
    assert!(
        TAGS.iter()
            .all(|tag| fixture.registries[0].tagged(tag) == after)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_on_the_way_is_a_wrong_setting() {
    let fixture = ReleaseFixture::new(3).await;
    // The preflight does not ask for blobs.
    for _ in 0..20 {
        let refused = Fault::Respond(401, &[("www-authenticate", "Basic realm=\"r\"")], "");
        fixture.registries[2].fault(Method::HEAD, "/blobs/", refused);
    }
    let run = fixture.workspace.run(&["docker-push-aliyun"]).await;
    run.expect(2, &["ALIYUN_ACR_PASSWORD"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_skipped_but_holds_the_version_counts() {
    let mut fixture = ReleaseFixture::new(2).await;
    let open = FakeRegistry::start(Behavior::default()).await;
    fixture.workspace.set("ALIYUN_ACR_REGISTRY", &open.host);
    fixture.change_facts("github-repository", "require = \"all\"\ngithub-repository");
    let run = fixture.workspace.run(&["docker-push-all"]).await;
    run.expect(0, &["tags 1.2.3, 1.2, 1, latest set"]);

    // Everyone may read there, so that it can be asked.
    for variable in ["ALIYUN_ACR_USERNAME", "ALIYUN_ACR_PASSWORD"] {
        fixture.workspace.set(variable, "");
    }
    let run = fixture.workspace.run(&["release"]).await;
    run.expect(0, &["docker-push-aliyun  skipped"]);
    assert!(fixture.github.release().notes.contains(&open.host));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_down_is_the_network_and_no_wrong_setting() {
    let mut fixture = ReleaseFixture::new(1).await;
    let nobody = format!("http://{}/", crate::support::dead_address());
    fixture.workspace.set("RELEASE_PACKAGE_INDEX_URL", &nobody);
    let run = fixture.workspace.run(&["docker-push"]).await;
    run.expect(1, &["network"]);
    assert!(
        !run.stderr.contains("a setting or an input is wrong"),
        "{run}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_package_index_is_told() {
    let mut fixture = ReleaseFixture::new(1).await;
    fixture.workspace.set("RELEASE_PACKAGE_INDEX_URL", "");
    let run = fixture.workspace.run(&["download", "--dry-run"]).await;
    run.expect(0, &["`RELEASE_PACKAGE_INDEX_URL` is empty", "127.0.0.1:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_alone_gets_its_moving_tags_when_the_others_hold_the_version() {
    let fixture = ReleaseFixture::new(2).await;
    let require = "require = [\"dockerhub\", \"azure\"]\ngithub-repository";
    fixture.change_facts("github-repository", require);
    let run = fixture.workspace.run(&["docker-push"]).await;
    run.expect(0, &["moving tags held back"]);
    let run = fixture.workspace.run(&["docker-push-azure"]).await;
    run.expect(
        0,
        &["1.2, 1, latest set", "dockerhub was asked and holds it too"],
    );
    assert_eq!(fixture.tags(0), [VERSION]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_of_docker_s_context_is_used_or_told_and_no_other() {
    let mut fixture = ReleaseFixture::new(1).await;
    fixture.workspace.set("DOCKER_HOST", "");
    fixture.workspace.set("DOCKER_CONTEXT", "colima");
    fixture.workspace.set("DOCKER_CONFIG", "/nonexistent");
    let build = ["docker-build", "--builder", "engine"];
    let run = fixture.workspace.run(&build).await;
    run.expect(2, &["docker's context `colima`", "hint: "]);
    // Who needs no engine is not stopped.
    fixture
        .workspace
        .run(&["docker-build"])
        .await
        .expect(0, &[]);
    fixture.workspace.set("DOCKER_HOST", "ssh://me@host");
    let run = fixture.workspace.run(&build).await;
    run.expect(2, &["ssh://", "forward its socket"]);
}
