//! The build context: what is below a directory, without what `.dockerignore` excludes.
//!
//! This module lists files and reads none of them. It does not know what a build makes of them.

mod ignore;
mod walk;

pub use walk::{Context, ContextError, Entry, Kind};
