//! What the tests share.

pub mod distribution;
