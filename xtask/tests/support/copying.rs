//! Running the copier in a test, and recording what it tells.
//!
//! A copy that hangs fails its test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fakes::registry::FakeRegistry;
use tokio::sync::watch;
use xtask::copy::{
    CopyResult, Destination, Event, Job, Listener, Mode, Options, Policy, Referrers, RegistryHost,
    Source, run,
};
use xtask::credentials::Credentials;
use xtask::oci::RepositoryName;
use xtask::registry::Repository;

use super::client::{registry, tag};

pub const OPTIONS: Options = Options {
    mode: Mode::Apply,
    concurrency: 10,
    retries: 3,
    timeout: None,
    force: false,
};

/// The job that copies `name` of a repository to the same name at each place.
pub fn job(source: &Repository, name: &str, destinations: Vec<Destination>) -> Job {
    Job {
        name: format!("source:{name}"),
        source: Source::Registry {
            repository: source.clone(),
            at: tag(name),
        },
        // The tests of referrers ask for them: the others count the requests of an image alone.
        policy: Policy {
            referrers: Referrers::Strip,
            ..Policy::default()
        },
        destinations,
    }
}

pub fn destination(host: &Arc<RegistryHost>, path: &str, tags: &[&str]) -> Destination {
    Destination {
        host: Arc::clone(host),
        repository: RepositoryName::new(&host.name, path).unwrap(),
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
    }
}

/// A destination that is open to everyone.
pub fn registry_host(host: &str) -> Arc<RegistryHost> {
    RegistryHost::new(host, registry(host, Credentials::Anonymous))
}

/// The repository at `path` of a registry that is open to everyone.
pub fn repository(host: &str, path: &str) -> Repository {
    registry(host, Credentials::Anonymous).repository(path)
}

pub async fn copy(jobs: Vec<Job>) -> Vec<CopyResult> {
    copy_with(jobs, OPTIONS).await
}

pub async fn copy_with(jobs: Vec<Job>, options: Options) -> Vec<CopyResult> {
    copy_recorded(jobs, options, &RecordingListener::default()).await
}

pub async fn copy_recorded(
    jobs: Vec<Job>,
    options: Options,
    listener: &RecordingListener,
) -> Vec<CopyResult> {
    let copying = run(
        jobs,
        &options,
        Arc::new(listener.clone()),
        std::future::pending(),
    );
    let rows = tokio::time::timeout(Duration::from_secs(60), copying).await;
    rows.expect("the copy comes to an end")
}

/// Records the events of a copy.
#[derive(Clone, Default)]
pub struct RecordingListener(Arc<Mutex<Recorded>>, Arc<watch::Sender<usize>>);

#[derive(Default)]
struct Recorded {
    read: u64,
    planned: HashMap<String, u64>,
    moved: HashMap<String, u64>,
    finished: Vec<CopyResult>,
}

impl RecordingListener {
    pub fn read(&self) -> u64 {
        self.0.lock().unwrap().read
    }

    /// Planned and moved bytes of a destination.
    pub fn progress(&self, host: &str) -> (u64, u64) {
        let recorded = self.0.lock().unwrap();
        let of = |map: &HashMap<String, u64>| map.get(host).copied().unwrap_or_default();
        (of(&recorded.planned), of(&recorded.moved))
    }

    /// The rows that have ended, once there are so many.
    pub async fn finished(&self, rows: usize) -> Vec<CopyResult> {
        let mut news = self.1.subscribe();
        news.wait_for(|count| *count >= rows).await.unwrap();
        self.0.lock().unwrap().finished.clone()
    }
}

impl Listener for RecordingListener {
    fn on_event(&self, event: Event<'_>) {
        let mut recorded = self.0.lock().unwrap();
        match event {
            Event::Planned { destination, bytes } => {
                *recorded.planned.entry(destination.to_owned()).or_default() += bytes;
            }
            Event::Moved { destination, bytes } => {
                *recorded.moved.entry(destination.to_owned()).or_default() += bytes;
            }
            Event::Read { bytes } => recorded.read += bytes,
            Event::Finished { result } => {
                recorded.finished.push(result.clone());
                self.1.send_replace(recorded.finished.len());
            }
        }
    }
}

/// How often each blob of a sample was asked for at the source.
pub fn reads(source: &FakeRegistry, sample: &super::images::Sample) -> Vec<usize> {
    let count = |digest| source.count(hyper::Method::GET, &format!("blobs/{digest}"));
    let mut digests: Vec<_> = sample.blobs.iter().map(|(digest, _)| digest).collect();
    digests.sort();
    digests.dedup();
    digests.into_iter().map(count).collect()
}
