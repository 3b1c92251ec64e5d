//! One file for each subcommand: settings, pipeline and report, wired together.

mod check;
mod interrupt;
mod release;
mod sync;

pub use check::check;
pub use release::release;
pub use sync::sync;
