//! The container engine behind our own verbs: connect, build, inspect, tag, push, export, take apart.
//!
//! The only place that names bollard, and with it the place for its faults and for those of the engines 20.10 to 29.
//! It refuses to know versions, registries' settings and what is to be released; it never prints or reads settings,
//! and it never tries twice: whoever calls decides that, by [`Error::is_transient`].
//!
//! Every verb is a future, and dropping it is how one cancels: the connection closes, and the engine gives up the
//! build or push that was running on it.

mod address;
mod answer;
mod build;
mod build_log;
mod capture_registry;
mod connect;
mod context;
mod error;
mod export;
mod ignore;
mod image;
mod partial_image;
mod progress;
mod push;
mod session;
mod upload;

pub use build::BuildPlan;
pub use connect::Engine;
pub use error::Error;
pub use image::{Image, ImageId};
pub use progress::Progress;
pub use push::{Credentials, Pushed};
