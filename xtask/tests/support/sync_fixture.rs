//! What `sync` works between: a workspace whose files call registries by names of their own, and images to copy.
//!
//! Tests read and write the names, the program sees and says the addresses.

use fakes::registry::FakeRegistry;
use serde_json::Value;
use xtask::credentials::Credentials;
use xtask::oci::{Digest, Reference, media_type};

use crate::support::client;
use crate::support::images::{self, Sample};
use crate::support::workspace::{Run, Workspace};

/// The size of every layer, in bytes.
pub const LAYER: usize = 100_000;

pub struct SyncFixture {
    pub workspace: Workspace,
    /// The names of the registries, and where they really are.
    hosts: Vec<(String, String)>,
}

/// The digest of what `tag` names in a repository of the registry.
pub fn digest(registry: &FakeRegistry, repository: &str, tag: &str) -> Digest {
    let manifests = registry.manifests();
    let (_, bytes) = &manifests[&(repository.to_owned(), tag.to_owned())];
    Digest::sha256_of(bytes)
}

impl SyncFixture {
    /// In files and arguments, the first of each pair stands for the second, an address.
    pub fn between(hosts: &[(&str, &str)]) -> SyncFixture {
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
        SyncFixture {
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

    /// `cargo xtask` with these arguments, in a folder that is no workspace.
    pub async fn run(&self, arguments: &[&str]) -> Run {
        let arguments: Vec<String> = arguments.iter().map(|it| self.addressed(it)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.workspace.command(&arguments);
        let elsewhere = tempfile::tempdir().unwrap();
        command.current_dir(elsewhere.path());
        self.ended(command.output().await.unwrap())
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

    /// Puts these tags into as many repositories of `source.io`; returns a rule for each, to `one.io`.
    pub async fn publish_many(&self, repositories: usize, tags: &[&str]) -> String {
        let mut rules = String::new();
        for number in 0..repositories {
            for tag in tags {
                let image = format!("source.io/app{number}:{tag}");
                self.publish(&image, &["linux/amd64"]).await;
            }
            rules += &format!("source.io/app{number}: one.io/app{number}\n");
        }
        rules
    }

    /// Puts an image of these platforms there: an index if there are several. One for `unknown/unknown` is the
    /// attestation of the image before it, as BuildKit lists it.
    ///
    /// All images of a repository share a layer, and each has one of its own.
    pub async fn publish(&self, image: &str, platforms: &[&str]) -> Digest {
        let image: Reference = self.addressed(image).parse().unwrap();
        let (name, tag) = (&image.repository, image.tag_or_latest());
        let mut samples: Vec<(Sample, Value)> = Vec::new();
        for platform in platforms {
            let own = format!("{tag} for {platform}");
            samples.push(match samples.last() {
                Some((subject, _)) if *platform == "unknown/unknown" => {
                    (images::attestation(&own), images::attests(subject))
                }
                _ => {
                    let layers = [name.path(), &own].map(|seed| fakes::noise(seed, LAYER));
                    let sample = images::image(platform, &layers);
                    (sample, images::platform(platform))
                }
            });
        }
        let sample = match &samples[..] {
            [(sample, _)] => sample.clone(),
            several => {
                let children: Vec<_> = several.iter().map(|(it, how)| (it, how.clone())).collect();
                images::index(media_type::OCI_INDEX, &children)
            }
        };
        let registry = client::registry(name.host(), Credentials::Anonymous);
        let repository = registry.repository(name.path());
        sample.push(&repository, tag.as_str()).await;
        sample.root().digest().clone()
    }
}
