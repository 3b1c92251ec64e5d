//! GitHub releases over the REST API, on github.com and GitHub Enterprise Server.
//!
//! It refuses to know what is released, settings and the terminal. Invariant: a new release is a draft until each of
//! its assets is there and complete; its publication is the last request.

mod client;
mod error;
mod plan;
mod publish;
mod release;
mod response;
mod retry;
mod upload;

pub use client::Github;
pub use error::Error;
pub use plan::{Asset, Event, Plan, Published};
