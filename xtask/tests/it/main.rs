//! The tests that need servers: one binary, so that they are linked once.

mod engine;
mod support;
