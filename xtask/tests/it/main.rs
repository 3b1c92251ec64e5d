//! The tests that need servers or the engine: one binary, so that they are linked once.

mod bad_input;
mod engine;
mod extract;
mod github;
mod packages;
mod registry_client;
mod release;
mod registry_quirks;
mod support;
mod tidy;
