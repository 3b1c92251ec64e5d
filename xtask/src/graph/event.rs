//! The events of a running graph, its only output while it runs.

use super::outcome::Row;

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A line of a tool that the target runs, such as a build log.
    Detail,
    /// Something done.
    Note,
    /// Something the reader should know, though the target goes on.
    Warning,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    Started {
        target: &'e str,
    },
    Line {
        target: &'e str,
        level: Level,
        text: &'e str,
    },
    /// `current` of `total` bytes; a `total` of 0 is not known yet.
    Progress {
        target: &'e str,
        current: u64,
        total: u64,
    },
    Finished {
        row: &'e Row,
    },
}

/// Receives every [`Event`], from any thread.
pub trait Listener: Send + Sync {
    fn on_event(&self, event: Event<'_>);
}
