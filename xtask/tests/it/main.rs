//! The tests that need servers or the engine: one binary, so that they are linked once.

mod archive;
mod bad_input;
mod engine;
mod extract;
mod github;
mod packages;
mod registry_auth;
mod registry_blobs;
mod registry_client;
mod registry_faults;
mod release;
mod support;
mod tidy;
