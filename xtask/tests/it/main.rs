//! The tests that need servers: one binary, so that they are linked once.

mod registry_client;
mod registry_quirks;
mod support;
