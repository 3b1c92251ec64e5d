//! One file for each subcommand: settings, pipeline and report, wired together.

mod check;
mod interrupt;
mod promote;
mod release;
mod sync;
mod verify;

pub use check::check;
pub use promote::promote;
pub use release::release;
pub use sync::sync;
pub use verify::verify;
