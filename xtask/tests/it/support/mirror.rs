//! What `sync` works between: a workspace whose files call registries by names of their own, images to copy, and what
//! skopeo, which nobody here wrote, finds at the other side.
//!
//! It refuses to know which registries there are. Invariant: tests read and write the names, the program sees and says
//! the addresses.

use std::collections::BTreeMap;
use std::process::Command;

use bytes::Bytes;
use serde_json::{Value, json};
use xtask::registry::{
    Credentials, Descriptor, Digest, Manifest, Platform, Reference, Repository, TagOrDigest,
    index_of, media,
};

use super::client;
use super::stage::{PASSWORD, USER, skopeo_raw};
use super::workspace::{Run, Workspace};

/// The size of every layer, in bytes.
pub const LAYER: usize = 100_000;

pub struct Mirror {
    pub workspace: Workspace,
    /// The names of the registries, and where they really are.
    hosts: Vec<(String, String)>,
}

impl Mirror {
    /// In files and arguments, the first of each pair stands for the second, an address.
    pub fn between(hosts: &[(&str, &str)]) -> Mirror {
        let address = |name| {
            hosts
                .iter()
                .find(|(it, _)| *it == name)
                .map_or(name, |it| it.1)
        };
        let registries = [
            ("dockerhub", "DOCKER", "docker.io", "team"),
            ("azure", "AZURE_ACR", address("hagicode.azurecr.io"), ""),
            (
                "aliyun",
                "ALIYUN_ACR",
                address("registry.cn-hangzhou.aliyuncs.com"),
                "hagicode",
            ),
        ];
        let hosts = hosts
            .iter()
            .map(|(name, host)| ((*name).to_owned(), (*host).to_owned()));
        Mirror {
            workspace: Workspace::new(&["linux/amd64"], &registries),
            hosts: hosts.collect(),
        }
    }

    /// `text` with the addresses in place of the names.
    pub fn addressed(&self, text: &str) -> String {
        let hosts = self.hosts.iter();
        hosts.fold(text.to_owned(), |text, (name, host)| {
            let mut addressed = String::new();
            let mut done = 0;
            for (at, _) in text.match_indices(name.as_str()) {
                // Only what begins with the name is meant, not `mirror/nginx:1` by `nginx:`.
                if !text[..at].ends_with(|it: char| it.is_alphanumeric() || "/.-".contains(it)) {
                    addressed += &text[done..at];
                    addressed += host;
                    done = at + name.len();
                }
            }
            addressed + &text[done..]
        })
    }

    pub fn write(&self, file: &str, text: &str) {
        self.workspace.write(file, &self.addressed(text));
    }

    /// What a file says, with the names in place of the addresses.
    pub fn read(&self, file: &str) -> String {
        self.named(&self.workspace.read(file))
    }

