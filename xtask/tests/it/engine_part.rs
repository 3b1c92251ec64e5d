//! Layers taken from a real engine's own push, and engines from which none can be taken that way.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixListener;
use xtask::engine::{Engine, Image};
use xtask::registry::{Descriptor, Digest};

use crate::support::images::noise;
use crate::support::sample::{Sample, engine};
use crate::support::stage::{ARCHITECTURE, docker};

/// An image of a large layer and many small ones, and its name; gone when it is dropped.
struct Tower {
    name: String,
    #[expect(dead_code, reason = "held, not read")]
    context: TempDir,
}

/// The small layers. An engine uploads five at once.
const SMALL: usize = 12;

impl Tower {
    fn build(test: &str) -> Tower {
        let context = tempfile::tempdir().unwrap();
        let name = format!("xtask-tower-{}:{test}", std::process::id());
        let mut dockerfile = "FROM scratch\nCOPY large /large\n".to_owned();
        fs::write(context.path().join("large"), noise(test, 16_000_000)).unwrap();
        for number in 0..SMALL {
            dockerfile += &format!("COPY small{number} /\n");
            // Two of one size, and each larger than what a connection buffers.
            let content = noise(&format!("{test}{number}"), (300 + number / 2) * 1000);
            fs::write(context.path().join(format!("small{number}")), content).unwrap();
        }
        fs::write(context.path().join("Dockerfile"), dockerfile).unwrap();
        let path = context.path().to_str().unwrap();
        docker(&["build", "--quiet", "--tag", &name, path]);
        Tower { name, context }
    }

    async fn image(&self) -> Image {
        engine().await.image(&self.name).await.unwrap().unwrap()
    }
}

impl Drop for Tower {
    fn drop(&mut self) {
        docker(&["image", "rm", "--force", &self.name]);
    }
}

/// Takes the layers of these numbers, which must be what they are called.
async fn take(image: &Image, numbers: &[usize]) {
    let part = engine().await.part(image, &all_but(image, numbers)).await;
    let part = part.unwrap_or_else(|| panic!("{numbers:?}"));
    assert_eq!(
        Digest::sha256_of(&part.root).to_string(),
        image.id.to_string()
    );
    assert_eq!(part.media_type, None);
    let wanted: HashSet<&Digest> = numbers.iter().map(|&it| &image.diff_ids[it]).collect();
    assert_eq!(part.blobs.keys().collect::<HashSet<_>>(), wanted);
    for (diff_id, mut file) in part.blobs {
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(Digest::sha256_of(&content), diff_id);
    }
}

/// What is known when the layers of these numbers are not.
fn all_but(image: &Image, numbers: &[usize]) -> HashMap<Digest, Descriptor> {
    let known = image.diff_ids.iter().enumerate();
    let known = known.filter(|(number, _)| !numbers.contains(number));
    known
        .map(|(_, layer)| (layer.clone(), elsewhere(layer)))
        .collect()
}

/// A layer as it is compressed somewhere.
fn elsewhere(layer: &Digest) -> Descriptor {
    let digest = Digest::sha256_of(layer.as_str().as_bytes());
    Descriptor::new("application/vnd.oci.image.layer.v1.tar+gzip", digest, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_config_and_the_layers_that_are_wanted_are_taken_and_nothing_is_left() {
    let tower = Tower::build("taken");
    let image = tower.image().await;
    for numbers in [&[SMALL][..], &[], &[3, 4, 9], &[1, SMALL]] {
        take(&image, numbers).await;
    }
    let all: Vec<usize> = (1..=SMALL).collect();
    take(&image, &all).await;
    assert_eq!(tower.image().await, image);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_exported_when_most_of_it_is_wanted() {
    let tower = Tower::build("whole");
    let image = tower.image().await;
    let part = engine().await.part(&image, &all_but(&image, &[0])).await;
    assert!(part.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_a_name_is_exported_and_stays() {
    let engine = engine().await;
    let unnamed = Sample::build(&engine, ARCHITECTURE).await;
    let other = Sample::build(&engine, ARCHITECTURE).await;
    let id = engine.image(&unnamed.name).await.unwrap().unwrap().id;
    docker(&["tag", &other.name, &unnamed.name]);
    let image = engine.image(&id.to_string()).await.unwrap().unwrap();
    assert!(engine.part(&image, &all_but(&image, &[])).await.is_none());
    assert!(engine.image(&id.to_string()).await.unwrap().is_some());
    docker(&["image", "rm", &id.to_string()]);
}

/// An engine at a socket of this machine that cannot reach this process, and what it was asked to change.
async fn changes(info: Value) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let layers = [b"below", b"above"].map(|it| Digest::sha256_of(it));
    let image = json!({
        "Id": Digest::sha256_of(b"config"),
        "RepoTags": ["app:1"],
        "RootFS": { "Type": "layers", "Layers": layers },
    });
    let server = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (image, info, seen) = (image.clone(), info.clone(), Arc::clone(&seen));
            let service = service_fn(move |request: Request<_>| {
                let path = request.uri().path();
                let answer = match path.rsplit('/').next().unwrap() {
                    "version" => json!({ "ApiVersion": "1.41", "Version": "20.10.24" }),
                    "info" => info.clone(),
                    "history" => json!([step(1), step(9)]),
                    "push" => {
                        let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
                        json!({ "errorDetail": { "message": refused }, "error": refused })
                    }
                    "json" => image.clone(),
                    _ => json!([]),
                };
                if request.method() != Method::GET {
                    let asked = format!("{} {}", request.method(), request.uri());
                    seen.lock().unwrap().push(asked);
                }
                let body = Full::<Bytes>::from(answer.to_string());
                let answer = Response::builder().header("content-type", "application/json");
                async { answer.body(body) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
        }
    });
    let host = format!("unix://{}", socket.display());
    let engine = Engine::connect(Some(&host)).await.unwrap();
    let image = engine.image("app:1").await.unwrap().unwrap();
    let part = engine.part(&image, &all_but(&image, &[1])).await;
    assert!(part.is_none());
    server.abort();
    std::mem::take(&mut asked.lock().unwrap())
}

fn step(size: u64) -> Value {
    json!({ "Id": "", "Created": 0, "CreatedBy": "", "Tags": null, "Size": size, "Comment": "" })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_reach_this_process_keeps_no_name_of_it() {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let asked = changes(json!({ "Name": host.trim_end(), "DriverStatus": [] })).await;
    let [tag, push, untag] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert!(tag.starts_with("POST /images/sha256:"), "{tag}");
    assert!(push.starts_with("POST /images/127.0.0.1:"), "{push}");
    assert!(untag.starts_with("DELETE /images/127.0.0.1:"), "{untag}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_elsewhere_or_with_layers_that_are_compressed_already_is_left_alone() {
    let elsewhere = json!({ "Name": "docker-desktop", "DriverStatus": [] });
    assert_eq!(changes(elsewhere).await, [""; 0]);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let containerd = [["driver-type", "io.containerd.snapshotter.v1"]];
    let containerd = json!({ "Name": host.trim_end(), "DriverStatus": containerd });
    assert_eq!(changes(containerd).await, [""; 0]);
}
