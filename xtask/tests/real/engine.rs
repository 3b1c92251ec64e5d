//! Builds and pushes with a real engine and a real registry. An engine that does not answer fails them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::Notify;
use xtask::credentials::Credentials;
use xtask::engine::{BuildLogins, BuildPlan, Engine, Error, Progress};
use xtask::oci::{Digest, Reference};
use xtask::secret::Secret;

use crate::servers::distribution::Distribution;
use crate::support::dead_address;

/// Base images are pulled as nobody.
pub static NOBODY: BuildLogins = BuildLogins::new();

pub const COPY_ONLY: &str = "\
ARG BASE_IMAGE=scratch
FROM ${BASE_IMAGE}
ARG TARGETARCH
ARG VERSION
LABEL from.argument=${VERSION}
COPY lib-${TARGETARCH}/ /app/
";

/// A build context of its own, and an image name that no other test has; both go when it is dropped.
pub struct Sample {
    root: TempDir,
    pub plan: BuildPlan,
    names: Vec<String>,
}

impl Sample {
    pub fn new(dockerfile: &str) -> Sample {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("xtask-engine-test-{}-{count}:1.2.3", std::process::id());
        let root = tempfile::tempdir().unwrap();
        let plan = BuildPlan {
            context: root.path().to_owned(),
            dockerfile: "Dockerfile".to_owned(),
            tag: name.clone(),
            platform: format!("linux/{}", architecture()).parse().unwrap(),
            args: BTreeMap::new(),
            labels: BTreeMap::new(),
            timestamp: 1_700_000_000,
        };
        let sample = Sample {
            root,
            plan,
            names: vec![name],
        };
        sample.write("Dockerfile", dockerfile);
        sample.write("lib-amd64/which", "amd64");
        sample.write("lib-arm64/which", "arm64");
        sample
    }

    /// One that can `RUN` something: busybox, the only program in it.
    fn with_busybox(step: &str) -> Sample {
        let sample = Sample::new(&format!(
            "FROM scratch\nCOPY busybox /bin/sh\nENV unique={}\nRUN {step}\n",
            std::process::id()
        ));
        fs::copy("/usr/bin/busybox", sample.root.path().join("busybox"))
            .expect("a static busybox; hint: apt-get install busybox");
        sample
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub async fn build(&self, engine: &Engine) -> Digest {
        engine.build(&self.plan, &NOBODY, &|_| ()).await.unwrap()
    }

    /// Builds the sample and gives the image a name in `registry`.
    async fn build_for(&mut self, engine: &Engine, registry: &str) -> Reference {
        let image = self.build(engine).await;
        let reference = format!("{registry}/ns/{}", self.plan.tag);
        let reference: Reference = reference.parse().unwrap();
        engine.tag(&image, &reference).await.unwrap();
        self.names.push(reference.to_string());
        reference
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("docker")
                .args(["image", "rm", "--force", name])
                .output();
        }
    }
}

pub async fn engine() -> Engine {
    Engine::connect(std::env::var("DOCKER_HOST").ok().as_deref())
        .await
        .unwrap()
}

pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// What another client says.
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn user(name: &str, password: &str) -> Credentials {
    Credentials::Basic {
        username: name.to_owned(),
        password: Secret::new(password.to_owned()),
    }
}

