//! The targets that run now: a bar each on a terminal, a line now and then in a log.
//!
//! It draws the bars; lines it returns, for the console to redact and print.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

/// Without bars, a running target prints a line this often.
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
    started: Instant,
    last_line: Instant,
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
            started: Instant::now(),
            last_line: Instant::now(),
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
        let (gap, comma) = match text {
            "" => ("", ""),
            _ => (" ", ", "),
        };
        if let Some(running) = self.targets().get_mut(target) {
            running.bar.set_prefix(format!("{target}{gap}{text}"));
            running.note = format!("{text}{comma}");
        }
    }

    /// A line of `target` is printed.
    pub fn touch(&self, target: &str) {
        if let Some(running) = self.targets().get_mut(target) {
            running.last_line = Instant::now();
        }
    }

    /// Without bars: a line for each target that has printed none for long, at this moment.
    pub fn heartbeat(&self, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for (target, running) in self.targets().iter_mut() {
            if !self.is_terminal && now.saturating_duration_since(running.last_line) > HEARTBEAT {
                running.last_line = now;
                let seconds = now.saturating_duration_since(running.started).as_secs();
                lines.push(format!("{target}: {}running for {seconds} s", running.note));
            }
        }
        lines
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

    /// Ends the bar of `target`.
    pub fn end(&self, target: &str) {
        if let Some(running) = self.targets().remove(target) {
            running.bar.finish_and_clear();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_bars_a_silent_target_says_now_and_then_that_it_runs() {
        let live = Live::new(false);
        live.follow("docker-build");
        live.note("docker-build", "3/7 images");
        let after = |seconds| live.heartbeat(Instant::now() + Duration::from_secs(seconds));
        assert!(after(9).is_empty());
        assert_eq!(after(11), ["docker-build: 3/7 images, running for 11 s"]);
        assert!(after(20).is_empty());
        assert_eq!(after(22), ["docker-build: 3/7 images, running for 22 s"]);
        live.end("docker-build");
        assert!(after(60).is_empty());
        let bars = Live::new(true);
        bars.follow("docker-build");
        assert!(
            bars.heartbeat(Instant::now() + Duration::from_secs(60))
                .is_empty()
        );
    }
}
