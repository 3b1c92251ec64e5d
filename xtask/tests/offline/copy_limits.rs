//! What the copier must not use up, and how it ends when it has to: memory, disk, patience.

use std::process::{Command, Output};
use std::sync::Arc;

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry};
use tokio::sync::watch;
use xtask::copy::{CopyStatus, run};

use crate::support::copying::{
    OPTIONS, RecordingListener, copy, destination, job, registry_host, repository,
};
use crate::support::images::image;
use crate::support::sparse;

/// Where a test finds its servers when it runs as a process of its own.
const SOURCE: &str = "COPY_TEST_SOURCE";
const TARGET: &str = "COPY_TEST_TARGET";

/// Copies `app:v1` from `SOURCE` to `TARGET`, as a process of its own: the reason of failure, and the peak of memory.
async fn child() {
    let host = |name| std::env::var(name).expect("the address of a server");
    let source = repository(&host(SOURCE), "app");
    let target = registry_host(&host(TARGET));
    let rows = copy(vec![job(
        &source,
        "v1",
        vec![destination(&target, "m", &["v1"])],
    )])
    .await;
    println!("reason: {:?}", rows[0].reason);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    println!("peak: {}", peak.trim_matches(|c: char| !c.is_ascii_digit()));
}

/// Runs the test `name` of this file again, as a process, after `shell` has prepared it.
async fn run_child(name: &str, shell: &str, source: &str, target: &str) -> Output {
    let script = format!("{shell} exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap());
    command.args([&format!("copy_limits::{name}"), "--exact", "--nocapture"]);
    command.env(SOURCE, source).env(TARGET, target);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = ended.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// What the child printed after `key`.
fn said(output: &Output, key: &str) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.split_once(key));
    line.unwrap_or_else(|| panic!("no {key} in {text}"))
        .1
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_gibibytes_pass_through_little_memory() {
    if std::env::var_os(SOURCE).is_some() {
        return child().await;
    }
    let source = sparse::source().await;
    let (target, arrived) = sparse::destination().await;
    let name = "five_gibibytes_pass_through_little_memory";
    let host = |server: &fakes::http::Server| server.host().to_owned();
    let output = run_child(name, "", &host(&source), &host(&target)).await;
    assert_eq!(said(&output, "reason: "), "None");
    assert!(*arrived.lock().unwrap());
    let peak: u64 = said(&output, "peak: ").parse().unwrap();
    assert!(peak < 64 << 10, "{peak} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_is_named_with_what_was_needed() {
    if std::env::var_os(SOURCE).is_some() {
        return child().await;
    }
    let sample = image("linux/amd64", &[noise("large", 3_000_000)]);
    let source = FakeRegistry::start(Behavior::default()).await;
    sample.place(&source, "app", "v1");
    let target = FakeRegistry::start(Behavior::default()).await;
    // Files of at most a mebibyte, and no signal about it: a disk that takes no more.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    let shell = format!("trap '' XFSZ; ulimit -f 2048; TMPDIR='{path}'; export TMPDIR;");
    let name = "a_disk_that_fills_up_is_named_with_what_was_needed";
    let output = run_child(name, &shell, &source.host, &target.host).await;
    let digest = &sample.blobs[0].0;
    assert_eq!(
        said(&output, "reason: "),
        format!(
            "Some(\"source: `{path}` cannot take the 3000000 bytes of {digest}: File too large (os error 27)\")"
        )
    );
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0);
    assert_eq!(target.count(hyper::Method::PUT, "manifests"), 0);
}

#[tokio::test]
async fn what_had_not_ended_when_it_was_interrupted_says_so() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let fast = FakeRegistry::start(Behavior::default()).await;
    let gate = watch::Sender::new(false);
    let slow = FakeRegistry::start(Behavior {
        gate: Some(gate.subscribe()),
        ..Behavior::default()
    })
    .await;
    image("linux/amd64", &[noise("large", 900_000)]).place(&source, "app", "v1");
    let destinations = [&fast, &slow].map(|it| destination(&registry_host(&it.host), "m", &["v1"]));
    let jobs = vec![job(
        &repository(&source.host, "app"),
        "v1",
        destinations.to_vec(),
    )];
    let listener = RecordingListener::default();
    let cancel = async {
        listener.finished(1).await;
    };
    let rows = run(jobs, &OPTIONS, Arc::new(listener.clone()), cancel).await;
    assert_eq!(rows[0].status, CopyStatus::Created);
    assert_eq!(rows[1].status, CopyStatus::Failed);
    assert_eq!(rows[1].reason.as_deref(), Some("interrupted"));
    assert_eq!(slow.count(hyper::Method::PUT, "manifests"), 0);
}
