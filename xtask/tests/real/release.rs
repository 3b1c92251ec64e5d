//! Whole releases: the built program, a real engine, real registries, a client nobody here wrote.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::servers::release_fixture::{
    ARCHITECTURE, PASSWORD, ReleaseFixture, TAGS, USER, VERSION, docker,
};

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

/// What the time of the build is in makes another image of every build, and what that of the release is in another
/// layer of every release. (An engine before 23 still dates `/app`.)
#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_the_image_bear_one_date_in_every_release() {
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
                assert_eq!(file.header().mtime().unwrap(), 315_619_200, "{path:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 7, "{seen} files");
}
