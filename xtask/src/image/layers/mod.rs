//! Images made from a build context and a Dockerfile that runs nothing, without an engine.

mod dockerfile;
mod recipe;

pub use dockerfile::{Dockerfile, DockerfileError, EngineReason};
pub use recipe::{
    Action, Base, BaseConfig, BuildArgs, Copy, Healthcheck, Origin, Owner, Recipe, Stage, Step,
};
