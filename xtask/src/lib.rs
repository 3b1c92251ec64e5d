//! Releases one container image to many registries.

pub mod engine;
pub mod exit;
pub mod github;
pub mod graph;
pub mod packages;
pub mod registry;
pub mod secret;
