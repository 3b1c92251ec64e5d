//! Images of a real engine and of skopeo, read by us and read back by skopeo.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use xtask::engine::{Engine, Error};
use xtask::image::{Blob, Content, Event, Input, Options, read};
use xtask::oci::{self, Descriptor, Digest, Manifest};

use crate::servers::engine_image::{EngineImage, engine, skopeo};

fn export(engine: &Engine, names: &[&str]) -> Input {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    Input::Stream(Box::pin(engine.export(&names).map_err(io::Error::other)))
}

/// An image, and what was handed out for it.
struct Published {
    manifests: Vec<Manifest>,
    blobs: Vec<Blob>,
}

async fn published(input: Input, options: Options) -> Published {
    let blobs = Mutex::new(Vec::new());
    let listener = |event| {
        if let Event::Ready(blob) = event {
            blobs.lock().unwrap().push(blob);
        }
    };
    let manifests = read(input, options, &listener).await.unwrap();
    let blobs = blobs.into_inner().unwrap();
    Published { manifests, blobs }
}

impl Published {
    fn manifest(&self) -> &Manifest {
        self.manifests.last().unwrap()
    }

    fn root(&self) -> &Digest {
        self.manifest().digest()
    }

    /// Writes the image as an OCI layout, and the digests of its layers as skopeo unpacks them from it, sorted.
    fn unpacked_by_skopeo(&self, directory: &Path) -> Vec<Digest> {
        let layout = directory.join("published");
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for blob in &self.blobs {
            let bytes = match &blob.content {
                Content::Memory(bytes) => bytes.to_vec(),
                Content::File(file) => {
                    let mut bytes = vec![0; blob.descriptor.size as usize];
                    file.read_exact_at(&mut bytes, 0).unwrap();
                    bytes
                }
            };
            fs::write(blobs.join(blob.descriptor.digest.hex()), bytes).unwrap();
        }
        for manifest in &self.manifests {
            fs::write(blobs.join(manifest.digest().hex()), manifest.bytes()).unwrap();
        }
        let mut root = json!(self.manifest().descriptor());
        root["annotations"] = json!({"org.opencontainers.image.ref.name": "x"});
        let index = json!({"schemaVersion": 2, "manifests": [root]});
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        fs::write(
            layout.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        let unpacked = directory.join("unpacked");
        skopeo(&[
            "--dest-decompress",
            &format!("oci:{}:x", layout.display()),
            &format!("dir:{}", unpacked.display()),
        ]);
        fs::remove_dir_all(&layout).unwrap();
        let digests = layers(&fs::read(unpacked.join("manifest.json")).unwrap());
        for digest in &digests {
            let content = fs::read(unpacked.join(digest.hex())).unwrap();
            assert_eq!(Digest::sha256_of(&content), *digest);
        }
        fs::remove_dir_all(unpacked).unwrap();
        digests
    }
}

fn layers(manifest: &[u8]) -> Vec<Digest> {
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    layers
        .map(|it| it["digest"].as_str().unwrap().parse().unwrap())
        .collect()
}

#[tokio::test]
async fn an_image_has_one_digest_whichever_archive_it_comes_in() {
    let engine = engine().await;
    let sample = EngineImage::build(&engine, "amd64").await;
    let diff_ids = sample.diff_ids();
    assert_eq!(diff_ids.len(), 5);
    assert_eq!(diff_ids[0], diff_ids[3]);

    let exported = published(export(&engine, &[&sample.name]), Options::default()).await;
    assert_eq!(
        exported.unpacked_by_skopeo(sample.directory.path()),
        diff_ids
    );

    let saved = sample.path("saved.tar");
    let mut stream = Box::pin(engine.export(std::slice::from_ref(&sample.name)));
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    fs::write(&saved, bytes).unwrap();
    let by_skopeo = sample.as_skopeo_writes_it("docker-archive", &[]);
    for file in [saved, by_skopeo] {
        let options = Options {
            workers: Some(1),
            ..Options::default()
        };
        let read = published(Input::File(file), options).await;
        assert_eq!(read.root(), exported.root());
    }
}

#[tokio::test]
async fn what_skopeo_compressed_keeps_its_bytes() {
    let engine = engine().await;
    let sample = EngineImage::build(&engine, "amd64").await;
    let diff_ids = sample.diff_ids();
    for format in ["gzip", "zstd"] {
        let compress = ["--dest-compress", "--dest-compress-format", format];
        let archive = sample.as_skopeo_writes_it("oci-archive", &compress);
        let directory = sample.as_skopeo_writes_it("oci", &compress);
        let index = fs::read(directory.join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        for input in [
            Input::File(archive.clone()),
            Input::Directory(directory.clone()),
        ] {
            let read = published(input, Options::default()).await;
            assert_eq!(json!(read.root()), index["manifests"][0]["digest"]);
            let layer = &read.blobs.iter().find(|it| it.descriptor.size > 100_000);
            assert!(
                layer
                    .unwrap()
                    .descriptor
                    .media_type
                    .ends_with(&format!("tar+{format}"))
            );
            let unpacked = read.unpacked_by_skopeo(sample.directory.path());
            assert_eq!(unpacked, diff_ids);
        }
        fs::remove_file(archive).unwrap();
        fs::remove_dir_all(directory).unwrap();
    }
}

#[tokio::test]
async fn an_export_compressed_with_zstd_is_read_by_others() {
    let engine = engine().await;
    let sample = EngineImage::build(&engine, "amd64").await;
    let diff_ids = sample.diff_ids();
    let options = Options {
        compression: "zstd".parse().unwrap(),
        ..Options::default()
    };
    let read = published(export(&engine, &[&sample.name]), options).await;
    let unpacked = read.unpacked_by_skopeo(sample.directory.path());
    assert_eq!(unpacked, diff_ids);
}

#[tokio::test]
async fn two_platforms_are_exported_at_once_and_become_an_index() {
    let engine = engine().await;
    let amd = EngineImage::build(&engine, "amd64").await;
    let arm = EngineImage::build(&engine, "arm64").await;
    let both = export(&engine, &[&arm.name, &amd.name]);
    let options = Options {
        joins_names: true,
        ..Options::default()
    };
    let read = published(both, options).await;
    let oci::Content::Index(index) = read.manifest().content().unwrap() else {
        panic!("an index");
    };
    let listed: Vec<String> = index.manifests.iter().map(platform).collect();
    assert_eq!(listed, ["linux/amd64", "linux/arm64"]);
    // One, the shell, nothing, and a `which` and a config for each.
    assert_eq!(read.blobs.len(), 7);
}

fn platform(descriptor: &Descriptor) -> String {
    descriptor.platform.as_ref().unwrap().to_string()
}

#[tokio::test]
async fn the_layers_of_the_earlier_release_do_not_change_the_next_one() {
    let engine = engine().await;
    let earlier = EngineImage::build(&engine, "amd64").await;
    let later = EngineImage::build(&engine, "arm64").await;
    let first = published(export(&engine, &[&earlier.name]), Options::default()).await;
    let oci::Content::Image(image) = first.manifest().content().unwrap() else {
        panic!("an image");
    };
    let diff_ids = earlier.diff_ids();
    let options = Options {
        reusable: diff_ids.into_iter().zip(image.layers).collect(),
        ..Options::default()
    };
    let second = published(export(&engine, &[&later.name]), options).await;
    let whole = published(export(&engine, &[&later.name]), Options::default()).await;
    assert_eq!(second.root(), whole.root());
    assert_eq!(whole.blobs.len(), 5);
    // The topmost layer and the config; from an engine up to 24, whose exports name no digests, all.
    assert!(matches!(second.blobs.len(), 2 | 5));
}

#[tokio::test]
async fn an_image_that_the_engine_does_not_have_is_named() {
    let mut archive = Box::pin(engine().await.export(&["never-built:1".to_owned()]));
    let error = archive.next().await.unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::NoSuchImage(name) if name == "never-built:1"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_engine_that_dies_during_the_export_is_said_so() {
    for chunked in [true, false] {
        let engine = Engine::connect(Some(&dying_engine(chunked).await))
            .await
            .unwrap();
        let error = read(export(&engine, &["app:1"]), Options::default(), &|_| ()).await;
        let error = error.unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("the engine failed at the export of `app:1`: "),
            "{text}"
        );
        assert!(!error.is_input());
    }
}

/// An engine that answers until it has sent a part of an export, and then hangs up.
async fn dying_engine(chunked: bool) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = Bytes::new();
            let mut head = [0; 4096];
            while !request.ends_with(b"\r\n\r\n") {
                let length = connection.read(&mut head).await.unwrap();
                request = [&request, &head[..length]].concat().into();
            }
            let answer = if request.starts_with(b"GET /images/get") {
                let head = match chunked {
                    true => "Transfer-Encoding: chunked\r\n\r\n400\r\n",
                    false => "Content-Length: 100000\r\n\r\n",
                };
                format!("HTTP/1.1 200 OK\r\n{head}{}", "\0".repeat(100))
            } else {
                let version = r#"{"ApiVersion":"1.41","Version":"20.10.24"}"#;
                let length = version.len();
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{version}"
                )
            };
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("tcp://{address}")
}
