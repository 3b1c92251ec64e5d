//! Signatures, and jobs that copy them with their images.

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry};
use serde_json::json;
use xtask::copy::{Job, Policy};
use xtask::oci::{index_of, media_type};

use super::copying::{destination, job, registry_host, repository};
use super::images::{EMPTY, Sample, built, manifest_with};

/// A signature as tools make it: an artifact about `subject`.
pub fn signature(seed: &str, subject: &Sample) -> Sample {
    manifest_with(
        media_type::OCI_MANIFEST,
        (EMPTY, "{}".into()),
        &[(
            "application/vnd.dev.cosign.simplesigning.v1+json",
            noise(seed, 50),
        )],
        json!({"artifactType": "application/vnd.example.signature", "subject": subject.root().descriptor()}),
    )
}

/// A registry with the referrers API or without.
pub async fn registry(lists_referrers: bool) -> FakeRegistry {
    FakeRegistry::start(Behavior {
        lists_referrers,
        ..Behavior::default()
    })
    .await
}

/// A job that copies `app:v1` to `m:v1`, with what refers to it.
pub fn kept(source: &FakeRegistry, target: &FakeRegistry) -> Vec<Job> {
    let to = registry_host(&target.host);
    let from = repository(&source.host, "app");
    let mut job = job(&from, "v1", vec![destination(&to, "m", &["v1"])]);
    job.policy = Policy::default();
    vec![job]
}

/// Lists `entries` by the tag that stands in for the API.
pub fn put_index(server: &FakeRegistry, path: &str, of: &Sample, entries: &[&Sample]) {
    let entries: Vec<_> = entries.iter().map(|it| it.root().descriptor()).collect();
    let index = index_of(&entries);
    let tag = of.digest().tag_prefix();
    server.put_manifest(path, &tag, index.media_type(), index.bytes().clone());
}

/// Jobs for images of one repository, all copied by one client.
pub fn all_kept(source: &FakeRegistry, target: &FakeRegistry, names: &[&str]) -> Vec<Job> {
    let (to, from) = (registry_host(&target.host), repository(&source.host, "app"));
    let jobs = names.iter().map(|name| {
        let mut job = job(&from, name, vec![destination(&to, "m", &[name])]);
        job.policy = Policy::default();
        job
    });
    jobs.collect()
}

pub const NAMES: [&str; 4] = ["v1", "v2", "v3", "v4"];

/// An image for each name, each with a signature that the source lists by tags.
pub fn place_signed(source: &FakeRegistry) -> Vec<Sample> {
    let images = NAMES.iter().map(|name| {
        let app = built(name, 100);
        app.place(source, "app", name);
        let signature = signature(name, &app);
        signature.place(source, "app", &format!("of-{name}"));
        put_index(source, "app", &app, &[&signature]);
        app
    });
    images.collect()
}

/// The tag that cosign makes of the digest of `sample`, and `suffix`.
pub fn digest_tag(sample: &Sample, suffix: &str) -> String {
    sample.digest().tag_prefix() + suffix
}
