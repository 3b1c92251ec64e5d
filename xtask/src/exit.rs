//! The documented exit codes, and the one error type that chooses between them.

use std::fmt;

/// How a run ended, as the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// Something asked for was not done.
    Failed = 1,
    /// The command line, a setting or an input is at fault; a person has to change it.
    Usage = 2,
    /// At least one registry failed; the rest of the request was completed.
    Partial = 3,
    /// Ctrl-C or SIGTERM.
    Interrupted = 130,
}

/// An error that the user's input or configuration caused: [`Exit::Usage`].
///
/// Everything else in an [`anyhow::Error`] is [`Exit::Failed`].
#[derive(Debug)]
pub struct BadInput(pub String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// A [`BadInput`] as an [`anyhow::Error`].
pub fn bad_input(sentence: impl fmt::Display) -> anyhow::Error {
    BadInput(sentence.to_string()).into()
}

/// The exit code that an error stands for.
pub fn code(error: &anyhow::Error) -> Exit {
    if error.downcast_ref::<BadInput>().is_some() {
        Exit::Usage
    } else {
        Exit::Failed
    }
}
