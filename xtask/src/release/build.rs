//! The targets `extract` and `docker-build`: from packages on disk to an image for each platform in the engine.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;

use super::builder::Builder;
use super::clients::Clients;
use super::plan::{ReleasePlan, join};
use super::{build_layers, download, origins};
use crate::engine::{self, BuildLogins};
use crate::exit::bad_input;
use crate::graph::{self, TargetResult};
use crate::image::layers::Dockerfile;
use crate::packages;

/// Unpacks each platform's package into its `lib-<arch>/` of the build context.
pub async fn extract(plan: &ReleasePlan) -> Result<TargetResult> {
    let unpacked = plan.platforms.iter().map(|platform| async move {
        let zip = download::package(plan, platform)?;
        let into = plan.lib(platform);
        let record = origins::path(plan, platform);
        let extracted = tokio::task::spawn_blocking(move || {
            let extracted = packages::extract(&zip, &into).map_err(download::fault)?;
            origins::save(&record, &zip, &into, &extracted.deflated)?;
            anyhow::Ok(extracted)
        });
        extracted.await?
    });
    let unpacked = try_join_all(unpacked).await?;
    let files: usize = unpacked.iter().map(|it| it.files).sum();
    Ok(TargetResult::Done(format!(
        "{files} files for {}",
        join(&plan.platforms)
    )))
}

/// Builds one image for each platform.
pub async fn build(
    docker: PathBuf,
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    context: &graph::Context<'_>,
) -> Result<TargetResult> {
    let staged = plan.context.clone();
    let libs: Vec<PathBuf> = plan.platforms.iter().map(|it| plan.lib(it)).collect();
    tokio::task::spawn_blocking(move || stage(&docker, &staged, &libs)).await??;
    context.note(&plan.transport.made());
    if plan.transport.builder == Builder::Layers {
        return build_layers::build(plan, clients, context).await;
    }
    let engine = clients.engine().await?;
    let logins = logins(plan, clients, context).await?;
    let mut built = Vec::new();
    for build in &plan.builds {
        let image = engine
            .build(build, &logins, &|line| context.detail(line))
            .await
            .map_err(|error| match error {
                engine::Error::Build { .. } => bad_input(error),
                error => error.into(),
            })?;
        context.note(&format!("{} is {}", build.tag, image));
        built.push(build.tag.as_str());
    }
    Ok(TargetResult::Done(built.join(", ")))
}

/// Who signs in to the registries that the Dockerfile names. Where there is no login, the engine asks as nobody.
async fn logins(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    context: &graph::Context<'_>,
) -> Result<BuildLogins> {
    let text = std::fs::read_to_string(plan.context.join("Dockerfile"))?;
    // Another program may read what follows that line; the images are named as always.
    let body = match text.split_once('\n') {
        Some((first, rest)) if first.contains("syntax") => rest,
        _ => &text,
    };
    let mut logins = BuildLogins::new();
    // What is wrong with it, the engine says.
    let Ok(dockerfile) = Dockerfile::parse("docker/Dockerfile", body) else {
        return Ok(logins);
    };
    let images = plan.builds.iter().flat_map(|build| {
        let bases = dockerfile.bases(&build.platform, &build.args);
        bases.unwrap_or_default()
    });
    for (image, _) in images {
        let name = &image.repository;
        if !logins.contains_key(name.host())
            && let Ok(login) = clients.base_login(name, context).await?
        {
            logins.insert(name.host().to_owned(), login.credentials);
        }
    }
    Ok(logins)
}

/// macOS leaves this file in folders that were opened; in an image it would change the digest.
const FINDER: &str = ".DS_Store";

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
        if entry.file_name() == FINDER {
            continue;
        }
        let to = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            std::fs::create_dir_all(&to)?;
            copy(&entry.path(), &to)?;
        } else if kind.is_symlink() {
            // Links are copied as links, as in a build of `docker/` itself.
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_holds_the_docker_directory_with_its_links_and_the_libs_and_no_more() {
        let root = tempfile::tempdir().unwrap();
        let (docker, context) = (root.path().join("docker"), root.path().join("context"));
        let lib = context.join("lib-amd64");
        std::fs::create_dir_all(&lib).unwrap();
        std::fs::create_dir_all(docker.join("more")).unwrap();
        std::fs::write(docker.join("Dockerfile"), "").unwrap();
        std::fs::write(docker.join(FINDER), "").unwrap();
        std::fs::write(docker.join("more").join(FINDER), "").unwrap();
        std::os::unix::fs::symlink("more", docker.join("link")).unwrap();
        std::os::unix::fs::symlink("/nowhere", docker.join("lost")).unwrap();
        std::fs::write(context.join("left over"), "").unwrap();
        // Twice: existing files do not stop it.
        for _ in 0..2 {
            stage(&docker, &context, std::slice::from_ref(&lib)).unwrap();
        }
        let mut names: Vec<_> = context
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["Dockerfile", "lib-amd64", "link", "lost", "more"]);
        assert_eq!(context.join("more").read_dir().unwrap().count(), 0);
        let target = std::fs::read_link(context.join("link")).unwrap();
        assert_eq!(target, Path::new("more"));
    }
}
