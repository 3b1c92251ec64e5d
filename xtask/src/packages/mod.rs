//! The product's packages: the index that lists them, verified downloads, and extraction into a build context.
//!
//! It refuses to know images, releases, settings and the terminal. Invariant: a file appears under its own name only
//! after every byte of it was verified, and a directory only after its whole archive was.

mod archive;
mod download;
mod error;
mod extract;
mod find;
mod get;
mod index;
mod inflater;
mod layout;
mod list;
mod package;
mod partial_file;
mod record;
mod source;
mod verify;

pub use archive::ZippedFile;
pub use download::download;
pub use error::Error;
pub use extract::{Extracted, extract};
pub use find::find;
pub use index::{Index, Version, fetch_index};
pub use list::{ListedEntry, ListedKind, list};
pub use package::Package;
pub use record::{digest, known};
pub use source::Source;
