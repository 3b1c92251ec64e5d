//! How each target ended, and the exit code of the run.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// How a target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Succeeded,
    /// A group, of which something failed and the rest was done.
    Partial,
    Failed,
    Skipped,
    /// A dependency failed or was stopped.
    NotRun,
    /// Stopped while running.
    Aborted,
}

/// As everywhere: in tables, lines and reports.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One target of a [`Summary`].
#[derive(Debug)]
pub struct Row {
    pub target: String,
    pub status: Status,
    pub duration: Duration,
    /// What it did, or why it did not.
    pub note: String,
    /// Of a group: what of it failed, as the note names it.
    pub(super) lacks: Vec<String>,
    /// The exit code of its failure.
    pub(super) failure: Option<Exit>,
    /// Dependents run even if the target fails.
    pub(super) proceeds: bool,
}

impl Row {
    /// Of a target that did nothing.
    pub(super) fn idle(target: &str, status: Status, note: &str) -> Self {
        Row {
            target: target.to_owned(),
            status,
            duration: Duration::ZERO,
            note: note.to_owned(),
            lacks: Vec::new(),
            failure: None,
            proceeds: false,
        }
    }
}

/// Every scheduled target, in the order of the plan.
#[derive(Debug)]
pub struct Summary {
    pub rows: Vec<Row>,
    pub interrupted: bool,
}

impl Summary {
    /// The exit code of the run.
    ///
    /// [`Exit::Partial`] if only targets failed that proceed after failure, and another one of them succeeded; a single
    /// push target that fails is a plain failure.
    pub fn exit(&self) -> Exit {
        if self.interrupted {
            return Exit::Interrupted;
        }
        let with = |status| self.rows.iter().filter(move |row| row.status == status);
        let every = |is: fn(&Row) -> bool| with(Status::Failed).all(is);
        if with(Status::Failed).next().is_none() {
            Exit::Done
        } else if every(|row| row.proceeds) && with(Status::Succeeded).any(|row| row.proceeds) {
            Exit::Partial
        } else if every(|row| row.failure == Some(Exit::Usage)) {
            Exit::Usage
        } else {
            Exit::Failed
        }
    }
}
