//! What the machine has too little of: open files, and room for temporary ones.

use std::time::Duration;

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry};
use hyper::Method;

use crate::support::copying::{reads, repository};
use crate::support::images::{Sample, image};
use crate::support::sync_fixture::SyncFixture;

/// `sync images.yaml` after `shell` has prepared its process.
fn limited(fixture: &SyncFixture, shell: &str) -> tokio::process::Command {
    let mut command = fixture.workspace.other("sh");
    let script = format!("{shell}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_xtask")]);
    command.args(["sync", "images.yaml"]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_destination_leaves_open_files_to_a_fast_one() {
    const IMAGES: usize = 20;
    let source = FakeRegistry::start(Behavior::default()).await;
    let fast = FakeRegistry::start(Behavior::default()).await;
    let (slow, gate) = FakeRegistry::start_gated().await;
    for number in 0..IMAGES {
        let layers = (0..8).map(|layer| noise(&format!("{number} {layer}"), 140_000));
        let sample = image("linux/amd64", &layers.collect::<Vec<_>>());
        sample.place(&source, "app", &format!("t{number}"));
    }
    let hosts = [
        ("source.io", &source),
        ("fast.io", &fast),
        ("slow.io", &slow),
    ];
    let fixture = SyncFixture::between(&hosts.map(|(name, it)| (name, &*it.host)));
    fixture.write("images.yaml", "source.io/app: [fast.io/app, slow.io/app]");
    let child = limited(&fixture, "ulimit -n 128").spawn().unwrap();
    // While nothing of a layer gets into the slow one.
    let all = fast.asked_times(IMAGES, Method::PUT, "/manifests/");
    let all = tokio::time::timeout(Duration::from_secs(60), all).await;
    gate.send_replace(true);
    let run = fixture.ended(child.wait_with_output().await.unwrap());
    assert!(all.is_ok(), "the fast one waits: {run}");
    run.expect(0, &["40 of 40 in place"]);
}

/// Where the system tells what another process may do.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn as_many_files_as_the_system_allows_may_be_open() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = silent.local_addr().unwrap().to_string();
    let fixture = SyncFixture::between(&[("source.io", &host)]);
    fixture.write("images.yaml", "source.io/app:v1: source.io/copy");
    let mut child = limited(&fixture, "ulimit -Sn 99").spawn().unwrap();
    let (_connection, _) = tokio::task::spawn_blocking(move || silent.accept())
        .await
        .unwrap()
        .unwrap();
    let limits = format!("/proc/{}/limits", child.id().unwrap());
    let limits = std::fs::read_to_string(limits).unwrap();
    child.kill().await.unwrap();
    let line = limits.lines().find(|it| it.starts_with("Max open files"));
    let numbers = line
        .unwrap()
        .split_whitespace()
        .filter_map(|it| it.parse().ok());
    let [soft, hard] = numbers.collect::<Vec<u64>>()[..] else {
        panic!("{limits}");
    };
    assert_eq!(soft, hard.min(8192));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_without_room_is_not_read() {
    const HUGE: &str = "15000000000000";
    let source = FakeRegistry::start(Behavior::default()).await;
    let one = FakeRegistry::start(Behavior::default()).await;
    let other = FakeRegistry::start(Behavior::default()).await;
    let layer = noise("large", 200_000);
    let Sample { blobs, manifests } = image("linux/amd64", std::slice::from_ref(&layer));
    let manifest = String::from_utf8(manifests[0].bytes().to_vec()).unwrap();
    let manifest = manifest.replace("200000", HUGE);
    for (digest, bytes) in &blobs {
        source.put_blob("app", digest.as_str(), bytes.clone());
    }
    let media_type = xtask::oci::media_type::OCI_MANIFEST;
    source.put_manifest("app", "v1", media_type, manifest.into());
    let hosts = [
        ("source.io", &source),
        ("one.io", &one),
        ("other.io", &other),
    ];
    let fixture = SyncFixture::between(&hosts.map(|(name, it)| (name, &*it.host)));
    fixture.write(
        "images.yaml",
        "source.io/app:v1: [one.io/app, other.io/app]",
    );
    let run = fixture.sync(&["images.yaml"]).await;
    let said = format!("cannot take the {HUGE} bytes of");
    run.expect(
        1,
        &[&said, "it has room for", "`TMPDIR` names another folder"],
    );
    assert_eq!(source.count(Method::GET, blobs[0].0.as_str()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_blob_for_one_repository_takes_no_room() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let target = FakeRegistry::start(Behavior::default()).await;
    let sample = image("linux/amd64", &[noise("large", 9_000_000)]);
    sample.place(&source, "app", "v1");
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("target.io", &target.host)]);
    fixture.write("images.yaml", "source.io/app:v1: target.io/app");
    // Files of at most a mebibyte, and no signal about it.
    let mut command = limited(&fixture, "trap '' XFSZ; ulimit -f 2048");
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    sample
        .assert_at(&repository(&target.host, "app"), "v1")
        .await;
    assert_eq!(reads(&source, &sample), [1, 1]);
}
