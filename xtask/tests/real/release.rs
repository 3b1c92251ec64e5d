//! Whole releases: the built program, a real engine, real registries, a client nobody here wrote.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::servers::release_fixture::{
    ARCHITECTURE, PASSWORD, ReleaseFixture, TAGS, USER, VERSION, docker, package, skopeo_raw,
    zip_name,
};

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
            "partly done",
        ],
    );

    let expected = fixture.raw(0, VERSION);
    for tag in TAGS {
        assert_eq!(fixture.raw(0, tag), expected, "{tag} on the first");
        assert_eq!(fixture.raw(1, tag), expected, "{tag} on the second");
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
    assert_eq!(fixture.raw(0, "latest"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_registries_get_one_index_of_two_platforms_and_the_image_runs() {
    let fixture = ReleaseFixture::new(3).await;
    fixture
        .workspace
        .run(&["Release"])
        .await
        .expect(0, &["release 1.2.3: done"]);

    let raw = fixture.raw(0, VERSION);
    assert!((1..3).all(|number| TAGS.iter().all(|tag| fixture.raw(number, tag) == raw)));
    let index: Value = serde_json::from_slice(&raw).unwrap();
    let platforms: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);

    // A fresh pull by the engine, through the index, by another user of the registry.
    let reference = fixture.pulled(0, "latest");
    let said = docker(&[
        "run",
        "--rm",
        "--network=none",
        "--entrypoint",
        "/app/busybox",
        &reference,
        "cat",
        "/app/Product.dll",
    ]);
    assert_eq!(said, ARCHITECTURE);
    let config: Value = serde_json::from_str(&docker(&[
        "inspect",
        "--format",
        "{{json .Config}}",
        &reference,
    ]))
    .unwrap();
    assert_eq!(
        config["Labels"]["org.opencontainers.image.version"],
        VERSION
    );
    assert_eq!(
        config["Labels"]["org.opencontainers.image.created"],
        "2026-01-01T00:00:00Z"
    );
    assert!(config["ExposedPorts"]["5000/tcp"].is_object(), "{config}");
    assert_ne!(
        config["User"]
            .as_str()
            .unwrap()
            .parse::<u32>()
            .or(config["User"]
                .as_str()
                .unwrap()
                .split(':')
                .next()
                .unwrap()
                .parse())
            .unwrap(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_platform_is_pushed_without_an_index() {
    let fixture = ReleaseFixture::new(1).await;
    let facts = fixture
        .workspace
        .read("Cargo.toml")
        .replace("[\"linux/amd64\", \"linux/arm64\"]", "[\"linux/arm64\"]");
    fixture.workspace.write("Cargo.toml", &facts);
    fixture
        .workspace
        .run(&["docker-push"])
        .await
        .expect(0, &["pushed, tags 1.2.3, 1.2, 1, latest set"]);
    let manifest: Value = serde_json::from_slice(&fixture.raw(0, "1")).unwrap();
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
    assert!(!fixture.raw(0, "2.0.0-beta.1").is_empty());
    let image = &fixture.workspace.image;
    let latest = skopeo_raw(&format!(
        "{}/team/{image}:latest",
        fixture.registries[0].host
    ));
    assert!(latest.unwrap_err().contains("manifest unknown"));
    assert!(fixture.github.release().prerelease);
}

#[tokio::test(flavor = "multi_thread")]
async fn require_holds_the_github_release_back() {
    let fixture = ReleaseFixture::new(1).await;
    let facts = fixture
        .workspace
        .read("Cargo.toml")
        .replace("github-repository", "require = \"all\"\ngithub-repository");
    fixture.workspace.write("Cargo.toml", &facts);
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
    let latest = format!(
        "{}/team/{}:latest",
        fixture.registries[0].host, fixture.workspace.image
    );
    assert!(
        skopeo_raw(&latest)
            .unwrap_err()
            .contains("manifest unknown")
    );
    let run = fixture
        .workspace
        .run(&["docker-push", "--tags-when", "any"])
        .await;
    run.expect(0, &["tags 1.2, 1, latest set"]);

    // Once they hold it, the release can be made alone: the registries are asked.
    let facts = facts.replace("require = \"all\"", "require = [\"dockerhub\"]");
    fixture.workspace.write("Cargo.toml", &facts);
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
    fixture.workspace.set("HARBOR_USERNAME", "robot$ci");
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
async fn what_docker_login_has_left_is_enough() {
    let mut fixture = ReleaseFixture::new(2).await;
    for prefix in ["DOCKER", "AZURE_ACR", "ALIYUN_ACR"] {
        fixture.workspace.set(&format!("{prefix}_USERNAME"), "");
        fixture.workspace.set(&format!("{prefix}_PASSWORD"), "");
    }
    let home = fixture.workspace.path().join("docker-home");
    let home = home.to_str().unwrap().to_owned();
    for registry in &fixture.registries {
        let login = ["login", "--username", USER, "--password", PASSWORD];
        docker(&[&["--config", &home], &login[..], &[&registry.host]].concat());
    }
    fixture.workspace.set("DOCKER_CONFIG", &home);
    let pushed = "pushed, tags 1.2.3, 1.2, 1, latest set";
    for push in [
        ["docker-push", "--via", "engine"],
        ["docker-push-azure", "--via", "direct"],
    ] {
        fixture.workspace.run(&push).await.expect(0, &[pushed]);
    }
    let all = fixture.workspace.run(&["docker-push-all"]).await;
    all.expect(0, &["docker-push-aliyun  skipped", "`docker login "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_holds_something_else_is_replaced_and_that_is_said() {
    let fixture = ReleaseFixture::new(1).await;
    fixture.workspace.run(&["docker-push"]).await.expect(0, &[]);
    let before = fixture.raw(0, VERSION);
    let (amd64, arm64) = (package("amd64, mended"), package("arm64"));
    let files = [(&*zip_name("x64"), &*amd64), (&*zip_name("arm64"), &*arm64)];
    fixture.feed.publish(VERSION, &files);
    let run = fixture.workspace.run(&["docker-push"]).await;
    run.expect(
        0,
        &["warning: docker-push: `1.2.3` is sha256:", "is replaced"],
    );
    let after = fixture.raw(0, VERSION);
    assert_ne!(before, after);
    assert!(TAGS.iter().all(|tag| fixture.raw(0, tag) == after));
}

/// What the time of the build is in makes another image of every build. (An engine before 23 still dates `/app`.)
#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_the_image_bear_the_date_of_the_release() {
    let fixture = ReleaseFixture::new(0).await;
    fixture
        .workspace
        .run(&["docker-build", "--builder", "engine"])
        .await
        .expect(0, &[]);
    let saved = fixture.workspace.path().join("saved.tar");
    let image = format!("{}:1.2.3-linux-amd64", fixture.workspace.image);
    docker(&["save", "--output", saved.to_str().unwrap(), &image]);
    let mut seen = 0;
    for entry in tar::Archive::new(File::open(saved).unwrap())
        .entries()
        .unwrap()
    {
        // Layers are `…/layer.tar` or, since engine 25, blobs among others.
        let mut content = Vec::new();
        entry.unwrap().read_to_end(&mut content).unwrap();
        if content.get(257..262) != Some(b"ustar") {
            continue;
        }
        for file in tar::Archive::new(&*content).entries().unwrap() {
            let file = file.unwrap();
            let path = file.path().unwrap().into_owned();
            if path != Path::new("app/") {
                assert_eq!(file.header().mtime().unwrap(), 1_767_225_600, "{path:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 7, "{seen} files");
}
