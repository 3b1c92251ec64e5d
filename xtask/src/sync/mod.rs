//! Repositories kept equal between registries: the whole of `cargo xtask sync`, and `copy` and `tags`,
//! which do the same for what the command line names.
//!
//! Files in any of seven formats ([`formats`]) become one plain [`Request`]; the registries it names are probed
//! ([`probe`]); its rules become jobs once the sources have listed their tags ([`resolve`]); [`crate::copy`] does
//! the work, and [`report`] says what came of it. Reading is apart from the network: all problems of all files are
//! reported together, each with its line and column, before anything is asked of a registry. No message shows a
//! password or the text around one.

mod auth_file;
mod catalog;
mod command_line;
mod comments;
mod conflict;
mod created;
mod default_registry;
mod document;
mod expand;
mod files;
mod formats;
mod go_template;
mod image_pattern;
mod list_tags;
mod local;
mod merge;
mod os_and_arch;
mod probe;
mod progress;
mod project;
mod read;
mod reader;
mod report;
mod request;
mod resolve;
mod rule;
mod run;
mod shard;
mod tags;
mod template;
mod waiting;

pub use command_line::Named;
pub use formats::printed;
pub use list_tags::list_tags;
pub use merge::merge;
pub use project::{Project, RepositoryPattern};
pub use read::{Inputs, read};
pub use request::{LocalImage, Request, WrongRule};
pub use rule::{DestinationTags, ImageCopy, Rule, RuleDestination};
pub use run::{copy, keeps_report, run};
pub use tags::{PatternError, Select, TagFilter};

#[cfg(test)]
mod tests;
