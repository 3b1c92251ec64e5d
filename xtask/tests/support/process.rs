//! A copy in a process of its own, for what is limited or measured for each process.

use std::process::{Command, Output};

use super::copying::{copy, destination, job, registry_host, repository};

/// Where a test finds its servers when it runs as a process of its own.
const SOURCE: &str = "COPY_TEST_SOURCE";
const TARGET: &str = "COPY_TEST_TARGET";

/// Whether this process was started by [`run`].
pub fn is_child() -> bool {
    std::env::var_os(SOURCE).is_some()
}

/// Copies `app:v1` from `SOURCE` to `TARGET`, as a process of its own: the reason of failure, and the peak of memory.
pub async fn child() {
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
    // Linux has it.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("peak: {}", peak.trim_matches(|c: char| !c.is_ascii_digit()));
    }
}

/// Runs the test `name` of this binary again, as a process, after `shell` has prepared it.
pub async fn run(name: &str, shell: &str, source: &str, target: &str) -> Output {
    let script = format!("{shell} exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture"]);
    command.env(SOURCE, source).env(TARGET, target);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = ended.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// What the child printed after `key`.
pub fn said(output: &Output, key: &str) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.split_once(key));
    line.unwrap_or_else(|| panic!("no {key} in {text}"))
        .1
        .to_owned()
}
