//! What the tests share.

pub mod client;
pub mod distribution;
pub mod door;
pub mod faulty;
mod store;
