//! The transport past the engine's own pushes: the image is read and compressed once ([`ImageSource`]), and every registry
//! takes it from there at its own pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::time::MissedTickBehavior;

use super::image_source::ImageSource;
use super::plan::PushPlan;
use super::push::PushOutcome;
use super::world::World;
use crate::copy::{CopyStatus, Destination, Event, Listener, RegistryHost};
use crate::graph;
use crate::registry::Error;

/// Between two looks at the progress.
const TICK: Duration = Duration::from_millis(250);

/// Brings the image to the registry, without a tag.
pub async fn bring(
    world: &World<'_>,
    plan: &PushPlan,
    context: &graph::Context<'_>,
) -> Result<PushOutcome> {
    let image_source = world.image_source().await?;
    if let Some(manifest) = image_source.held(&plan.registry) {
        return Ok(PushOutcome {
            manifest: manifest.clone(),
            pushed: None,
        });
    }
    let client = world.client(&plan.registry)?.clone();
    let host = RegistryHost::new(plan.repository.host(), client);
    let destination = Destination {
        host: Arc::clone(&host),
        repository: plan.repository.clone(),
        tags: Vec::new(),
    };
    let meter = Arc::new(Meter::default());
    let bringing = image_source
        .copier
        .copy_to(destination, Arc::clone(&meter) as Arc<_>);
    let row = watched(bringing, || meter.tell(image_source, context)).await;
    let reason = row.reason.unwrap_or_default();
    if row.status == CopyStatus::Failed {
        return Err(match (image_source.failure(), host.circuit_open()) {
            (Some(failure), _) => failure,
            (None, Some(refusal @ Error::Rejected { .. })) => refusal.clone().into(),
            (None, _) => anyhow!(reason),
        });
    }
    if row.status == CopyStatus::Degraded {
        context.warn(&reason);
    }
    let Some(digest) = row.digest else {
        bail!("the copy ended without a digest");
    };
    let manifest = image_source.copier.manifest(&digest).await?;
    let manifest = manifest.with_context(|| format!("{digest} is not what was read"))?;
    Ok(PushOutcome {
        manifest,
        pushed: (row.bytes.uploaded > 0).then_some(row.bytes.uploaded),
    })
}

/// `work`, with `tell` called now and then meanwhile.
async fn watched<T>(work: impl Future<Output = T>, tell: impl Fn()) -> T {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            done = &mut work => {
                tell();
                return done;
            }
            _ = ticks.tick() => tell(),
        }
    }
}

/// Adds up what goes to one registry.
#[derive(Default)]
struct Meter {
    planned: AtomicU64,
    moved: AtomicU64,
}

impl Meter {
    /// Until something is there to be uploaded, what was read counts. An engine may take long before its first byte.
    fn tell(&self, image_source: &ImageSource, context: &graph::Context<'_>) {
        match (self.planned.load(Ordering::Relaxed), image_source.taken()) {
            (0, 0) => {}
            (0, taken) => context.progress(taken, 0),
            (planned, _) => context.progress(self.moved.load(Ordering::Relaxed), planned),
        }
    }
}

impl Listener for Meter {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Planned { bytes, .. } => self.planned.fetch_add(bytes, Ordering::Relaxed),
            Event::Moved { bytes, .. } => self.moved.fetch_add(bytes, Ordering::Relaxed),
            Event::Read { .. } | Event::Finished { .. } => 0,
        };
    }
}