#[tokio::test]
async fn one_dockerfile_builds_for_every_platform() {
    let engine = engine().await;
    for architecture in ["amd64", "arm64"] {
        let mut sample = Sample::new(COPY_ONLY);
        let plan = &mut sample.plan;
        plan.platform = format!("linux/{architecture}").parse().unwrap();
        plan.args.insert("VERSION".into(), "1.2.3".into());
        plan.labels.insert("given".into(), "a \"label\"".into());
        let lines = Mutex::new(Vec::new());
        let log = |line: &str| lines.lock().unwrap().push(line.to_owned());

        let id = engine.build(&sample.plan, &NOBODY, &log).await.unwrap();

        let of_tag = engine.image_id(&sample.plan.tag).await.unwrap();
        assert_eq!(of_tag, Some(id));
        let name = &sample.plan.tag;
        let platform = docker(&["inspect", "--format", "{{.Os}}/{{.Architecture}}", name]);
        assert_eq!(platform, format!("linux/{architecture}"));
        for (label, value) in [("from.argument", "1.2.3"), ("given", "a \"label\"")] {
            let format = format!("{{{{index .Config.Labels {label:?}}}}}");
            assert_eq!(docker(&["inspect", "--format", &format, name]), value);
        }
        let platform = sample.plan.platform.to_string();
        let container = docker(&["create", "--platform", &platform, name, "x"]);
        let file = sample.root.path().join("copy");
        let copy = format!("{container}:/app/which");
        docker(&["cp", &copy, file.to_str().unwrap()]);
        docker(&["rm", &container]);
        assert_eq!(fs::read_to_string(file).unwrap(), architecture);
        let lines = lines.into_inner().unwrap();
        assert!(
            lines.iter().any(|line| line.contains("COPY lib-")),
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn the_same_plan_builds_the_same_image() {
    let engine = engine().await;
    let mut sample = Sample::new(COPY_ONLY);
    for label in ["a", "b", "c", "d", "e"] {
        sample.plan.labels.insert(label.into(), label.into());
        sample.plan.args.insert(label.into(), label.into());
    }
    let first = sample.build(&engine).await;
    sample.write("lib-amd64/which", "amd64");
    sample.write("lib-arm64/which", "arm64");
    assert_eq!(sample.build(&engine).await, first);
}

#[tokio::test]
async fn what_a_step_prints_arrives_while_it_runs() {
    // It would not end by itself.
    let sample = Sample::with_busybox("echo first; sleep 7654321; true");
    let arrived = Notify::new();
    let log = |line: &str| {
        if line.ends_with(" first") {
            arrived.notify_one();
        }
    };
    let engine = engine().await;
    tokio::select! {
        result = engine.build(&sample.plan, &NOBODY, &log) => panic!("it ended: {result:?}"),
        () = arrived.notified() => {}
    }
}

#[tokio::test]
async fn a_failing_step_shows_its_last_lines() {
    let sample = Sample::with_busybox("for i in 1 2 3; do echo line $i; done; exit 7");
    let error = engine().await.build(&sample.plan, &NOBODY, &|_| ()).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Build { .. }) && !error.is_transient());
    let text = error.to_string();
    for part in ["exit code: 7", " line 1\n", " line 3\n"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_dockerfile_that_is_not_there_is_a_failed_build() {
    let mut sample = Sample::new(COPY_ONLY);
    sample.plan.dockerfile = "docker/Other".to_owned();
    let error = engine().await.build(&sample.plan, &NOBODY, &|_| ()).await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("docker/Other"), "{text}");
}

#[tokio::test]
async fn a_context_that_is_not_there_is_named() {
    let mut sample = Sample::new(COPY_ONLY);
    sample.plan.context = PathBuf::from("/no/such/context");
    let error = engine().await.build(&sample.plan, &NOBODY, &|_| ()).await;
    assert!(matches!(error, Err(Error::Context(error)) if error.path.ends_with("context")));
}

#[tokio::test]
async fn a_dropped_build_ends_in_the_engine() {
    let sample = Sample::with_busybox("sleep 1234567; true");
    let engine = engine().await;
    tokio::select! {
        result = engine.build(&sample.plan, &NOBODY, &|_| ()) => panic!("it ended: {result:?}"),
        () = until(|| running("sleep 1234567")) => {}
    }
    until(|| !running("sleep 1234567")).await;
}

#[tokio::test]
async fn a_push_is_proven_by_the_digest_the_registry_answers() {
    // Each of these ends in a part that the two base64 alphabets spell differently.
    for password in ["p>>>p~~~?$", "aaa~~~bbb", "q?q?q?q", "ÿÿÿ>>>???"] {
        let registry = Distribution::with_user("robot$release", password);
        let engine = engine().await;
        let mut sample =
            Sample::new("FROM scratch\nCOPY one /one\nCOPY two /two\nCOPY lib-amd64 /three\n");
        sample.write("one", noise(300_000));
        sample.write("two", noise(500_000));
        let reference = sample.build_for(&engine, &registry.host).await;
        let credentials = user("robot$release", password);
        let seen = Mutex::new(Vec::new());
        let progress = |progress: Progress| seen.lock().unwrap().push(progress);

        let pushed = engine
            .push(&reference, &credentials, &progress)
            .await
            .unwrap();

        let seen = seen.into_inner().unwrap();
        let last = seen.last().unwrap();
        assert_eq!(last.current, last.total);
        assert_eq!(pushed.bytes, last.current);
        assert!((800_000..900_000).contains(&last.total), "{last:?}");
        assert!(seen.is_sorted_by_key(|progress| progress.current));
        let repository = &reference.repository;
        let name = reference.to_string();
        let format = "{{join .RepoDigests \" \"}}";
        assert_eq!(
            docker(&["inspect", "--format", format, &name]),
            format!("{repository}@{}", pushed.digest)
        );
        let held = manifest_digest(&name, "robot$release", password);
        assert_eq!(pushed.digest.as_str(), held);

        let again = engine
            .push(&reference, &credentials, &|_| ())
            .await
            .unwrap();
        assert_eq!(again.bytes, 0);
    }
}

#[tokio::test]
async fn a_refused_password_is_final_and_does_not_show() {
    let registry = Distribution::with_user("somebody", "right");
    let engine = engine().await;
    let mut sample = Sample::new(COPY_ONLY);
    let reference = sample.build_for(&engine, &registry.host).await;
    for credentials in [user("somebody", "wr0ng-pass"), Credentials::Anonymous] {
        let error = engine
            .push(&reference, &credentials, &|_| ())
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::CredentialsRefused { .. }) && !error.is_transient(),
            "{error:?}"
        );
        assert!(!format!("{error:?} {error}").contains("wr0ng-pass"));
    }
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_worth_another_try() {
    let engine = engine().await;
    let mut sample = Sample::new(COPY_ONLY);
    let reference = sample.build_for(&engine, &dead_address()).await;
    let error = engine
        .push(&reference, &Credentials::Anonymous, &|_| ())
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn an_image_that_is_not_there_is_said_so() {
    let registry = Distribution::open();
    let engine = engine().await;
    let name = format!("{}/ns/never-built:1", registry.host);
    assert_eq!(engine.image_id(&name).await.unwrap(), None);
    let reference = name.parse().unwrap();
    let error = engine
        .push(&reference, &Credentials::Anonymous, &|_| ())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::NoSuchImage(missing) if *missing == name),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_missing_engine_is_named_with_what_to_do() {
    let nobody = dead_address();
    for host in [
        "unix:///no/such.sock",
        &format!("tcp://{nobody}"),
        "gopher://x",
        "no-scheme",
        "tcp://",
        "unix://",
    ] {
        let error = Engine::connect(Some(host)).await.unwrap_err();
        assert!(matches!(error, Error::NoEngine { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(host) && text.contains("hint: "), "{text}");
    }
}

/// Bytes that do not compress, different ones each time.
fn noise(length: usize) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = vec![0; length];
    let mut random = fs::File::open("/dev/urandom").unwrap();
    random.read_exact(&mut bytes).unwrap();
    bytes
}

/// Digest of the manifest as skopeo reads it from the registry.
fn manifest_digest(reference: &str, user: &str, password: &str) -> String {
    let output = Command::new("skopeo")
        .args(["inspect", "--raw", "--tls-verify=false", "--creds"])
        .arg(format!("{user}:{password}"))
        .arg(format!("docker://{reference}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&output.stdout);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Waits for what another process does.
async fn until(happened: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < give_up, "it did not happen in a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a process on this machine was started with exactly this command line.
fn running(command: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        fs::read(process.path().join("cmdline")).is_ok_and(|line| {
            let words: Vec<_> = line.split(|byte| *byte == 0).collect();
            words.join(&b' ').trim_ascii_end() == command.as_bytes()
        })
    })
}
