//! Images made from a build context and a Dockerfile that runs nothing, without an engine.
//!
//! A [`Dockerfile`] is evaluated to a [`Recipe`] for one platform, which is carried out on [`FileTree`]s and gives a
//! [`Plan`]; the layers of all plans are built together. This module does not know registries: whoever calls it brings
//! the files of base images, and takes the layers.

mod assemble;
mod base_entry;
mod base_layer;
mod build;
mod config;
mod content;
mod copy_step;
mod dockerfile;
mod error;
mod file_part;
mod key;
mod layout;
mod memory;
mod owner;
mod plan;
mod recipe;
pub mod remembered;
mod tar_header;
#[cfg(test)]
mod tests;
mod tree;
mod tree_file;
mod zip_entry;
mod zip_origin;

pub use assemble::{Release, StepLayer, base, config, manifest};
pub use base_layer::Contents;
pub use build::{BuiltLayer, build_layers};
pub use config::ConfigDocument;
pub use content::{FileContent, Source};
pub use dockerfile::{Dockerfile, DockerfileError, EngineReason};
pub use error::BuildError;
pub use layout::{Layout, LayoutWriter, remove_damaged};
pub use memory::{KnownLayer, LayerMemory};
pub use plan::{BaseImage, Inputs, Plan, PlannedLayer, plan};
pub use recipe::{
    Action, Base, BaseConfig, BuildArgs, Copy, Healthcheck, Origin, Owner, Recipe, Stage, Step,
};
pub use tree::{FileTree, Node, NodeKind};
pub use zip_entry::ZipEntry;
pub use zip_origin::{Origins, ZipOrigin};
