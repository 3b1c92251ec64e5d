//! What the tests share.

pub mod distribution;
pub mod faulty;
mod store;
