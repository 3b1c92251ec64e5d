//! `--via direct`: this program reads and compresses the image once ([`ImageSource`]), and copies it to each registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::clients::RegistryClient;
use super::image_source::ImageSource;
use super::run_state::PushOutcome;
use crate::copy::{CopyResult, CopyStatus, Destination, Event, Listener, RegistryHost};
use crate::graph;

/// How often the progress is reported.
const TICK: Duration = Duration::from_millis(250);

/// A copy that has begun. Dropping it ends it.
pub struct Copying {
    task: JoinSet<CopyResult>,
    host: Arc<RegistryHost>,
    meter: Arc<Meter>,
}

/// Begins to copy the image to the registry, without a tag: nobody sees what is there before the version is set.
pub fn start(source: &ImageSource, registry: &RegistryClient<'_>) -> Copying {
    let repository = &registry.settings.repository;
    let host = RegistryHost::new(repository.host(), registry.registry.clone());
    let destination = Destination {
        host: Arc::clone(&host),
        repository: repository.clone(),
        tags: Vec::new(),
    };
    let meter = Arc::new(Meter::default());
    let (copier, listener) = (source.copier.clone(), Arc::clone(&meter));
    let mut task = JoinSet::new();
    task.spawn(async move { copier.copy_to(destination, listener).await });
    Copying { task, host, meter }
}

/// Waits for the end of a copy.
pub async fn finish(
    mut copying: Copying,
    source: &ImageSource,
    registry: &RegistryClient<'_>,
    context: &graph::Context<'_>,
) -> Result<PushOutcome> {
    let meter = copying.meter;
    let ended = watched(copying.task.join_next(), || meter.report(source, context)).await;
    let result = ended.context("the copy did not begin")??;
    let reason = result.reason.unwrap_or_default();
    if result.status == CopyStatus::Failed {
        let is_refused = copying.host.is_login_refused() || result.http_status == Some(401);
        return Err(match source.failure() {
            Some(failure) => failure,
            None if is_refused => registry.login_refused(reason),
            None if reason.contains("DIGEST_INVALID") => {
                anyhow!("{reason}\nhint: {}", source.damage().await)
            }
            None => anyhow!(reason),
        });
    }
    if result.status == CopyStatus::Degraded {
        context.warn(&reason);
    }
    let Some(digest) = result.digest else {
        bail!("the copy ended without a digest");
    };
    let manifest = source.copier.manifest(&digest).await?;
    let manifest = manifest.with_context(|| format!("{digest} is not what was read"))?;
    let uploaded = result.bytes.uploaded;
    Ok(PushOutcome {
        manifest,
        replaced: None,
        pushed: (uploaded > 0).then_some(uploaded),
    })
}

/// Runs `work`, and calls `report` every [`TICK`] meanwhile.
async fn watched<T>(work: impl Future<Output = T>, report: impl Fn()) -> T {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            done = &mut work => {
                report();
                return done;
            }
            _ = ticks.tick() => report(),
        }
    }
}

/// Adds up the bytes that go to one registry.
#[derive(Default)]
struct Meter {
    planned: AtomicU64,
    moved: AtomicU64,
}

impl Meter {
    /// Reports the bytes uploaded, or before there are any, the bytes read: an engine may take long for its first byte.
    fn report(&self, source: &ImageSource, context: &graph::Context<'_>) {
        match (self.planned.load(Ordering::Relaxed), source.bytes_read()) {
            (0, 0) => {}
            (0, read) => context.progress(read, 0),
            (planned, _) => context.progress(self.moved.load(Ordering::Relaxed), planned),
        }
    }
}

impl Listener for Meter {
    fn on_event(&self, event: Event<'_>) {
        match event {
            Event::Planned { bytes, .. } => self.planned.fetch_add(bytes, Ordering::Relaxed),
            Event::Moved { bytes, .. } => self.moved.fetch_add(bytes, Ordering::Relaxed),
            Event::Read { .. } | Event::Finished { .. } => 0,
        };
    }
}
