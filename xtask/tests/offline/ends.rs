//! How a run ends that is asked to stop: what it has opened is cancelled, and what it has done is told.

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry, Fault};
use hyper::Method;
use tokio::process::Child;
use tokio::sync::watch;

use crate::report::send;
use crate::support::images::image;
use crate::support::release_fixture::ReleaseFixture;
use crate::support::sync_fixture::SyncFixture;
use crate::support::workspace::Run;

/// A sync that sends a layer which is not read before the gate opens.
struct Sending {
    registry: FakeRegistry,
    fixture: SyncFixture,
    child: Child,
    gate: watch::Sender<bool>,
}

impl Sending {
    /// `trap` prepares the shell that starts the program.
    async fn start(trap: &str) -> Sending {
        let (registry, gate) = FakeRegistry::start_gated().await;
        let sample = image("linux/amd64", &[noise("large", 900_000)]);
        sample.place(&registry, "app", "v1");
        let fixture = SyncFixture::between(&[("one.io", &registry.host)]);
        // Not within the registry, where the layer would be mounted.
        registry.behave(|behavior| behavior.mount = Some(404));
        fixture.write("images.yaml", "one.io/app:v1: one.io/copy");
        let mut command = fixture.workspace.other("sh");
        let script = format!("{trap} exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_xtask")]);
        command.args(["sync", "images.yaml", "--report", "r.json"]);
        let child = command.spawn().unwrap();
        registry.asked(Method::PATCH, "/session-").await;
        Sending {
            registry,
            fixture,
            child,
            gate,
        }
    }

    async fn ended(self) -> (Run, FakeRegistry, SyncFixture) {
        let run = self
            .fixture
            .ended(self.child.wait_with_output().await.unwrap());
        (run, self.registry, self.fixture)
    }
}

