//! All printing: to a terminal, a log, GitHub Actions and files.
//!
//! stdout is for data, stderr for people. Every text becomes a `Shown` (`shown.rs`) on its way out, which masks
//! secrets, controls no terminal and is bounded; references, digests, numbers and the words of a schema stay as they
//! are.

mod actions;
mod console;
mod file;
mod heartbeat;
mod listener;
mod live;
mod log;
mod outcome;
mod read;
mod schema;
mod shown;
mod table;

pub use console::{ActionsFiles, Console, Screen};
pub use file::{check_writable, is_same_file};
pub use heartbeat::start_heartbeat;
pub use log::show_logs;
pub use outcome::{Outcome, targets};
pub use schema::{
    Content, RegistryReport, RegistryStatus, ReleaseReport, Report, ShardReport, SyncReport,
    TagBefore, TargetReport, seconds,
};
pub use table::Table;
