//! The events of a running graph on the console.

use super::console::Console;
use crate::graph::{Event, Level, Listener, Row, Status};

impl Listener for Console {
    fn on_event(&self, event: Event<'_>) {
        match event {
            Event::Started { target } => {
                if !self.live.is_terminal {
                    self.info(&format!("{target}: started"));
                }
                self.follow(target);
            }
            Event::Line {
                target,
                level,
                text,
            } => self.line(target, level, text),
            Event::Progress {
                target,
                current,
                total,
            } => {
                if let Some(line) = self.live.progress(target, current, total) {
                    self.info(&line);
                }
            }
            Event::Finished { row } => self.finished(row),
        }
    }
}

impl Console {
    /// Shows the progress of `target` from now on, without a line.
    pub fn follow(&self, target: &str) {
        self.live.follow(target);
    }

    /// Shows the progress of `target` apart from bytes: beside its name, and in its next line where there are no bars.
    pub fn note(&self, target: &str, text: &str) {
        self.live.note(target, text);
    }

    fn line(&self, target: &str, level: Level, text: &str) {
        if level == Level::Warning {
            self.warning(&format!("{target}: {text}"));
        } else if !self.live.is_running(target) {
            // Stopped: its last lines are of no use.
        } else if self.live.is_terminal && level == Level::Detail && self.verbose == 0 {
            self.live.message(target, self.redact(text));
        } else if self.actions.is_some() {
            self.live.add_to_group(target, text);
        } else {
            self.info(&format!("{target}: {text}"));
        }
    }

    fn finished(&self, row: &Row) {
        if row.status == Status::NotRun {
            // The failure that caused it is printed already, and the summary names it again.
            return;
        }
        let group = self.live.end(&row.target);
        let note = match &*row.note {
            "" => String::new(),
            note => format!(": {note}"),
        };
        let (target, status) = (&row.target, row.status);
        let seconds = row.duration.as_secs_f64();
        let line = format!("{target}: {status} in {seconds:.1} s{note}");
        if self.actions.is_none() {
            self.info(&line);
            return;
        }
        let (title, rest) = line.split_once('\n').unwrap_or((&line, ""));
        if group.is_empty() && rest.is_empty() {
            self.info(title);
        } else {
            self.command("group", title);
            for line in group.iter().map(String::as_str).chain(rest.lines()) {
                self.info(line);
            }
            self.command("endgroup", "");
        }
        if row.status == Status::Failed {
            self.command(&format!("error title={target}"), &row.note);
        }
    }
}
