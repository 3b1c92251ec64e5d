//! Extract and DockerBuild: from packages on disk to one image for each platform in the engine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;

use super::fetch;
use super::plan::join;
use super::world::World;
use crate::engine;
use crate::exit::bad_input;
use crate::graph::{self, Ended};
use crate::packages;

/// Unpacks each platform's package into its `lib-<arch>/` of the build context.
pub async fn extract(world: &World<'_>) -> Result<Ended> {
    let unpacked = world.plan.platforms.iter().map(|platform| async move {
        let zip = fetch::package(world.plan, platform)?;
        let into = world.plan.lib(platform);
        let extracted = tokio::task::spawn_blocking(move || packages::extract(&zip, &into)).await?;
        extracted.map_err(fetch::fault)
    });
    let unpacked = try_join_all(unpacked).await?;
    let files: usize = unpacked.iter().map(|it| it.files).sum();
    Ok(Ended::Done(format!(
        "{files} files for {}",
        join(&world.plan.platforms)
    )))
}

/// Builds one image for each platform.
pub async fn build(world: &World<'_>, context: &graph::Context<'_>) -> Result<Ended> {
    let docker = world.settings.root.join("docker");
    let (staged, libs) = (world.plan.context.clone(), libs(world));
    tokio::task::spawn_blocking(move || stage(&docker, &staged, &libs)).await??;
    let engine = world.engine().await?;
    let mut built = Vec::new();
    for plan in &world.plan.builds {
        let image = engine
            .build(plan, &|line| context.detail(line))
            .await
            .map_err(|error| match error {
                engine::Error::Build { .. } => bad_input(error),
                error => error.into(),
            })?;
        context.note(&format!("{} is {}", plan.tag, image));
        built.push(plan.tag.as_str());
    }
    Ok(Ended::Done(built.join(", ")))
}

fn libs(world: &World<'_>) -> Vec<PathBuf> {
    world
        .plan
        .platforms
        .iter()
        .map(|platform| world.plan.lib(platform))
        .collect()
}

/// Makes the context hold `docker/` and `libs`, and nothing else.
fn stage(docker: &Path, context: &Path, libs: &[PathBuf]) -> Result<()> {
    if let Some(missing) = libs.iter().find(|lib| !lib.is_dir()) {
        return Err(bad_input(format!(
            "`{}` is not there\nhint: run `cargo xtask extract`",
            missing.display()
        )));
    }
    if !docker.join("Dockerfile").is_file() {
        return Err(bad_input(format!(
            "there is no `{}`",
            docker.join("Dockerfile").display()
        )));
    }
    for entry in context.read_dir()? {
        let path = entry?.path();
        if !libs.contains(&path) {
            remove(&path).with_context(|| format!("`{}` cannot be removed", path.display()))?;
        }
    }
    copy(docker, context).with_context(|| format!("`{}` cannot be copied", docker.display()))
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in from.read_dir()? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.metadata()?.is_dir() {
            std::fs::create_dir_all(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
