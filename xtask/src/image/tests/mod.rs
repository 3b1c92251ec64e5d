//! Archives made here, good and bad, through the module's public face.

mod bad_input;
mod classic;
mod layout;
mod not_one;
mod reuse;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::*;
use crate::oci;
use crate::oci::{Digest, Manifest};

/// Files of an archive by name; a target instead of content makes a symbolic link.
type Files = Vec<(String, Result<Vec<u8>, String>)>;

/// An image to put into archives.
#[derive(Clone)]
struct Sample {
    architecture: &'static str,
    layers: Vec<Vec<u8>>,
}

impl Sample {
    /// Of several members, of one, empty, and the same once more.
    fn new() -> Sample {
        let small = layer("small", 3_000);
        Sample {
            architecture: "amd64",
            layers: vec![
                layer("large", 3_000_000),
                small.clone(),
                vec![0; 1024],
                small,
            ],
        }
    }

    fn diff_ids(&self) -> Vec<Digest> {
        self.layers.iter().map(|it| Digest::sha256_of(it)).collect()
    }

    fn config(&self) -> Vec<u8> {
        let config = json!({
            "architecture": self.architecture, "os": "linux", "config": {"Cmd": ["/x"]},
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids()},
        });
        config.to_string().into_bytes()
    }
}

/// A tar archive with one file of so many bytes, which compress to about a half.
fn layer(name: &str, size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    // Longer than gzip looks back.
    let block: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(7);
        (state >> 60) as u8
    })
    .take(size.min(99_991))
    .collect();
    let mut content = block.repeat(size / block.len() + 1);
    content.truncate(size);
    tar(&vec![(name.to_owned(), Ok(content))])
}

fn tar(files: &Files) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        match content {
            Ok(content) => {
                header.set_size(content.len() as u64);
                archive
                    .append_data(&mut header, name, &content[..])
                    .unwrap();
            }
            Err(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, name, target).unwrap();
            }
        }
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::bufread::GzEncoder::new(bytes, flate2::Compression::fast());
    let mut out = Vec::new();
    gzip.read_to_end(&mut out).unwrap();
    out
}

/// An image with what was handed out for it.
#[derive(Debug)]
struct Published {
    manifests: Vec<Manifest>,
    blobs: BTreeMap<Digest, Bytes>,
    bytes_read: u64,
}

impl Published {
    fn manifest(&self) -> &Manifest {
        self.manifests.last().unwrap()
    }

    fn root(&self) -> &Digest {
        self.manifest().digest()
    }

    /// The images in it: each config, and what its layers unpack to.
    fn images(&self) -> Vec<(Value, Vec<Digest>)> {
        let views = self.manifests.iter().map(|it| it.content().unwrap());
        views
            .filter_map(|view| match view {
                oci::Content::Image(image) => Some(image),
                oci::Content::Index(_) | oci::Content::Artifact(_) => None,
            })
            .map(|image| {
                let config = serde_json::from_slice(&self.blobs[&image.config.digest]).unwrap();
                let diff_ids = image.layers.iter().map(|layer| {
                    let blob = &self.blobs[&layer.digest];
                    assert_eq!(blob.len() as u64, layer.size);
                    let mut content = Vec::new();
                    match blob[..] {
                        [0x1f, 0x8b, ..] => flate2::bufread::MultiGzDecoder::new(&blob[..])
                            .read_to_end(&mut content)
                            .unwrap(),
                        [0x28, 0xb5, ..] => zstd::stream::read::Decoder::new(&blob[..])
                            .and_then(|mut it| it.read_to_end(&mut content))
                            .unwrap(),
                        _ => blob.as_ref().read_to_end(&mut content).unwrap(),
                    };
                    Digest::sha256_of(&content)
                });
                (config, diff_ids.collect())
            })
            .collect()
    }

    /// Whether every image's layers unpack to what its config says.
    fn is_sound(&self) -> bool {
        self.images()
            .iter()
            .all(|(config, diff_ids)| config["rootfs"]["diff_ids"] == json!(diff_ids))
    }
}

async fn read_from(input: Input, options: Options) -> Result<Published, Error> {
    let events = Mutex::new((BTreeMap::new(), 0));
    let listener = |event| {
        let (blobs, bytes_read) = &mut *events.lock().unwrap();
        match event {
            Event::BytesRead(bytes) => *bytes_read += bytes,
            Event::Ready(blob) => {
                let bytes = match blob.content {
                    Content::Memory(bytes) => bytes,
                    Content::File(file) => {
                        let mut bytes = vec![0; blob.descriptor.size as usize];
                        file.read_exact_at(&mut bytes, 0).unwrap();
                        assert_eq!(file.metadata().unwrap().len(), blob.descriptor.size);
                        bytes.into()
                    }
                };
                assert_eq!(Digest::sha256_of(&bytes), blob.descriptor.digest);
                blobs.insert(blob.descriptor.digest, bytes);
            }
        }
    };
    let manifests = read(input, options, &listener).await?;
    let (blobs, bytes_read) = events.into_inner().unwrap();
    Ok(Published {
        manifests,
        blobs,
        bytes_read,
    })
}

/// The archive in chunks of an odd size.
fn delivered(archive: &[u8]) -> Input {
    let chunks: Vec<_> = archive
        .chunks(10_007)
        .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
        .collect();
    Input::Stream(Box::pin(stream::iter(chunks)))
}

async fn read_archive(archive: &[u8]) -> Result<Published, Error> {
    read_from(delivered(archive), Options::default()).await
}

async fn published(files: &Files) -> Published {
    let published = read_archive(&tar(files)).await.unwrap();
    assert!(published.is_sound());
    published
}

/// The same, of an engine that exports a build for each platform, each with a name of its own.
async fn joined(files: &Files) -> Published {
    let options = Options {
        joins_names: true,
        ..Options::default()
    };
    let joined = read_from(delivered(&tar(files)), options).await.unwrap();
    assert!(joined.is_sound());
    joined
}

fn json_bytes(value: Value) -> Result<Vec<u8>, String> {
    Ok(value.to_string().into_bytes())
}
