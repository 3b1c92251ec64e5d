//! Selector `cargo xtask sync` is asked for: the files of five forms, read and validated into one plain [`Request`].
//!
//! The forms are told apart by their content, never by their names: image-syncer's images (a mapping), its old config
//! (`auth` with `images` or `rules`), the transfer tool's `images.json` (entries with `source`, `target`,
//! `architectures`), our own (entries with `source` and `targets`), and the plain list (a name on each line). It
//! refuses to know networks: which tags a repository has is told to it ([`Rule::copies`]). Invariants: all problems of
//! all files are told together, each with its line and column, before anything is done; no message shows a password or
//! the text around one.

mod comments;
mod conflict;
mod default_registry;
mod document;
mod expand;
mod files;
mod formats;
mod image_pattern;
mod logins;
mod progress;
mod read;
mod reader;
mod registries;
mod report;
mod request;
mod resolve;
mod resolver;
mod run;
mod tags;

pub use conflict::conflicts;
pub use logins::{Login, Logins};
pub use read::{Inputs, read};
pub use request::{DestinationTags, ImageCopy, Request, Rule, RuleDestination};
pub use run::run;
pub use tags::{PatternError, Select, TagFilter};

#[cfg(test)]
mod tests;
