//! The same sources give the same image by layers, and what cannot be read or written is told before anything is pushed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fakes::feed::FakeFeed;
use fakes::registry::{Behavior, FakeRegistry, PASSWORD, USER};
use fakes::zips;
use hyper::Method;
use serde_json::Value;

use crate::support::workspace::{Run, Workspace};

/// A package that does not compress to nothing.
fn package() -> Vec<u8> {
    let (text, noise) = ("text\n".repeat(40_000), fakes::noise("program", 300_000));
    zips::zip(&[
        ("lib/Product.runtimeconfig.json", 0o600, b"{}"),
        ("lib/Product.dll", 0o644, &noise),
        ("lib/text", 0o640, text.as_bytes()),
        ("lib/run", 0o700, b"#!/bin/sh\n"),
    ])
}

async fn feed() -> FakeFeed {
    let feed = FakeFeed::start().await;
    let names = ["x64", "arm64"].map(|it| format!("product-1.2.3-linux-{it}-nort.zip"));
    let package = package();
    let packages = names.each_ref().map(|name| (&**name, &*package));
    feed.publish("1.2.3", &packages);
    feed
}

/// A checkout that releases to `registry`, without an engine.
fn workspace(feed: &FakeFeed, registry: &str) -> Workspace {
    let tables = [("one", "ONE", registry, "team")];
    Workspace::new(&["linux/amd64", "linux/arm64"], &tables)
        .named("app")
        .with("ONE_USERNAME", USER)
        .with("ONE_PASSWORD", PASSWORD)
        .with("RELEASE_VERSION", "1.2.3")
        .with("RELEASE_PACKAGE_INDEX_URL", feed.url("").as_str())
        .with("DOCKER_HOST", "unix:///nonexistent.sock")
}

/// Runs the program after `shell` has prepared the process.
async fn run_in(workspace: &Workspace, shell: &str, arguments: &[&str]) -> Run {
    let mut command = workspace.other("sh");
    let script = format!("{shell}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_xtask")]);
    command.args(arguments).args(["--builder", "layers"]);
    Run::of(command.output().await.unwrap())
}

const BUILD: [&str; 1] = ["docker-build"];

/// The digest of the image in the layout.
async fn built(workspace: &Workspace, shell: &str) -> String {
    run_in(workspace, shell, &BUILD).await.expect(0, &[]);
    let index: Value = serde_json::from_str(&workspace.read("output/image/index.json")).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

/// Gives every file below `directory` a mode without rights for others, and another date.
fn change(directory: &Path, age: Duration) {
    for entry in directory.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            change(&path, age);
        }
        let mut permissions = metadata.permissions();
        permissions.set_mode(permissions.mode() & 0o700);
        std::fs::set_permissions(&path, permissions).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_digest_whatever_the_checkout_the_umask_the_dates_and_what_was_there_before() {
    let feed = feed().await;
    let (one, other) = (workspace(&feed, "one.test"), workspace(&feed, "other.test"));
    let digest = built(&one, "umask 022").await;
    // Again, with all that the first run has left.
    assert_eq!(built(&one, "umask 077").await, digest);
    // In another checkout, of somebody who is careful, years ago.
    change(
        &other.path().join("docker"),
        Duration::from_secs(100_000_000),
    );
    assert_eq!(built(&other, "umask 077").await, digest);
    // From nothing but the packages, and from nothing.
    for left in ["output/docker-build-context", "output"] {
        std::fs::remove_dir_all(one.path().join(left)).unwrap();
        let _ = std::fs::remove_dir_all(one.path().join("target"));
        assert_eq!(built(&one, "umask 000").await, digest, "without {left}");
    }
    // All of that out of the zips; now of unpacked files.
    let lib = one.path().join("output/docker-build-context/lib-amd64");
    assert!(!lib.exists());
    run_in(&one, "umask 077", &["extract"]).await.expect(0, &[]);
    assert!(lib.exists());
    let _ = std::fs::remove_dir_all(one.path().join("target"));
    assert_eq!(built(&one, "umask 077").await, digest);
    assert!(lib.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_is_damaged_after_its_extraction_is_named_and_nothing_is_pushed() {
    let feed = feed().await;
    let registry = FakeRegistry::start(Behavior::default()).await;
    let workspace = workspace(&feed, &registry.host);
    run_in(&workspace, ":", &["extract"]).await.expect(0, &[]);
    // Both: they are the same, and so is their layer, which is made of either.
    for runtime in ["x64", "arm64"] {
        let zip = format!("output/packages/1.2.3/product-1.2.3-linux-{runtime}-nort.zip");
        let path = workspace.path().join(zip);
        let mut bytes = std::fs::read(&path).unwrap();
        // In the middle of what does not compress, and nowhere else.
        let middle = bytes.len() / 2;
        bytes[middle..middle + 9].fill(0xff);
        std::fs::write(&path, bytes).unwrap();
    }
    let push = ["docker-push-one", "--skip", "download", "extract"];
    let run = run_in(&workspace, ":", &push).await;
    run.expect(
        1,
        &["Product.dll` is damaged in `", "hint: remove the package"],
    );
    assert_eq!(registry.count(Method::PUT, "/manifests/"), 0);
    assert!(!workspace.path().join("output/image").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_is_told_and_nothing_is_pushed() {
    let feed = feed().await;
    let registry = FakeRegistry::start(Behavior::default()).await;
    let workspace = workspace(&feed, &registry.host);
    run_in(&workspace, ":", &["extract"]).await.expect(0, &[]);
    // A limit on the length of a file is as good as a full disk: half a layer.
    let full = "trap '' XFSZ; ulimit -f 300";
    let push = ["docker-push-one", "--skip", "download", "extract"];
    let run = run_in(&workspace, full, &push).await;
    run.expect(1, &["File too large"]);
    assert_eq!(registry.count(Method::PUT, "/manifests/"), 0);
    assert!(!workspace.path().join("output/image").exists());
}
