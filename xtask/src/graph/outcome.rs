//! How each target ended, and the exit code of the run.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit::{self, Exit};

/// How a target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Succeeded,
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
    /// The exit code of its failure.
    pub(super) failure: Option<Exit>,
    /// Dependents run even if the target fails.
    pub(super) proceeds: bool,
}

impl Row {
    pub(super) fn ended(target: &str, status: Status, duration: Duration, note: String) -> Self {
        Row {
            target: target.to_owned(),
            status,
            duration,
            note,
            failure: None,
            proceeds: false,
        }
    }

    pub(super) fn failed(target: &str, duration: Duration, error: &anyhow::Error) -> Self {
        let row = Row::ended(target, Status::Failed, duration, exit::sentence(error));
        Row {
            failure: Some(exit::code(error)),
            ..row
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
        let failures: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| row.status == Status::Failed)
            .collect();
        if failures.is_empty() {
            return Exit::Done;
        }
        let alone = failures.iter().all(|row| row.proceeds);
        if alone
            && self
                .rows
                .iter()
                .any(|row| row.proceeds && row.status == Status::Succeeded)
        {
            return Exit::Partial;
        }
        if failures.iter().all(|row| row.failure == Some(Exit::Usage)) {
            Exit::Usage
        } else {
            Exit::Failed
        }
    }
}
