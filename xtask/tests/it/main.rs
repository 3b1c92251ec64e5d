//! The tests that need servers or the engine: one binary, so that they are linked once.

mod engine;
mod registry_client;
mod support;
mod tidy;
