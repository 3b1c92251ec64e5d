//! The targets of a release: the only place that knows packages, engine, registries and GitHub together.
//!
//! [`targets`] is the whole graph on one screen; each action beside it obeys the [`ReleasePlan`], which is plain data
//! and is all that a dry run needs.

mod announce;
mod build;
mod fetch;
mod held;
mod known;
mod phases;
mod plan;
mod preflight;
mod push;
mod supply;
mod tags;
mod targets;
mod transport;
mod via_direct;
mod via_engine;
mod world;

pub use fetch::no_version;
pub use held::{Held, held, promote};
pub use plan::ReleasePlan;
pub use preflight::{Answer, ask, run as preflight};
pub use push::Published;
pub use targets::targets;
pub use transport::{GivenImage, Transport, Via};
pub use world::{TagsWhen, World};
