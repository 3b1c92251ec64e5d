//! A release without an engine: the image is what an engine would have made.

use std::process::Command;

use serde_json::Value;

use crate::servers::release_fixture::{
    ARCHITECTURE, PASSWORD, ReleaseFixture, TAGS, USER, VERSION, docker,
};

/// Where no engine is.
const NO_ENGINE: &str = "unix:///nonexistent.sock";

/// Mode, owner, size, name and link of every file in an image, as an engine unpacks it.
fn files(image: &str) -> Vec<String> {
    let container = docker(&["create", "--network=none", image, "nothing"]);
    let listing = Command::new("sh")
        .args(["-c", "docker export \"$1\" | tar -tv --numeric-owner", "sh"])
        .arg(container.trim())
        .output()
        .unwrap();
    docker(&["rm", "--force", container.trim()]);
    assert!(listing.status.success(), "{listing:?}");
    let listing = String::from_utf8(listing.stdout).unwrap();
    let without_dates = listing.lines().map(|line| {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.drain(3..5);
        words.join(" ")
    });
    let mut files: Vec<String> = without_dates.collect();
    files.sort();
    files
}

/// The part of an image's config that says how it runs.
fn settings(image: &str) -> Value {
    let config = docker(&["image", "inspect", "--format", "{{json .Config}}", image]);
    let mut config: Value = serde_json::from_str(&config).unwrap();
    let fields = config.as_object_mut().unwrap();
    // Of the container that an engine's build had, and what engines add when they inspect.
    for field in ["Image", "Hostname", "OnBuild", "AttachStdout"] {
        fields.remove(field);
    }
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn every_registry_gets_what_the_engine_would_build() {
    let mut fixture = ReleaseFixture::new(3).await;
    // The engine's image first: it has the name that the other is pulled by otherwise.
    let run = fixture
        .workspace
        .run(&["docker-build", "--builder", "engine"])
        .await;
    run.expect(0, &[]);
    let built = format!("{}:{VERSION}-linux-{ARCHITECTURE}", fixture.workspace.image);
    let (expected, runs_as) = (files(&built), settings(&built));

    fixture.workspace.set("DOCKER_HOST", NO_ENGINE);
    let push = ["docker-push-all"];
    fixture
        .workspace
        .run(&push)
        .await
        .expect(0, &["release 1.2.3: done"]);
    let index = fixture.same(&TAGS);
    let image = fixture.pulled(1, VERSION);
    assert_eq!(files(&image), expected);
    assert_eq!(settings(&image), runs_as);
    let said = [
        "run",
        "--rm",
        "--network=none",
        "--entrypoint",
        "/app/busybox",
        &image,
    ];
    let said = docker(&[&said[..], &["cat", "/app/Product.dll"]].concat());
    assert_eq!(said, ARCHITECTURE);

    // Built again, from nothing, it is the same image, and nothing is pushed.
    std::fs::remove_dir_all(fixture.workspace.path().join("output")).unwrap();
    let again = fixture.workspace.run(&push).await;
    again.expect(0, &["already there, nothing pushed"]);
    assert_eq!(fixture.same(&TAGS), index);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_image_is_read_with_the_logins_of_its_registry() {
    let mut fixture = ReleaseFixture::new(2).await;
    let host = fixture.registries[0].host.clone();
    let base = format!("{host}/team/base:1");
    let context = tempfile::tempdir().unwrap();
    std::fs::write(context.path().join("marker"), "base").unwrap();
    std::fs::write(
        context.path().join("Dockerfile"),
        "FROM scratch\nCOPY marker /app/marker\nENV FROM_BASE=yes\nUSER 65534\nCMD [\"old\"]\n",
    )
    .unwrap();
    docker(&[
        "build",
        "--quiet",
        "--tag",
        &base,
        context.path().to_str().unwrap(),
    ]);
    let config = tempfile::tempdir().unwrap();
    let config = config.path().to_str().unwrap();
    let login = ["login", "--username", USER, "--password", PASSWORD, &host];
    docker(&[&["--config", config], &login[..]].concat());
    docker(&["--config", config, "push", "--quiet", &base]);
    docker(&["image", "rm", &base]);

    fixture.workspace.set("DOCKER_HOST", NO_ENGINE);
    fixture.workspace.set("DOCKER_BASE_IMAGE", &base);
    let push = ["docker-push-all"];
    let run = fixture.workspace.run(&push).await;
    run.expect(2, &["has no image for `linux/", "hint: it has `linux/"]);
    // The sample's base is of this machine's platform only.
    let cargo = fixture.workspace.read("Cargo.toml");
    let one = format!("platforms = [\"linux/{ARCHITECTURE}\"]");
    let both = "platforms = [\"linux/amd64\", \"linux/arm64\"]";
    fixture
        .workspace
        .write("Cargo.toml", &cargo.replace(both, &one));
    let run = fixture.workspace.run(&push).await;
    // The third registry is a dead address.
    run.expect(3, &["base:1` is sha256:"]);

    let image = fixture.pulled(1, VERSION);
    let files = files(&image);
    let has = |name: &str| files.iter().any(|file| file.ends_with(&format!(" {name}")));
    assert!(has("app/marker") && has("app/Product.dll"), "{files:?}");
    let config = settings(&image);
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["Cmd"], Value::Null);
    let env = config["Env"].as_array().unwrap();
    assert!(env.contains(&Value::from("FROM_BASE=yes")), "{env:?}");
    let manifest: Value = serde_json::from_slice(&fixture.raw(1, VERSION)).unwrap();
    let annotations = &manifest["annotations"];
    assert_eq!(annotations["org.opencontainers.image.base.name"], *base);

    // The engine can have it as well, with the layers of its base.
    let engine = std::env::var("DOCKER_HOST");
    let engine = engine.unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    fixture.workspace.set("DOCKER_HOST", &engine);
    // Also when the registries have them, and nothing is left but the memory.
    std::fs::remove_dir_all(fixture.workspace.path().join("output")).unwrap();
    let run = fixture
        .workspace
        .run(&["docker-push-all", "--load", "--builder", "layers"])
        .await;
    let loaded = format!("{}:{VERSION}", fixture.workspace.image);
    run.expect(3, &[&format!("the engine has `{loaded}`")]);
    assert_eq!(self::files(&loaded), files);

    // An engine gets the same login.
    let host = std::env::var("DOCKER_HOST");
    let host = host.unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    fixture.workspace.set("DOCKER_HOST", &host);
    let build = ["docker-build", "--builder", "engine"];
    fixture.workspace.run(&build).await.expect(0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_gets_its_platform_to_try_it() {
    let fixture = ReleaseFixture::new(1).await;
    let image = format!("{}:{VERSION}", fixture.workspace.image);
    for builder in ["layers", "engine"] {
        let build = ["docker-build", "--load", "--builder", builder];
        let run = fixture.workspace.run(&build).await;
        run.expect(0, &[&format!("the engine has `{image}`")]);
        let entry = ["run", "--rm", "--network=none", "--entrypoint"];
        let cat = ["/app/busybox", &image, "cat", "/app/Product.dll"];
        assert_eq!(docker(&[&entry[..], &cat].concat()), ARCHITECTURE);
        docker(&["image", "rm", &image]);
    }
    // An image that the engine cannot run.
    let other = match ARCHITECTURE {
        "amd64" => "arm64",
        _ => "amd64",
    };
    let cargo = fixture.workspace.read("Cargo.toml");
    let both = "platforms = [\"linux/amd64\", \"linux/arm64\"]";
    let one = format!("platforms = [\"linux/{other}\"]");
    let cargo = cargo.replace(both, &one);
    fixture.workspace.write("Cargo.toml", &cargo);
    let run = fixture.workspace.run(&["docker-build", "--load"]).await;
    run.expect(2, &["`--load`: the engine runs on"]);
}
