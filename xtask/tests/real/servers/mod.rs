//! What a real release and a real sync work between: engines, registries, and images made by others' tools.

pub mod distribution;
pub mod engine_image;
pub mod release_fixture;
pub mod skopeo;
pub mod tool_image;
