//! A sync in parts as a job of Docker Swarm: `deploy/swarm/sync`, with the image of this program, on the real engine.

use std::collections::BTreeSet;
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::time::{Duration, Instant};

use fakes::registry::{self, AuthMode, Behavior, FakeRegistry, Fault, Rule};
use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::servers::distribution::free_address;
use crate::servers::release_fixture::docker;
use crate::servers::tool_image::ToolImage;

use crate::support::sync_fixture::SyncFixture;

const PARTS: usize = 3;
const REPOSITORIES: usize = 6;
const TAGS: [&str; 2] = ["v1", "v2"];

/// The engine as a swarm of one, unless it was in one; what it was not before, it is not afterwards.
struct Swarm {
    /// Of the job, and of what belongs to it.
    name: String,
    is_ours: bool,
    had_bridge: bool,
}

impl Swarm {
    fn join() -> Swarm {
        let had_bridge = networks().contains("docker_gwbridge");
        let state = docker(&["info", "--format", "{{.Swarm.LocalNodeState}}"]);
        let is_ours = state == "inactive";
        if is_ours {
            let address = [
                "--advertise-addr",
                "127.0.0.1",
                "--listen-addr",
                &free_address(),
            ];
            docker(&[&["swarm", "init"], &address[..]].concat());
        }
        Swarm {
            name: format!("xtask-test-{}", std::process::id()),
            is_ours,
            had_bridge,
        }
    }

    fn containers(&self, more: &[&str]) -> Vec<String> {
        let list = docker(&[&["ps", "--quiet", "--filter", &self.label()], more].concat());
        list.lines().map(str::to_owned).collect()
    }

    /// Of its containers.
    fn label(&self) -> String {
        format!("label=com.docker.swarm.service.name={}", self.name)
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        // It may be that the test has failed already: nothing here panics.
        let run = |arguments: &[&str]| Command::new("docker").args(arguments).output();
        let _ = run(&["service", "rm", &self.name]);
        let _ = run(&["secret", "rm", &format!("{}-logins", self.name)]);
        let listed = run(&["ps", "--all", "--quiet", "--filter", &self.label()]);
        let listed = listed.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
        for container in listed.unwrap_or_default().lines() {
            let _ = run(&["rm", "--force", "--volumes", container]);
        }
        if self.is_ours {
            let _ = run(&["swarm", "leave", "--force"]);
            if !self.had_bridge {
                let _ = run(&["network", "rm", "docker_gwbridge"]);
            }
        }
    }
}

fn networks() -> String {
    docker(&["network", "ls", "--format", "{{.Name}}"])
}

/// `deploy/swarm/sync` with the image, on the files in `folder`.
fn script(swarm: &Swarm, image: &ToolImage, folder: &TempDir) -> tokio::process::Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/swarm/sync");
    let mut script = tokio::process::Command::new(script);
    script
        .args([&image.name, &PARTS.to_string()])
        .arg(folder.path())
        .env("SYNC_NAME", &swarm.name)
        .kill_on_drop(true);
    script
}

/// The reports that a run has left: that of all parts, and those of the parts.
fn reports(folder: &TempDir) -> (Value, Vec<Value>) {
    let run = std::fs::read_dir(folder.path()).unwrap();
    let mut runs = run.map(|it| it.unwrap().path()).filter(|it| it.is_dir());
    let run = runs.next().unwrap();
    let read =
        |file: &str| serde_json::from_slice(&std::fs::read(run.join(file)).unwrap()).unwrap();
    let parts = (0..PARTS).map(|it| read(&format!("{it}/report.json")));
    (read("report.json"), parts.collect())
}

fn images(report: &Value) -> Vec<&str> {
    let images = report["images"].as_array().unwrap().iter();
    images.map(|it| it["image"].as_str().unwrap()).collect()
}

/// The one container of the job that still runs, once the others have ended.
async fn last_running(swarm: &Swarm) -> String {
    let give_up = Instant::now() + Duration::from_secs(120);
    loop {
        let running = swarm.containers(&[]);
        let ended = swarm.containers(&["--all", "--filter", "status=exited"]);
        if let ([one], PARTS) = (&running[..], running.len() + ended.len()) {
            return one.clone();
        }
        assert!(Instant::now() < give_up, "{running:?} run, {ended:?} ended");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_killed_half_way_is_done_again_and_the_union_is_the_whole() {
    let source = FakeRegistry::start(Behavior::default()).await;
    let target = FakeRegistry::start(Behavior {
        auth: AuthMode::Basic,
        ..Behavior::default()
    })
    .await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &target.host)]);
    let folder = tempfile::tempdir().unwrap();
    let rules = fixture.publish_many(REPOSITORIES, &TAGS).await;
    std::fs::write(folder.path().join("images.yaml"), fixture.addressed(&rules)).unwrap();

    let image = ToolImage::build();
    let swarm = Swarm::join();
    let login = json!({"username": registry::USER, "password": registry::PASSWORD});
    let logins = folder.path().join("config.json");
    std::fs::write(
        &logins,
        json!({"auths": {&*target.host: login}}).to_string(),
    )
    .unwrap();
    let secret = format!("{}-logins", swarm.name);
    docker(&["secret", "create", &secret, logins.to_str().unwrap()]);

    // When the part is killed, it has heard of one tag that it is in place, and not of the other.
    let second = Rule::new(Fault::Silence).method(Method::PUT);
    target.rule(second.path("/app0/manifests/").nth(2));
    let mut command = script(&swarm, &image, &folder);
    let mut run = pin!(command.output());
    tokio::select! {
        ended = &mut run => panic!("nothing was killed: {ended:?}"),
        () = async {
            target.asked_times(2, Method::PUT, "/app0/manifests/").await;
            let container = last_running(&swarm).await;
            docker(&["kill", "--signal", "KILL", &container]);
        } => {}
    }
    let output = run.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let all = REPOSITORIES * TAGS.len();
    assert!(said.contains(&format!("{all} of {all} in place")), "{said}");

    let (merged, parts) = reports(&folder);
    assert_eq!(merged["exit_code"], 0);
    let union: Vec<&str> = parts.iter().flat_map(images).collect();
    assert_eq!(union.len(), all, "an image in two parts");
    let union: BTreeSet<&str> = union.into_iter().collect();
    assert_eq!(union, images(&merged).into_iter().collect());
    let copied = target.tags();
    assert_eq!(copied.into_values().flatten().count(), all);
    for (slot, part) in parts.iter().enumerate() {
        let shard = &part["shard"];
        assert_eq!(
            (&shard["number"], &shard["of"]),
            (&json!(slot + 1), &json!(PARTS))
        );
    }
    // The second try finds what the first has done.
    let again = merged["images"].as_array().unwrap().iter();
    let again = again.filter(|it| it["image"].as_str().unwrap().contains("/app0:"));
    assert!(again.clone().count() == TAGS.len() && again.clone().all(|it| it["status"] == "equal"));
    let failed = docker(&[
        "service",
        "ps",
        &swarm.name,
        "--filter",
        "desired-state=shutdown",
        "--quiet",
    ]);
    assert_eq!(failed.lines().count(), 1, "one task was done again");
}