/// Whether the upload to which a request of `method` went was cancelled.
fn is_cancelled(registry: &FakeRegistry, method: &Method) -> bool {
    let requests = registry.requests();
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    let upload = requests
        .iter()
        .find(|it| it.method == method && it.target.contains("/session-"));
    let upload = path(&upload.expect("an upload").target);
    registry.count(Method::DELETE, &upload) == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_to_stop_cancels_uploads_and_is_reported() {
    for signal in ["INT", "TERM", "HUP"] {
        let sending = Sending::start("").await;
        send(signal, &sending.child);
        let (run, registry, fixture) = sending.ended().await;
        run.expect(130, &["sync: 0 of 1 in place", ": interrupted"]);
        assert!(is_cancelled(&registry, &Method::PATCH), "{signal}");
        assert_eq!(fixture.report("r.json")["exit_code"], 130);
    }
}

/// A sync that is interrupted while a registry has a part of a layer; what GET of the upload meets, if it meets
/// anything.
async fn interrupted_in_a_layer(fault: Option<Fault>) -> (Run, FakeRegistry) {
    let registry = FakeRegistry::start(Behavior::default()).await;
    image("linux/amd64", &[noise("large", 900_000)]).place(&registry, "app", "v1");
    let fixture = SyncFixture::between(&[("one.io", &registry.host)]);
    registry.behave(|behavior| behavior.mount = Some(404));
    registry.fault(Method::PATCH, "/session-", Fault::Hold(100_000));
    if let Some(fault) = fault {
        registry.fault(Method::GET, "/session-", fault);
    }
    fixture.write("images.yaml", "one.io/app:v1: one.io/copy");
    let child = fixture
        .workspace
        .command(&["sync", "images.yaml"])
        .spawn()
        .unwrap();
    while !registry.open_uploads().iter().any(|it| *it >= 100_000) {
        tokio::task::yield_now().await;
    }
    send("INT", &child);
    let run = fixture.ended(child.wait_with_output().await.unwrap());
    (run, registry)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_the_middle_of_a_layer_is_cancelled_where_it_is() {
    let (run, registry) = interrupted_in_a_layer(None).await;
    run.expect(130, &[": interrupted"]);
    assert_eq!(registry.open_uploads(), [0; 0], "{run}");
    assert!(!run.stderr.contains("has not cancelled"), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_registry_keeps_is_told() {
    // As distribution 2.8.
    let body = r#"{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}"#;
    let (run, registry) = interrupted_in_a_layer(Some(Fault::Respond(404, &[], body))).await;
    run.expect(
        130,
        &["has not cancelled 1 of the uploads", ": interrupted"],
    );
    assert_eq!(registry.open_uploads().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cancels_nothing_does_not_hold_the_end() {
    let sending = Sending::start("").await;
    sending
        .registry
        .fault(Method::DELETE, "/session-", Fault::Silence);
    send("INT", &sending.child);
    let (run, _registry, fixture) = sending.ended().await;
    run.expect(130, &[": interrupted"]);
    assert_eq!(fixture.report("r.json")["exit_code"], 130);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_request_to_stop_ends_at_once() {
    let sending = Sending::start("").await;
    sending
        .registry
        .fault(Method::DELETE, "/session-", Fault::Silence);
    send("INT", &sending.child);
    sending.registry.asked(Method::DELETE, "/session-").await;
    send("TERM", &sending.child);
    let (run, _registry, fixture) = sending.ended().await;
    run.expect(130, &[]);
    assert!(!fixture.workspace.path().join("r.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_shall_outlive_its_terminal_does() {
    let sending = Sending::start("trap '' HUP;").await;
    send("HUP", &sending.child);
    sending.gate.send_replace(true);
    let (run, ..) = sending.ended().await;
    run.expect(0, &["1 of 1 in place"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_cancels_its_uploads() {
    let fixture = ReleaseFixture::new(1).await;
    let registry = &fixture.registries[0];
    registry.fault(Method::PUT, "/session-", Fault::Silence);
    let command = &mut fixture.workspace.command(&["docker-push"]);
    let child = command.spawn().unwrap();
    registry.asked(Method::PUT, "/session-").await;
    send("INT", &child);
    let run = Run::of(child.wait_with_output().await.unwrap());
    // In the build, which begins the copies, or in the push.
    run.expect(130, &["aborted", "interrupted"]);
    assert!(is_cancelled(registry, &Method::PUT));
}

#[tokio::test(flavor = "multi_thread")]
async fn promote_reports_what_it_has_moved_before_it_was_asked_to_stop() {
    let fixture = ReleaseFixture::new(2).await;
    let workspace = &fixture.workspace;
    let released = workspace.run(&["docker-push-all"]).await;
    released.expect(3, &[]);
    let fault = || Fault::Silence;
    fixture.registries[1].fault(Method::PUT, "/manifests/stable", fault());
    let arguments = [
        "promote", "1.2.3", "--tag", "stable", "--tag", "edge", "--skip", "aliyun", "--report",
        "r.json",
    ];
    let child = workspace.command(&arguments).spawn().unwrap();
    fixture.registries[0]
        .asked(Method::PUT, "/manifests/edge")
        .await;
    fixture.registries[1]
        .asked(Method::PUT, "/manifests/stable")
        .await;
    send("INT", &child);
    let run = Run::of(child.wait_with_output().await.unwrap());
    run.expect(130, &["moved", "failed: interrupted"]);
    let report = fixture.report("r.json");
    assert_eq!(report["exit_code"], 130, "{report}");
    let of = |number: usize| report["registries"][number].clone();
    assert_eq!(of(0)["tags"][0], "stable", "{report}");
    assert_eq!(of(1)["status"], "failed", "{report}");
    assert_eq!(of(1)["note"], "interrupted; interrupted", "{report}");

    // One that cannot be written is told before anything is moved.
    let asked = fixture.registries[0].requests().len();
    let nowhere = [
        "promote",
        "1.2.3",
        "--tag",
        "x",
        "--report",
        "/nonexistent/r.json",
    ];
    let run = workspace.run(&nowhere).await;
    run.expect(2, &["`/nonexistent/r.json` cannot be written"]);
    assert_eq!(fixture.registries[0].requests().len(), asked);
}

/// A script would go on with half a list of tags, or keep half a file.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_printed_whole_is_no_success() {
    let registry = FakeRegistry::start(Behavior::default()).await;
    let fixture = SyncFixture::between(&[("one.io", &registry.host)]);
    fixture.publish("one.io/app:v1", &["linux/amd64"]).await;
    fixture.write("images.yaml", "one.io/app: one.io/copy");
    let repository = fixture.addressed("one.io/app");
    for arguments in [
        &["tags", &repository][..],
        &["sync", "images.yaml", "--print"],
        &["release", "--dry-run"],
        &["release", "--plan", "text"],
        &["sync", "--help"],
    ] {
        let run = async |stdout: std::process::Stdio| {
            let mut command = fixture.workspace.command(arguments);
            let child = command.stdout(stdout).spawn().unwrap();
            Run::of(child.wait_with_output().await.unwrap())
        };
        let full = std::fs::File::options().write(true).open("/dev/full");
        let is_help = arguments.contains(&"--help");
        let said = match is_help {
            true => "",
            false => "error: stdout cannot be written: No space left on device",
        };
        run(full.unwrap().into()).await.expect(1, &[said]);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = run(writer.into()).await;
        closed.expect(1, &[]);
        assert!(!closed.stderr.contains("stdout"), "{closed}");
        run(std::process::Stdio::null()).await.expect(0, &[]);
    }
}
