//! The targets of a release: the only place that knows packages, engine, registries and GitHub together.
//!
//! [`mod@targets`] is the whole graph on one screen; each action beside it obeys the [`ReleasePlan`], which is plain data
//! and is all that a dry run needs.

mod build;
mod check;
mod digests;
mod download;
mod github_release;
mod held;
mod image_source;
mod lock;
mod plan;
mod preflight;
mod promote;
mod push;
mod push_direct;
mod push_engine;
mod report;
mod reuse;
mod run;
mod tag_gate;
mod tags;
mod targets;
mod transport;
mod verify;
mod world;

pub use check::check;
pub use plan::ReleasePlan;
pub use promote::promote;
pub use push::Published;
pub use run::run;
pub use targets::targets;
pub use transport::{GivenImage, Transport, Via};
pub use verify::verify;
pub use world::{TagsWhen, World};
