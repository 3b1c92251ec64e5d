//! One file for each subcommand: settings, pipeline and report, wired together.

mod check;
mod release;

pub use check::check;
pub use release::release;
