//! The targets that run now: a bar each on a terminal, a line now and then in a log, a group in GitHub Actions.
//!
//! It draws the bars; lines it returns, for the console to redact and print.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

/// Without a terminal, a running transfer prints a line this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Every running target.
pub(super) struct Live {
    pub bars: MultiProgress,
    pub is_terminal: bool,
    targets: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    bar: ProgressBar,
    /// Its progress apart from bytes.
    note: String,
    last_line: Instant,
    /// In GitHub Actions: the lines of its group. They are printed when the target ends, because groups cannot
    /// interleave.
    group: Vec<String>,
}

impl Live {
    pub fn new(is_terminal: bool) -> Self {
        Live {
            bars: MultiProgress::new(),
            is_terminal,
            targets: Mutex::default(),
        }
    }

    fn targets(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.targets.lock().expect("no holder panics")
    }

    /// Shows the progress of `target` from now on.
    pub fn follow(&self, target: &str) {
        let bar = if self.is_terminal {
            self.bars.add(ProgressBar::new_spinner())
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style("{spinner} {prefix:24} {elapsed:>4} {wide_msg}"));
        bar.set_prefix(target.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        let running = Running {
            bar,
            note: String::new(),
            last_line: Instant::now(),
            group: Vec::new(),
        };
        self.targets().insert(target.to_owned(), running);
    }

    pub fn is_running(&self, target: &str) -> bool {
        self.targets().contains_key(target)
    }

    /// Shows `text` in the bar of `target`.
    pub fn message(&self, target: &str, text: String) {
        if let Some(running) = self.targets().get(target) {
            running.bar.set_message(text);
        }
    }

    /// Shows `text` beside the name of `target`, and in its next line where there are no bars.
    pub fn note(&self, target: &str, text: &str) {
        if let Some(running) = self.targets().get_mut(target) {
            running.bar.set_prefix(format!("{target} {text}"));
            running.note = format!("{text}, ");
        }
    }

    /// Adds a line to the group of `target`.
    pub fn add_to_group(&self, target: &str, line: &str) {
        if let Some(running) = self.targets().get_mut(target) {
            running.group.push(line.to_owned());
        }
    }

    /// Moves the bar of `target`; without a terminal returns the line to print, if one is due.
    pub fn progress(&self, target: &str, current: u64, total: u64) -> Option<String> {
        let mut targets = self.targets();
        let running = targets.get_mut(target)?;
        let bar = &running.bar;
        if total > 0 && bar.length() != Some(total) {
            bar.set_length(total);
            bar.set_style(style(
                "{spinner} {prefix:24} {elapsed:>4} {wide_bar} {decimal_bytes}/{decimal_total_bytes} \
                 {decimal_bytes_per_sec} {eta}",
            ));
        }
        bar.set_position(current);
        if self.is_terminal || running.last_line.elapsed() <= HEARTBEAT {
            return None;
        }
        running.last_line = Instant::now();
        let moved = match total {
            0 => DecimalBytes(current).to_string(),
            total => format!(
                "{} of {}, {}/s, {:#} left",
                DecimalBytes(current),
                DecimalBytes(total),
                DecimalBytes(bar.per_sec() as u64),
                HumanDuration(bar.eta())
            ),
        };
        Some(format!("{target}: {}{moved}", running.note))
    }

    /// Ends the bar of `target` and returns the lines of its group.
    pub fn end(&self, target: &str) -> Vec<String> {
        let running = self.targets().remove(target);
        running.map_or_else(Vec::new, |running| {
            running.bar.finish_and_clear();
            running.group
        })
    }

    /// Ends all bars.
    pub fn clear(&self) {
        for running in std::mem::take(&mut *self.targets()).into_values() {
            running.bar.finish_and_clear();
        }
        // A terminal that is gone is no reason to stop.
        let _ = self.bars.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants")
}
