//! Which tags of a repository are meant: patterns, and filters made of them.

mod age;
mod constraint;
mod filter;
mod go_regex;
mod newer;
pub(super) mod pattern;

pub(super) use age::newest_first;
pub use filter::{Select, TagFilter};
pub(super) use newer::Dates;
pub use pattern::PatternError;
