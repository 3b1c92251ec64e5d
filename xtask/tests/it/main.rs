//! The tests that need servers or the engine: one binary, so that they are linked once.

mod bad_input;
mod copy_again;
mod copy_kinds;
mod copy_limits;
mod copy_one_read;
mod copy_policy;
mod copy_retries;
mod engine;
mod extract;
mod github;
mod packages;
mod promote;
mod registry_auth;
mod registry_blobs;
mod registry_client;
mod registry_faults;
mod release;
mod support;
mod sync_failures;
mod sync_input;
mod sync_options;
mod sync_output;
mod sync_reads;
mod sync_seeds;
mod sync_workflow;
mod tidy;
