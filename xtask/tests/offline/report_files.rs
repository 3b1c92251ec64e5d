//! Files of a run that are no plain files, cannot be written, or hold what the next run needs.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::time::Duration;

use fakes::registry::Fault;
use hyper::Method;
use rustix::fs::OFlags;

use crate::report::{make_fifo, send, sync_fixture};
use crate::support::names;
use crate::support::workspace::Workspace;

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_is_found_before_the_work() {
    let (_registry, mut fixture) = sync_fixture().await;
    make_fifo(&fixture, "fifo");
    let _socket = UnixListener::bind(fixture.workspace.path().join("socket")).unwrap();
    let nobody = "`fifo` cannot be written: nobody reads it";
    let run = fixture.sync(&["sync.yaml", "--report", "fifo"]).await;
    run.expect(2, &[nobody]);
    let run = fixture.sync(&["sync.yaml", "--report", "socket"]).await;
    run.expect(2, &["`socket` cannot be written: "]);
    let run = fixture.sync(&["sync.yaml", "--report", "r/"]).await;
    run.expect(2, &["`r/` cannot be written: is a directory"]);
    let endless = ["sync.yaml", "--only-failed", "/dev/zero"];
    let run = fixture.sync(&endless).await;
    run.expect(2, &["`/dev/zero` cannot be read: it is larger than 64 MiB"]);
    let run = fixture.sync(&["sync.yaml", "--report", "-"]).await;
    run.expect(
        2,
        &["`-` cannot be written: that is no file; hint: `/dev/stdout`"],
    );
    fixture.workspace.set("GITHUB_ACTIONS", "true");
    fixture.workspace.set("GITHUB_OUTPUT", "fifo");
    fixture.sync(&["sync.yaml"]).await.expect(2, &[nobody]);
    fixture.workspace.set("GITHUB_OUTPUT", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_stops_no_interrupt() {
    let (registry, mut fixture) = sync_fixture().await;
    make_fifo(&fixture, "fifo");
    let mut options = std::fs::File::options();
    options
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let mut reader = options.open(fixture.workspace.path().join("fifo")).unwrap();
    // Longer than what a pipe holds.
    let list: String = (0..500)
        .map(|number| format!("{}/team/none:{number}\n", registry.host))
        .collect();
    fixture.write("list.txt", &list);
    fixture.workspace.set("REGISTRY", &registry.host);
    let mut command = fixture.command(&["list.txt", "--dry-run", "--report", "fifo"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    while !matches!(reader.read(&mut [0]), Ok(1)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    send("INT", &child);
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn stdout_is_written_on_and_not_replaced() {
    let (_registry, fixture) = sync_fixture().await;
    fixture.write("out", "");
    let path = fixture.workspace.path().join("out");
    let mut out = std::fs::File::options().append(true).open(&path).unwrap();
    writeln!(out, "before").unwrap();
    let status = fixture
        .command(&["sync.yaml", "--report", "/dev/stdout"])
        .stdout(Stdio::from(out.try_clone().unwrap()))
        .status();
    assert!(status.await.unwrap().success());
    writeln!(out, "after").unwrap();
    let text = fixture.read("out");
    assert!(
        text.starts_with("before\n{") && text.ends_with("}\nafter\n"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_no_old_report() {
    let (_registry, fixture) = sync_fixture().await;
    fixture.write("r.json", "old\n");
    let before = names(fixture.workspace.path());
    // No file may grow.
    let limited = "trap '' XFSZ; ulimit -f 0; exec \"$0\" sync no.yaml --report r.json";
    let mut command = fixture.workspace.other("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_xtask")]);
    let run = fixture.ended(command.output().await.unwrap());
    run.expect(2, &["`r.json` cannot be written: "]);
    assert_eq!(fixture.read("r.json"), "old\n");
    assert_eq!(names(fixture.workspace.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_what_failed_outlives_a_run_that_does_not_know_its_images() {
    let (registry, fixture) = sync_fixture().await;
    registry.fault(
        Method::PUT,
        "/copy/manifests/",
        Fault::Respond(403, &[], ""),
    );
    let first = ["sync.yaml", "--report", "r.json"];
    fixture.sync(&first).await.expect(1, &[]);
    let old = fixture.read("r.json");
    let arguments = ["--report", "r.json", "--only-failed", "./r.json"];
    let wrong = fixture.sync(&[&["no.yaml"], &arguments[..]].concat()).await;
    wrong.expect(2, &["no.yaml"]);
    assert_eq!(fixture.read("r.json"), old);

    fixture.write("other.yaml", "source: one.io/other\ntargets: one.io/copy\n");
    registry.fault(Method::GET, "/other/tags/list", Fault::Silence);
    let mut command = fixture.command(&[&["other.yaml"], &arguments[..]].concat());
    let child = command.spawn().unwrap();
    registry.asked(Method::GET, "/other/tags/list").await;
    send("INT", &child);
    let run = fixture.ended(child.wait_with_output().await.unwrap());
    run.expect(130, &["interrupted"]);
    assert_eq!(fixture.read("r.json"), old);
    let again = fixture
        .sync(&[&["sync.yaml"], &arguments[..]].concat())
        .await;
    again.expect(0, &["1 of 1 in place"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_at_the_start_is_an_annotation_and_files_that_are_not_written_are_not_tried() {
    let mut workspace = Workspace::new(&["linux/amd64"], &[("one", "ONE", "127.0.0.1:1", "team")])
        .with("GITHUB_ACTIONS", "true")
        .with("ONE_VERSION", "1.2.3");
    let run = workspace.run(&["release", "--report", "no/r.json"]).await;
    run.expect(2, &["::error::`no/r.json` cannot be written: No such"]);
    workspace.set("GITHUB_OUTPUT", "no/step");
    for arguments in [
        &["release", "--dry-run", "--release-version", "1.2.3"][..],
        &["release", "--plan", "text"],
        &["check"],
    ] {
        let run = workspace.run(arguments).await;
        assert!(!run.stderr.contains("no/step"), "{run}");
    }
    workspace.write(".env", "no equals sign\n");
    workspace.run(&["check"]).await.expect(2, &["::error::"]);
}
