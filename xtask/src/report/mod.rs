//! All printing: to a terminal, a log, GitHub Actions and files.
//!
//! stdout is for data, stderr for people. Every text passes the [`Redactor`](crate::secret::Redactor) on its way out;
//! references, digests, numbers and the words of a schema stay as they are.

mod actions;
mod console;
mod file;
mod listener;
mod live;
mod log;
mod outcome;
mod schema;
mod table;

pub use console::{ActionsFiles, Console};
pub use file::{check_writable, is_same_file};
pub use log::show_logs;
pub use outcome::{Outcome, targets};
pub use schema::{
    Content, RegistryReport, RegistryStatus, ReleaseReport, Report, SyncReport, TagBefore,
    TargetReport, seconds,
};
pub use table::Table;
