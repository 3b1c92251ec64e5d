//! What a running graph tells the outside: the only way out of it while it runs.

use super::outcome::Row;

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A line of a tool that the target runs (a build log).
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
        tone: Tone,
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

/// Hears every [`Event`], from any thread.
pub trait Listener: Send + Sync {
    fn event(&self, event: Event<'_>);
}