    pub fn report(&self, file: &str) -> Value {
        serde_json::from_str(&self.read(file)).expect("the report is JSON")
    }

    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let arguments: Vec<String> = arguments.iter().map(|it| self.addressed(it)).collect();
        let arguments = arguments.iter().map(String::as_str);
        let arguments: Vec<&str> = ["sync"].into_iter().chain(arguments).collect();
        self.workspace.command(&arguments)
    }

    /// `cargo xtask sync` with these arguments.
    pub async fn sync(&self, arguments: &[&str]) -> Run {
        self.ended(self.command(arguments).output().await.unwrap())
    }

    /// How a run ended, with the names in place of the addresses.
    pub fn ended(&self, output: std::process::Output) -> Run {
        let run = Run::of(output);
        Run {
            stdout: self.named(&run.stdout),
            stderr: self.named(&run.stderr),
            ..run
        }
    }

    fn named(&self, text: &str) -> String {
        let hosts = self.hosts.iter();
        hosts.fold(text.to_owned(), |text, (name, host)| {
            text.replace(host, name)
        })
    }

    /// Puts an image of these platforms there: an index if there are several. One for `unknown/unknown` is the
    /// attestation of the image before it, as BuildKit lists it.
    ///
    /// All images of a repository share a layer, and each has one of its own.
    pub async fn publish(&self, image: &str, platforms: &[&str]) -> Digest {
        let image: Reference = self.addressed(image).parse().unwrap();
        let name = image.repository.clone();
        let repository =
            client::registry(name.host(), Credentials::Anonymous).repository(name.path());
        let tag = TagOrDigest::Tag(image.tag_or_latest());
        let mut children = Vec::new();
        for platform in platforms {
            let platform: Platform = platform.parse().unwrap();
            let own = format!("{tag} for {platform}");
            let manifest = image_of(&repository, &platform, [name.path(), &own]).await;
            if platforms.len() == 1 {
                return repository.put_manifest(&tag, &manifest).await.unwrap();
            }
            let at = TagOrDigest::Digest(manifest.digest().clone());
            repository.put_manifest(&at, &manifest).await.unwrap();
            let before = children.last().filter(|_| platform.os == "unknown");
            let annotations = before.map(|image: &Descriptor| {
                let about = |what: &str| format!("vnd.docker.reference.{what}");
                BTreeMap::from([
                    (about("type"), "attestation-manifest".to_owned()),
                    (about("digest"), image.digest.to_string()),
                ])
            });
            children.push(Descriptor {
                platform: Some(platform),
                annotations,
                ..manifest.descriptor()
            });
        }
        let index = index_of(&children, None);
        repository.put_manifest(&tag, &index).await.unwrap()
    }

    /// The digest of what skopeo reads there.
    #[track_caller]
    pub fn digest(&self, image: &str) -> Digest {
        let raw = skopeo_raw(&self.addressed(image));
        Digest::sha256_of(&raw.unwrap_or_else(|error| panic!("skopeo: {error}")))
    }

    /// The platforms of the index there, as skopeo reads them.
    #[track_caller]
    pub fn platforms(&self, image: &str) -> Vec<String> {
        let raw = skopeo_raw(&self.addressed(image)).unwrap();
        let index: Value = serde_json::from_slice(&raw).unwrap();
        let children = index["manifests"].as_array().expect("an index").iter();
        children
            .map(|child| {
                let platform: Platform = serde_json::from_value(child["platform"].clone()).unwrap();
                platform.to_string()
            })
            .collect()
    }

    /// The tags that skopeo lists, in alphabetical order; none for a repository that does not exist.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let output = Command::new("skopeo")
            .args(["list-tags", "--tls-verify=false", "--creds"])
            .arg(format!("{USER}:{PASSWORD}"))
            .arg(format!("docker://{}", self.addressed(repository)))
            .output()
            .expect("skopeo runs; hint: xtask/tests/setup");
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(error.contains("name unknown"), "skopeo: {error}");
            return Vec::new();
        }
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut tags: Vec<String> = serde_json::from_value(list["Tags"].clone()).unwrap();
        tags.sort();
        tags
    }
}

async fn image_of(repository: &Repository, platform: &Platform, layers: [&str; 2]) -> Manifest {
    let put = async |media_type: &str, bytes: Bytes| {
        let digest = Digest::sha256_of(&bytes);
        let blob = Descriptor::new(media_type, digest, bytes.len() as u64);
        repository
            .upload_bytes(&blob.digest, None, bytes)
            .await
            .unwrap();
        blob
    };
    let mut config = serde_json::to_value(platform).unwrap();
    config["rootfs"] = json!({"type": "layers", "diff_ids": []});
    config["config"] = json!({"Labels": {"name": layers[1]}});
    let config = config.to_string().into();
    let config = put("application/vnd.oci.image.config.v1+json", config).await;
    let mut descriptors = Vec::new();
    for layer in layers {
        let layer = noise(layer, LAYER);
        descriptors.push(put("application/vnd.oci.image.layer.v1.tar", layer).await);
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::OCI_MANIFEST,
        "config": config,
        "layers": descriptors,
    });
    Manifest::new(media::OCI_MANIFEST, manifest.to_string().into())
}

/// Bytes that are always the same for the same seed.
fn noise(seed: &str, size: usize) -> Bytes {
    let mut state = seed.bytes().fold(1_u64, |state, byte| {
        state.wrapping_mul(31).wrapping_add(byte.into())
    });
    let next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}
