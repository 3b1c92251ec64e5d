//! Selector the copier tells, as bars and lines.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use indicatif::DecimalBytes;
use log::Level;

use super::report::word;
use crate::copy::{CopyResult, CopyStatus, Event, Job, Listener, Mode};
use crate::graph::{self, Listener as _};
use crate::report::Console;

/// The copier's listener.
pub(super) struct ProgressReporter {
    console: Arc<Console>,
    /// As it was asked for.
    level: Option<Level>,
    mode: Mode,
    read: AtomicU64,
    destinations: Mutex<BTreeMap<String, Progress>>,
    /// Destinations and reasons of failures.
    told: Mutex<HashSet<(String, Option<String>)>>,
}

/// How far one destination is.
#[derive(Default)]
struct Progress {
    images: u64,
    ended: u64,
    /// Images of which it is known how many bytes are to go.
    surveyed: u64,
    planned: u64,
    moved: u64,
}

impl Progress {
    /// The images that nobody has looked at yet are taken to be like the others.
    fn total(&self) -> u64 {
        let surveyed = self.surveyed.clamp(1, self.images.max(1));
        let total = u128::from(self.planned) * u128::from(self.images) / u128::from(surveyed);
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
            told: Mutex::default(),
        })
    }

    /// Bytes read from the sources.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// One line for an image at a place, if its level is asked for.
    fn tell(&self, row: &CopyResult) {
        if self.mode == Mode::DryRun {
            // The difference is the table at the end.
            return;
        }
        let level = match row.status {
            CopyStatus::Failed if self.is_news(row) => Level::Error,
            CopyStatus::Degraded => Level::Warn,
            CopyStatus::Created | CopyStatus::Updated => Level::Info,
            CopyStatus::Failed | CopyStatus::Equal => Level::Debug,
        };
        if level > self.level.unwrap_or(Level::Info) {
            return;
        }
        let what = word(row.status, self.mode);
        let bytes = row.bytes.uploaded + row.bytes.mounted;
        let moved = match bytes {
            0 => String::new(),
            bytes => format!(", {}", DecimalBytes(bytes)),
        };
        let reason = row.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        let line = format!("{what} {} -> {}{moved}{reason}", row.image, row.reference);
        if self.level.is_none() && level > Level::Warn {
            self.console.detail(&line);
        } else {
            self.console.say(&line);
        }
    }

    /// When a registry is down, all its images fail alike.
    fn is_news(&self, row: &CopyResult) -> bool {
        let failure = (row.destination.clone(), row.reason.clone());
        self.told.lock().expect("no holder panics").insert(failure)
    }

    fn destinations(&self) -> MutexGuard<'_, BTreeMap<String, Progress>> {
        self.destinations.lock().expect("no holder panics")
    }

    fn update(&self, destination: &str, change: impl FnOnce(&mut Progress)) {
        let mut destinations = self.destinations();
        let Some(progress) = destinations.get_mut(destination) else {
            return;
        };
        change(progress);
        let (ended, images) = (progress.ended, progress.images);
        self.console
            .note(destination, &format!("{ended}/{images} images"));
        if progress.planned > 0 {
            self.console.event(graph::Event::Progress {
                target: destination,
                current: progress.moved,
                total: progress.total(),
            });
        }
    }
}

impl Listener for ProgressReporter {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Planned { destination, bytes } => self.update(destination, |progress| {
                progress.surveyed += 1;
                progress.planned += bytes;
            }),
            Event::Moved { destination, bytes } => {
                self.update(destination, |progress| progress.moved += bytes);
            }
            Event::Read { bytes } => drop(self.read.fetch_add(bytes, Ordering::Relaxed)),
            Event::Finished { row } => {
                self.tell(row);
                self.update(&row.destination, |progress| {
                    progress.ended += 1;
                    progress.surveyed += u64::from(row.status == CopyStatus::Equal);
                });
            }
        }
    }
}
