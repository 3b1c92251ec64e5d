//! The tests that need servers: one binary, so that they are linked once.

mod registry_auth;
mod registry_blobs;
mod registry_client;
mod registry_faults;
mod support;
