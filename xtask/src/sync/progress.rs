//! The copier's events as bars and lines.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use indicatif::DecimalBytes;
use log::Level;

use super::report::word;
use crate::copy::{CopyResult, CopyStatus, Event, Job, Listener, Mode};
use crate::graph::{self, Listener as _};
use crate::report::Console;

/// The copier's listener.
pub(super) struct ProgressReporter {
    console: Arc<Console>,
    /// The level asked for.
    level: Option<Level>,
    mode: Mode,
    read: AtomicU64,
    destinations: Mutex<BTreeMap<String, Progress>>,
    /// Destinations and reasons of failures that were printed already.
    printed: Mutex<HashSet<(String, Option<String>)>>,
}

/// The progress of one destination.
#[derive(Default)]
struct Progress {
    images: u64,
    ended: u64,
    /// Images whose bytes to move are known.
    planned_images: u64,
    planned: u64,
    moved: u64,
}

impl Progress {
    /// Estimates that the images not looked at yet are like the others.
    fn total(&self) -> u64 {
        let planned_images = self.planned_images.clamp(1, self.images.max(1));
        let total = u128::from(self.planned) * u128::from(self.images) / u128::from(planned_images);
        u64::try_from(total).unwrap_or(u64::MAX).max(self.planned)
    }
}

impl ProgressReporter {
    pub fn new(
        console: &Arc<Console>,
        level: Option<Level>,
        mode: Mode,
        jobs: &[Job],
    ) -> Arc<Self> {
        let mut destinations: BTreeMap<String, Progress> = BTreeMap::new();
        for destination in jobs.iter().flat_map(|job| &job.destinations) {
            let host = destination.host.name.clone();
            destinations.entry(host).or_default().images += 1;
        }
        for destination in destinations.keys() {
            console.follow(destination);
        }
        Arc::new(ProgressReporter {
            console: Arc::clone(console),
            level,
            mode,
            read: AtomicU64::new(0),
            destinations: Mutex::new(destinations),
            printed: Mutex::default(),
        })
    }

    /// Bytes read from the sources.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// One line for an image at a destination, if its level is asked for.
    fn log(&self, result: &CopyResult) {
        if self.mode == Mode::DryRun {
            // The table at the end shows the difference.
            return;
        }
        let level = match result.status {
            CopyStatus::Failed => Level::Error,
            CopyStatus::Degraded => Level::Warn,
            CopyStatus::Created | CopyStatus::Updated | CopyStatus::Skipped => Level::Info,
            CopyStatus::Equal => Level::Debug,
        };
        let most = self.level.unwrap_or(Level::Info);
        if level > most {
            return;
        }
        let is_known = result.status == CopyStatus::Failed && !self.is_new(result);
        let what = word(result.status, self.mode);
        let bytes = &result.bytes;
        let moved = [(bytes.uploaded, "uploaded"), (bytes.mounted, "mounted")];
        let moved = moved.iter().filter(|(bytes, _)| *bytes > 0);
        let moved: String = moved
            .map(|(bytes, how)| format!(", {} {how}", DecimalBytes(*bytes)))
            .collect();
        let reason = result.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let line = format!(
            "{what} {} -> {}{moved}{reason}",
            result.image,
            result.place()
        );
        if is_known && most < Level::Debug {
            self.console.log_only(&line);
        } else if self.level.is_none() && level > Level::Warn {
            self.console.detail(&line);
        } else {
            self.console.info(&line);
        }
    }

    /// When a registry is down, all its images fail alike.
    fn is_new(&self, result: &CopyResult) -> bool {
        let failure = (result.destination.clone(), result.reason.clone());
        self.printed
            .lock()
            .expect("no holder panics")
            .insert(failure)
    }

    fn update(&self, destination: &str, change: impl FnOnce(&mut Progress)) {
        let mut destinations = self.destinations.lock().expect("no holder panics");
        let Some(progress) = destinations.get_mut(destination) else {
            return;
        };
        change(progress);
        let (ended, images) = (progress.ended, progress.images);
        self.console
            .note(destination, &format!("{ended}/{images} images"));
        if progress.planned > 0 {
            self.console.on_event(graph::Event::Progress {
                target: destination,
                current: progress.moved,
                total: progress.total(),
            });
        }
    }
}

impl Listener for ProgressReporter {
    fn on_event(&self, event: Event<'_>) {
        match event {
            Event::Planned { destination, bytes } => self.update(destination, |progress| {
                progress.planned_images += 1;
                progress.planned += bytes;
            }),
            Event::Moved { destination, bytes } => {
                self.update(destination, |progress| progress.moved += bytes);
            }
            Event::Read { bytes } => drop(self.read.fetch_add(bytes, Ordering::Relaxed)),
            Event::Finished { result } => {
                self.log(result);
                self.update(&result.destination, |progress| {
                    progress.ended += 1;
                    let is_nothing =
                        matches!(result.status, CopyStatus::Equal | CopyStatus::Skipped);
                    progress.planned_images += u64::from(is_nothing);
                });
            }
        }
    }
}
