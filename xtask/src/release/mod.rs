//! A release: the only place that knows packages, engine, registries and GitHub together.
//!
//! [`targets`] is the whole graph on one screen; each action beside it obeys the plan, which is plain data and is all
//! that a dry run needs.

mod base_blob;
mod base_check;
mod base_found;
mod base_image;
mod base_memory;
mod build;
mod build_layers;
mod builder;
mod check;
mod clients;
mod digests;
mod download;
mod github_release;
mod held_version;
mod image_source;
mod load;
mod lock;
mod logins;
mod move_tags;
mod moving_tags;
mod origins;
mod plan;
mod preflight;
mod promote;
mod promote_report;
mod promote_wishes;
mod push;
mod push_access;
mod push_direct;
mod push_engine;
mod recipe_check;
mod registry_state;
mod report;
mod reuse;
mod run;
mod run_state;
mod stage;
mod tag_gate;
mod tagging;
mod tags;
mod targets;
mod transport;
mod verify;
pub(crate) mod zipped;

pub use check::check;
pub use promote::promote;
pub use run::run;
pub use verify::verify;
