//! What the copier tells, as bars and lines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use indicatif::DecimalBytes;
use log::Level;

use crate::copy::{Event, Job, Listener, Mode, Row, Verdict};
use crate::graph::{self, Listener as _};
use crate::report::Console;

/// The copier's listener.
pub(super) struct Watch {
    console: Arc<Console>,
    level: Level,
    mode: Mode,
    read: AtomicU64,
    /// By destination: bytes moved, and bytes planned so far.
    bytes: Mutex<BTreeMap<String, (u64, u64)>>,
}

impl Watch {
    pub fn new(console: &Arc<Console>, level: Level, mode: Mode, jobs: &[Job]) -> Arc<Self> {
        let hosts = jobs
            .iter()
            .flat_map(|job| &job.places)
            .map(|place| (place.destination.host.clone(), (0, 0)));
        let bytes: BTreeMap<_, _> = hosts.collect();
        for target in bytes.keys() {
            console.follow(target);
        }
        Arc::new(Watch {
            console: Arc::clone(console),
            level,
            mode,
            read: AtomicU64::new(0),
            bytes: Mutex::new(bytes),
        })
    }

    /// Bytes read from the sources.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// One line for an image at a place, if its level is asked for.
    pub fn tell(&self, row: &Row) {
        if self.mode == Mode::DryRun {
            // The difference is the table at the end.
            return;
        }
        let level = match row.verdict {
            Verdict::Failed => Level::Error,
            Verdict::Degraded => Level::Warn,
            Verdict::Created | Verdict::Updated => Level::Info,
            Verdict::Equal => Level::Debug,
        };
        if level > self.level {
            return;
        }
        let what = super::outcome::word(row.verdict, self.mode);
        let bytes = row.bytes.uploaded + row.bytes.mounted;
        let moved = if bytes > 0 {
            format!(", {}", DecimalBytes(bytes))
        } else {
            String::new()
        };
        let reason = row
            .reason
            .iter()
            .map(|reason| format!(": {reason}"))
            .collect::<String>();
        self.console.say(&format!(
            "{what} {} -> {}{moved}{reason}",
            row.image, row.reference
        ));
    }

    fn add(&self, destination: &str, moved: u64, planned: u64) {
        let mut bytes = self.bytes.lock().expect("no holder panics");
        let bytes = bytes.entry(destination.to_owned()).or_default();
        bytes.0 += moved;
        bytes.1 += planned;
        self.console.event(graph::Event::Progress {
            target: destination,
            current: bytes.0,
            total: bytes.1,
        });
    }
}

impl Listener for Watch {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Planned { destination, bytes } => self.add(destination, 0, bytes),
            Event::Moved { destination, bytes } => self.add(destination, bytes, 0),
            Event::Read { bytes } => drop(self.read.fetch_add(bytes, Ordering::Relaxed)),
            Event::Finished { row } => self.tell(row),
        }
    }
}
