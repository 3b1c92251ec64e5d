//! All printing. Listens to what happens, and tells it to a terminal, to a log, to GitHub Actions and to a file.
//!
//! stdout is for data, stderr for people. Every text passes the [`Redactor`](crate::secret::Redactor) on its way out.

mod actions;
mod console;
mod live;
mod log;
mod outcome;
mod table;

pub use console::Console;
pub use outcome::{Outcome, targets};
pub use table::Table;
