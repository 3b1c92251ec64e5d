//! All printing: to a terminal, a log, GitHub Actions and files.
//!
//! stdout is for data, stderr for people. Every text passes the [`Redactor`](crate::secret::Redactor) on its way out.

mod actions;
mod console;
mod listener;
mod live;
mod log;
mod outcome;
mod table;

pub use console::Console;
pub use outcome::{Outcome, targets};
pub use table::Table;
