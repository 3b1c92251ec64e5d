//! Layers taken from a real engine's own push, and engines from which none can be taken that way.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fakes::noise;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use xtask::engine::{Engine, Image};
use xtask::oci::{Descriptor, Digest};

use crate::servers::engine_image::{EngineImage, engine};
use crate::servers::release_fixture::{ARCHITECTURE, docker};
use crate::support::client;

/// An image of a large layer and many small ones, and its name; gone when it is dropped.
struct LayeredImage {
    name: String,
    #[expect(dead_code, reason = "held, not read")]
    context: TempDir,
}

/// The small layers. An engine uploads five at once.
const SMALL: usize = 12;

impl LayeredImage {
    fn build(test: &str) -> LayeredImage {
        let context = tempfile::tempdir().unwrap();
        let name = format!("xtask-layered-{}:{test}", std::process::id());
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
        LayeredImage { name, context }
    }

    async fn image(&self) -> Image {
        engine().await.image(&self.name).await.unwrap().unwrap()
    }
}

impl Drop for LayeredImage {
    fn drop(&mut self) {
        docker(&["image", "rm", "--force", &self.name]);
    }
}

/// Takes the layers of these numbers, which must be what they are called.
async fn take(image: &Image, numbers: &[usize]) {
    let part = engine()
        .await
        .partial_image(image, &all_but(image, numbers))
        .await;
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
    let layered = LayeredImage::build("taken");
    let before = layered.image().await;
    // As by a process that was killed.
    docker(&["tag", &layered.name, "127.0.0.1:29170/xtask-0:part"]);
    let image = layered.image().await;
    assert_eq!(image.names.len(), 2);
    for numbers in [&[SMALL][..], &[], &[3, 4, 9], &[1, SMALL]] {
        take(&image, numbers).await;
    }
    let all: Vec<usize> = (1..=SMALL).collect();
    take(&image, &all).await;
    assert_eq!(layered.image().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_exported_when_most_of_it_is_wanted() {
    let layered = LayeredImage::build("whole");
    let image = layered.image().await;
    let part = engine()
        .await
        .partial_image(&image, &all_but(&image, &[0]))
        .await;
    assert!(part.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_a_name_is_exported_and_stays() {
    let engine = engine().await;
    let unnamed = EngineImage::build(&engine, ARCHITECTURE).await;
    let other = EngineImage::build(&engine, ARCHITECTURE).await;
    let id = engine.image(&unnamed.name).await.unwrap().unwrap().id;
    docker(&["tag", &other.name, &unnamed.name]);
    let image = engine.image(&id.to_string()).await.unwrap().unwrap();
    assert!(
        engine
            .partial_image(&image, &all_but(&image, &[]))
            .await
            .is_none()
    );
    assert!(engine.image(&id.to_string()).await.unwrap().is_some());
    docker(&["image", "rm", &id.to_string()]);
}

/// An engine at a socket, made of answers. It holds one image, `app:1`.
struct Fake {
    engine: Engine,
    image: Image,
    /// What it was asked to change.
    asked: Arc<Mutex<Vec<String>>>,
    #[expect(dead_code, reason = "held, not read")]
    server: JoinSet<()>,
    #[expect(dead_code, reason = "held, not read")]
    directory: TempDir,
}

impl Fake {
    /// `push` is what it does to push to a repository.
    async fn start<P>(
        info: Value,
        id: Digest,
        push: impl Fn(String) -> P + Clone + Send + 'static,
    ) -> Fake
    where
        P: Future<Output = Value> + Send,
    {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let image = json!({
            "Id": id,
            "RepoTags": ["app:1"],
            "RootFS": { "Type": "layers", "Layers": [digest("below"), digest("above")] },
        });
        let answer = move |request: Request<Incoming>| {
            let (image, info, push) = (image.clone(), info.clone(), push.clone());
            if request.method() != Method::GET {
                let asked = format!("{} {}", request.method(), request.uri());
                seen.lock().unwrap().push(asked);
            }
            async move {
                let path = request.uri().path();
                let answer = match path.rsplit('/').next().unwrap() {
                    "version" => json!({ "ApiVersion": "1.41", "Version": "20.10.24" }),
                    "info" => info,
                    "history" => json!([step(1), step(9)]),
                    "json" => image,
                    "push" => {
                        let name = path.strip_prefix("/images/").unwrap();
                        push(name.strip_suffix("/push").unwrap().to_owned()).await
                    }
                    _ => json!([]),
                };
                let body = Full::<Bytes>::from(answer.to_string());
                Response::builder()
                    .header("content-type", "application/json")
                    .body(body)
            }
        };
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let service = service_fn(answer.clone());
                let connection = TokioIo::new(connection);
                connections.spawn(http1::Builder::new().serve_connection(connection, service));
            }
        });
        let host = format!("unix://{}", socket.display());
        let engine = Engine::connect(Some(&host)).await.unwrap();
        Fake {
            image: engine.image("app:1").await.unwrap().unwrap(),
            engine,
            asked,
            server,
            directory,
        }
    }

    /// What it was asked for to change when its upper layer was wanted in vain.
    async fn gives_nothing(self) -> Vec<String> {
        let known = all_but(&self.image, &[1]);
        assert!(
            self.engine
                .partial_image(&self.image, &known)
                .await
                .is_none()
        );
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn digest(content: &str) -> Digest {
    Digest::sha256_of(content.as_bytes())
}

fn step(size: u64) -> Value {
    json!({ "Id": "", "Created": 0, "CreatedBy": "", "Tags": null, "Size": size, "Comment": "" })
}

/// What an engine says of itself.
fn info(name: &str, store: &str) -> Value {
    json!({ "Name": name, "DriverStatus": [["driver-type", store]] })
}

fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim_end().to_owned()
}

async fn refused(_: String) -> Value {
    let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
    json!({ "errorDetail": { "message": refused }, "error": refused })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_reach_this_process_keeps_no_name_of_it() {
    let fake = Fake::start(info(&hostname(), "overlay2"), digest("config"), refused).await;
    let asked = fake.gives_nothing().await;
    let [tag, push, untag] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert!(tag.starts_with("POST /images/sha256:"), "{tag}");
    assert!(push.starts_with("POST /images/127.0.0.1:"), "{push}");
    assert!(untag.starts_with("DELETE /images/127.0.0.1:"), "{untag}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_elsewhere_is_left_alone() {
    let fake = Fake::start(
        info("docker-desktop", "overlay2"),
        digest("config"),
        refused,
    )
    .await;
    assert_eq!(fake.gives_nothing().await, [""; 0]);
}

/// Pushes as an engine with containerd's image store does: layers as they are, what the registry has not got, and an
/// index at the end.
async fn push_as_containerd(name: String, documents: [(String, String); 2]) -> Value {
    let (host, repository) = name.split_once('/').unwrap();
    let base = format!("http://{host}/v2/{repository}");
    let client = client();
    let head = async |digest: &Digest| {
        let answer = client.head(format!("{base}/blobs/{digest}")).send().await;
        answer.unwrap().status().as_u16()
    };
    let below = elsewhere(&digest("below")).digest;
    assert_eq!(head(&below).await, 200);
    for blob in ["compressed", "config"] {
        assert_eq!(head(&digest(blob)).await, 404);
        let begun = client.post(format!("{base}/blobs/uploads/")).send().await;
        let location = begun.unwrap().headers()["location"]
            .to_str()
            .unwrap()
            .to_owned();
        let upload = format!("http://{host}{location}?digest={}", digest(blob));
        let ended = client.put(upload).body(blob).send().await.unwrap();
        assert_eq!(ended.status(), 201);
        let name = digest(blob).to_string();
        assert_eq!(ended.headers()["docker-content-digest"], name.as_str());
        assert_eq!(head(&digest(blob)).await, 200);
    }
    for (media_type, document) in documents {
        let name = format!("{base}/manifests/{}", digest(&document));
        let put = client
            .put(name)
            .header("content-type", media_type)
            .body(document);
        // After the last one, nothing is answered.
        assert_eq!(put.send().await.unwrap().status(), 201);
    }
    panic!("the push came to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_with_compressed_layers_pushes_those_that_are_not_known() {
    let manifest = (
        "application/vnd.oci.image.manifest.v1+json".to_owned(),
        "{}".to_owned(),
    );
    let index = (
        "application/vnd.oci.image.index.v1+json".to_owned(),
        "{ }".to_owned(),
    );
    let documents = [manifest.clone(), index.clone()];
    let push = move |name| push_as_containerd(name, documents.clone());
    let info = info(&hostname(), "io.containerd.snapshotter.v1");
    let fake = Fake::start(info, digest(&index.1), push).await;
    let known = all_but(&fake.image, &[1]);
    let part = fake
        .engine
        .partial_image(&fake.image, &known)
        .await
        .unwrap();
    assert_eq!(
        (part.media_type, &part.root[..]),
        (Some(index.0), index.1.as_bytes())
    );
    assert_eq!(part.manifests, [manifest.1.as_bytes()]);
    let blobs: HashSet<Digest> = part.blobs.into_keys().collect();
    assert_eq!(blobs, [digest("compressed"), digest("config")].into());
}
