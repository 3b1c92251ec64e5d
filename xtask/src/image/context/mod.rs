//! The build context: what is below a directory, without what `.dockerignore` excludes.
//!
//! This module lists files and reads none of them. It does not know what a build makes of them.

mod ignore;
mod walk;

pub use walk::{Context, ContextError, Entry, Kind};

/// The date of every file of a context in an image, in seconds since 1970: 1980-01-02.
///
/// One date for all, so that the same files are the same layer in every release. Not the epoch, as zip files know no
/// earlier date than 1980, in any time zone.
pub const DATE: u64 = 315_619_200;
