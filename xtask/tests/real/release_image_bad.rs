//! `--image` with something that is none, and a world that fails on the way: a clear sentence, and no tag anywhere.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use fakes::http::{self, Server, serve, whole};
use fakes::noise;
use serde_json::{Value, json};
use xtask::oci::Digest;

use crate::servers::engine_image::{EngineImage, content, engine};
use crate::servers::release_fixture::{ARCHITECTURE, ReleaseFixture, docker};
use crate::support::names;
use crate::support::workspace::Run;

/// Runs a release of `image`, which must end with `code` and these words, and without a tag.
async fn refused(fixture: &ReleaseFixture, image: &str, code: i32, parts: &[&str]) {
    let run = ["docker-push-all", "--image", image];
    let run = fixture.workspace.run(&run).await;
    ended_without_a_tag(fixture, &run, code, parts).await;
}

async fn ended_without_a_tag(fixture: &ReleaseFixture, run: &Run, code: i32, parts: &[&str]) {
    run.expect(code, parts);
    for number in 0..fixture.registries.len() {
        assert!(fixture.tags(number).await.is_empty(), "{number}: {run}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_archive_that_is_damaged() {
    let fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let damaged = |path: PathBuf| format!("docker-archive:{}", path.display());
    let cut = truncated(&sample.saved());
    refused(&fixture, &damaged(cut), 2, &["ends in the middle of"]).await;

    let whole = sample.as_skopeo_writes_it("docker-archive", &[]);
    let manifest: Value = serde_json::from_slice(&content(&whole, "manifest.json")).unwrap();
    let layers: Vec<String> = serde_json::from_value(manifest[0]["Layers"].clone()).unwrap();
    let without = changed(&whole, "without", |name, bytes| {
        (name != layers[1]).then_some(bytes)
    });
    let lacks = format!("lacks `{}`, which `manifest.json` lists", layers[1]);
    refused(&fixture, &damaged(without), 2, &[&lacks]).await;

    let listing = |layers: Vec<String>| {
        changed(&whole, "listing", |name, bytes| {
            let mut manifest = manifest.clone();
            manifest[0]["Layers"] = json!(layers);
            Some(match name {
                "manifest.json" => manifest.to_string().into_bytes(),
                _ => bytes,
            })
        })
    };
    let fewer = listing(layers[1..].to_vec());
    let mismatch = ["does not match its layers", "it lists 5, and there are 4"];
    refused(&fixture, &damaged(fewer), 2, &mismatch).await;
    let turned = listing(layers.iter().rev().cloned().collect());
    let mismatch = ["does not match its layers", "number 1 unpacks to sha256:"];
    refused(&fixture, &damaged(turned), 2, &mismatch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oci_archive_that_is_damaged() {
    let fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let damaged = |path: PathBuf| format!("oci-archive:{}", path.display());
    let archive = sample.as_skopeo_writes_it("oci-archive", &[]);
    let cut = truncated(&archive);
    refused(&fixture, &damaged(cut), 2, &["ends in the middle of"]).await;

    let index: Value = serde_json::from_slice(&content(&archive, "index.json")).unwrap();
    let root = digest(&index["manifests"][0]);
    let manifest: Value = serde_json::from_slice(&content(&archive, &blob(&root))).unwrap();
    let layer = digest(&manifest["layers"][1]);
    let without = changed(&archive, "without", |name, bytes| {
        (name != blob(&layer)).then_some(bytes)
    });
    let lacks = format!("lacks `{layer}`, which `{root}` lists");
    refused(&fixture, &damaged(without), 2, &[&lacks]).await;

    let other = changed(&archive, "other", |name, bytes| {
        // After the gzip header, so that it is a layer still.
        let end = noise("other", bytes.len() - 10);
        Some(match name == blob(&layer) {
            true => [&bytes[..10], &end].concat(),
            false => bytes,
        })
    });
    let said = format!("`{}` of the image archive is damaged", blob(&layer));
    refused(&fixture, &damaged(other), 2, &[&said]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_whose_config_is_of_other_layers() {
    let fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let layout = sample.as_skopeo_writes_it("oci", &[]);
    let read = |name: &str| -> Value {
        let bytes = fs::read(layout.join(name)).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let mut index = read("index.json");
    let mut manifest = read(&blob(&digest(&index["manifests"][0])));
    manifest["layers"].as_array_mut().unwrap().pop();
    let manifest = manifest.to_string();
    let name = Digest::sha256_of(manifest.as_bytes());
    fs::write(layout.join(blob(&name)), &manifest).unwrap();
    index["manifests"][0]["digest"] = json!(name);
    index["manifests"][0]["size"] = json!(manifest.len());
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let image = format!("oci:{}", layout.display());
    let mismatch = ["does not match its layers", "it lists 5, and there are 4"];
    refused(&fixture, &image, 2, &mismatch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_image_at_all() {
    let fixture = ReleaseFixture::new(3).await;
    let directory = fixture.workspace.path();
    fs::write(directory.join("noise"), noise("no archive", 100_000)).unwrap();
    fs::write(directory.join("empty"), "").unwrap();
    fs::create_dir(directory.join("folder")).unwrap();
    // Of what came instead nothing is shown: it might be anything.
    let noise_instead = "this is no image archive: where a tar header is due, something else is";
    let absent = "there is no file of that name";
    for (image, part) in [
        ("docker-archive:noise", noise_instead),
        ("oci-archive:noise", noise_instead),
        ("oci-archive:empty", "this is no image archive"),
        ("docker-archive:folder", absent),
        ("oci-archive:missing.tar", absent),
        ("oci:missing", "there is no directory of that name"),
        ("oci:noise", "there is no directory of that name"),
        (
            "oci:folder",
            "`folder` is no image layout: it has no `index.json`",
        ),
        ("foo", "`--image foo` names no image; hint: `docker:NAME`"),
    ] {
        refused(&fixture, image, 2, &[part]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_that_cannot_be_met() {
    let fixture = ReleaseFixture::new(3).await;
    let absent = ["the engine has no image `nope-xyz`", "docker image ls"];
    refused(&fixture, "docker:nope-xyz", 2, &absent).await;
    fs::create_dir(fixture.workspace.path().join("layout")).unwrap();
    for (arguments, part) in [
        (
            ["--via", "engine", "--image", "oci:layout"],
            "`--via direct`",
        ),
        (
            ["--via", "engine", "--image", "docker:nope-xyz"],
            "`nope-xyz`",
        ),
        (
            ["--image", "oci:layout", "--compression", "lz4"],
            "`lz4` is not a compression",
        ),
        (
            ["--image", "oci:layout", "--compression", "gzip:99"],
            "`gzip:1` to `gzip:12`",
        ),
    ] {
        let arguments = [&["docker-push-all"], &arguments[..]].concat();
        let run = fixture.workspace.run(&arguments).await;
        ended_without_a_tag(&fixture, &run, 2, &[part]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_during_the_export() {
    let mut fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let dying = dying_engine(&sample).await;
    let address = format!("tcp://{}", dying.url.authority());
    fixture.workspace.set("DOCKER_HOST", &address);
    let said = format!("the engine failed at the export of `{}`", sample.name);
    let image = format!("docker:{}", sample.name);
    refused(&fixture, &image, 1, &[&said]).await;
}

/// An engine that has the image, and goes away when half of it is exported.
async fn dying_engine(sample: &EngineImage) -> Server {
    let list = docker(&["image", "inspect", &sample.name]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let image = list[0].to_string();
    let mut half = fs::read(sample.saved()).unwrap();
    half.truncate(half.len() / 2);
    serve(move |request| {
        let body = match request.uri().path() {
            path if path.ends_with("/version") => {
                whole(r#"{"ApiVersion":"1.41","Version":"20.10.24"}"#)
            }
            path if path.ends_with("/get") => http::truncated(half.clone().into()),
            _ => whole(image.clone()),
        };
        async { Ok(hyper::Response::new(body)) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up() {
    let mut fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let temporary = fixture.workspace.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let temporary = temporary.to_str().unwrap().to_owned();
    fixture.workspace.set("TMPDIR", &temporary);
    // A limit for files is a disk that fills up at that size, for any user; 64 or 128 KiB, as the shell counts.
    let limited = "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\"";
    let image = format!("docker-archive:{}", sample.saved().display());
    let mut command = fixture.workspace.other("sh");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_xtask")]);
    command.args(["docker-push-all", "--image", &image]);
    let run = Run::of(command.output().await.unwrap());
    let said = [
        &*format!("`{temporary}` cannot take the compressed layers: File too large"),
        "alone may need",
        "MB; hint: free some space there, or set `TMPDIR`",
    ];
    ended_without_a_tag(&fixture, &run, 1, &said).await;
    assert!(names(Path::new(&temporary)).is_empty());
}

/// The first half of an archive.
fn truncated(archive: &Path) -> PathBuf {
    let path = archive.with_extension("truncated");
    fs::copy(archive, &path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    path
}

/// An archive anew, with every file as `change` makes it; `None` leaves it out.
fn changed(
    archive: &Path,
    extension: &str,
    change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>,
) -> PathBuf {
    let path = archive.with_extension(extension);
    let mut new = tar::Builder::new(File::create(&path).unwrap());
    let mut old = tar::Archive::new(File::open(archive).unwrap());
    for entry in old.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let bytes = match header.entry_type().is_file() {
            true => change(&name, bytes),
            false => Some(bytes),
        };
        if let Some(bytes) = bytes {
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            new.append(&header, &*bytes).unwrap();
        }
    }
    new.finish().unwrap();
    path
}

fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
