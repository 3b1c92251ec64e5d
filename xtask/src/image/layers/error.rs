//! What can go wrong when layers are made.

use std::io;
use std::path::PathBuf;

use crate::image;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An instruction that cannot be done.
    #[error("line {line}: {reason}")]
    Step { line: usize, reason: String },

    /// A file that an image should hold.
    #[error("cannot read `{name}`: {error}")]
    Read { name: String, error: io::Error },

    #[error(
        "`{name}` is damaged in `{}`: {reason}; hint: remove the package, so that it is downloaded again; if that does not help, it has to be made anew", .zip.display()
    )]
    Zip {
        zip: PathBuf,
        name: String,
        reason: String,
    },

    #[error("cannot read a layer of the base image: {0}")]
    BaseLayer(io::Error),

    #[error(transparent)]
    Layer(#[from] image::Error),
}

/// Why one instruction cannot be done, without its line.
#[derive(Debug)]
pub(super) enum StepError {
    /// To be read after "line 7: ".
    Instruction(String),
    Read {
        name: String,
        error: io::Error,
    },
}

impl StepError {
    pub fn at(self, line: usize) -> BuildError {
        match self {
            StepError::Instruction(reason) => BuildError::Step { line, reason },
            StepError::Read { name, error } => BuildError::Read { name, error },
        }
    }
}

impl From<String> for StepError {
    fn from(reason: String) -> StepError {
        StepError::Instruction(reason)
    }
}
