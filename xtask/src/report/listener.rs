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

    /// Shows nothing of `target` any more, without a line.
    pub fn unfollow(&self, target: &str) {
        self.live.end(target);
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
            self.live.message(target, self.shown(text).into_string());
        } else {
            self.live.touch(target);
            match self.actions {
                Some(_) => self.info_in(Some(target), text),
                None => self.info(&format!("{target}: {text}")),
            }
        }
    }

    fn finished(&self, row: &Row) {
        if row.status == Status::NotRun {
            // The failure that caused it is printed already, and the summary names it again.
            return;
        }
        self.live.end(&row.target);
        let note = match &*row.note {
            "" => String::new(),
            note => format!(": {note}"),
        };
        let (target, status) = (&row.target, row.status);
        let seconds = row.duration.as_secs_f64();
        self.info(&format!("{target}: {status} in {seconds:.1} s{note}"));
        if self.actions.is_none() {
            return;
        }
        if row.status == Status::Failed {
            self.command(&format!("error title={target}"), &row.note);
        }
    }
}
