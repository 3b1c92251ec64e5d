//! What is shown while targets run: bars on a terminal, a line now and then in a log, groups in GitHub Actions.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, HumanDuration, ProgressBar, ProgressStyle};

use super::console::Console;
use crate::graph::{Event, Listener, Row, Status, Tone};

/// Where nobody watches a bar, a running transfer says a line this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What is shown of a running target.
pub(super) struct Running {
    bar: ProgressBar,
    /// How far the target is besides its bytes.
    note: String,
    said: Instant,
    /// In GitHub Actions: the lines of its group, which is printed when the target ends, because groups cannot
    /// interleave.
    group: Vec<String>,
}

impl Console {
    /// Ends the bars.
    pub fn clear(&self) {
        for running in std::mem::take(&mut *self.targets()).into_values() {
            running.bar.finish_and_clear();
        }
        // A terminal that is gone is no reason to stop.
        let _ = self.bars.clear();
    }

    fn targets(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the progress of `target` from now on, without a word.
    pub fn follow(&self, target: &str) {
        let bar = if self.terminal {
            self.bars.add(ProgressBar::new_spinner())
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style("{spinner} {prefix:24} {elapsed:>4} {wide_msg}"));
        bar.set_prefix(target.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.targets().insert(
            target.to_owned(),
            Running {
                bar,
                note: String::new(),
                said: Instant::now(),
                group: Vec::new(),
            },
        );
    }

    /// How far `target` is besides its bytes: beside its name, and in its next line where there are no bars.
    pub fn note(&self, target: &str, text: &str) {
        if let Some(running) = self.targets().get_mut(target) {
            running.bar.set_prefix(format!("{target} {text}"));
            running.note = format!("{text}, ");
        }
    }

    fn line(&self, target: &str, tone: Tone, text: &str) {
        if tone == Tone::Warning {
            self.warning(&format!("{target}: {text}"));
            return;
        }
        let mut targets = self.targets();
        let Some(running) = targets.get_mut(target) else {
            return;
        };
        if self.terminal && tone == Tone::Detail && self.verbose == 0 {
            running.bar.set_message(self.redact(text));
        } else if self.actions.is_some() {
            running.group.push(text.to_owned());
        } else {
            drop(targets);
            self.say(&format!("{target}: {text}"));
        }
    }

    fn progress(&self, target: &str, current: u64, total: u64) {
        let mut targets = self.targets();
        let Some(running) = targets.get_mut(target) else {
            return;
        };
        let bar = &running.bar;
        if total > 0 && bar.length() != Some(total) {
            bar.set_length(total);
            bar.set_style(style(
                "{spinner} {prefix:24} {elapsed:>4} {wide_bar} {decimal_bytes}/{decimal_total_bytes} \
                 {decimal_bytes_per_sec} {eta}",
            ));
        }
        bar.set_position(current);
        if !self.terminal && running.said.elapsed() > HEARTBEAT {
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
            let line = format!("{target}: {}{moved}", running.note);
            running.said = Instant::now();
            drop(targets);
            self.say(&line);
        }
    }

    fn finished(&self, row: &Row) {
        if row.status == Status::NotRun {
            // The reason has been told, and the summary tells it again.
            return;
        }
        let group = self
            .targets()
            .remove(&row.target)
            .map_or_else(Vec::new, |running| {
                running.bar.finish_and_clear();
                running.group
            });
        let note = if row.note.is_empty() {
            String::new()
        } else {
            format!(": {}", row.note)
        };
        let line = format!(
            "{}: {:?} in {:.1} s{note}",
            row.target,
            row.status,
            row.duration.as_secs_f64()
        );
        if self.actions.is_none() {
            self.say(&line);
            return;
        }
        let (title, rest) = line.split_once('\n').unwrap_or((&line, ""));
        if group.is_empty() && rest.is_empty() {
            self.say(title);
        } else {
            self.command("group", title);
            for line in group.iter().map(String::as_str).chain(rest.lines()) {
                self.say(line);
            }
            self.command("endgroup", "");
        }
        if row.status == Status::Failed {
            self.command(&format!("error title={}", row.target), &row.note);
        }
    }
}

impl Listener for Console {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Started { target } => {
                if !self.terminal {
                    self.say(&format!("{target}: started"));
                }
                self.follow(target);
            }
            Event::Line { target, tone, text } => self.line(target, tone, text),
            Event::Progress {
                target,
                current,
                total,
            } => self.progress(target, current, total),
            Event::Finished { row } => self.finished(row),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants")
}
