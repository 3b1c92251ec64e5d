//! The tests against a real engine, real registries and others' clients; `xtask/tests/setup` provides them.

mod archive;
mod bad_input;
mod chaos;
mod copy_kinds;
mod copy_large;
mod copy_local;
mod engine;
mod engine_build;
mod equal;
mod fake_registry;
mod layers;
mod peers;
mod promote;
mod registry_client;
mod release;
mod release_again;
mod release_direct;
mod release_engine;
mod release_image;
mod release_image_bad;
mod release_layers;
mod report_examples;
mod servers;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each of the two test binaries uses a part")]
mod support;
mod swarm;
mod sync_copy;
mod sync_filters;
mod sync_projects;
mod sync_seeds;
mod sync_workflow;
