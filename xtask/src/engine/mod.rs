//! The container engine behind our own verbs: connect, build, inspect, tag, load, push, export.
//!
//! Only this room names bollard, and works around its bugs and those of the engines 20.10 to 29. It does not know
//! versions, settings, or what is released; it never prints, and never retries: the caller decides that, by
//! [`Error::is_transient`].
//!
//! Dropping the future of a verb cancels it: the connection closes, and the engine stops the build or push.

mod build;
mod build_log;
mod build_login;
mod connect;
mod context;
mod error;
mod export;
mod image;
mod load;
mod progress;
mod push;
mod session;
mod stream;
mod tar_stream;

pub use build::BuildPlan;
pub use build_login::BuildLogins;
pub use connect::Engine;
pub use error::Error;
pub use progress::Progress;
pub use push::Pushed;
