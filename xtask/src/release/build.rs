//! The targets `extract` and `docker-build`: from packages on disk to an image for each platform in the engine.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;

use super::builder::{Builder, DOCKERFILE};
use super::clients::Clients;
use super::plan::{ReleasePlan, join};
use super::push::Pushes;
use super::run_state::RunState;
use super::{build_layers, download, load, origins, stage, zipped};
use crate::engine::{self, BuildLogins};
use crate::exit::bad_input;
use crate::graph::{self, TargetResult};
use crate::image::layers::Dockerfile;
use crate::packages;

/// Unpacks each platform's package into its `lib-<arch>/` of the build context; or if the layer builder is next
/// (`stays_zipped`), sees to it that it takes the files out of the package itself.
pub async fn extract(plan: &ReleasePlan, stays_zipped: bool) -> Result<TargetResult> {
    let unpacked = plan.platforms.iter().map(|platform| async move {
        let zip = download::package(plan, platform)?;
        let into = plan.lib(platform);
        let record = origins::path(plan, platform);
        let extracted = tokio::task::spawn_blocking(move || {
            if let Some(files) = origins::unchanged(&record, &zip, &into) {
                return Ok((files, false));
            }
            if stays_zipped {
                if into.symlink_metadata().is_ok() {
                    stage::remove(&into).with_context(|| format!("`{}`", into.display()))?;
                }
                return Ok((zipped::count(&zip)?, true));
            }
            let extracted = packages::extract(&zip, &into).map_err(download::fault)?;
            origins::save(&record, &zip, &into, &extracted)?;
            anyhow::Ok((extracted.files, true))
        });
        extracted.await?
    });
    let unpacked = try_join_all(unpacked).await?;
    let files: usize = unpacked.iter().map(|(files, _)| files).sum();
    let platforms = join(&plan.platforms);
    Ok(TargetResult::Done(
        match unpacked.iter().any(|(_, is_new)| *is_new) {
            true if stays_zipped => {
                format!("{files} files for {platforms}, left in their packages")
            }
            true => format!("{files} files for {platforms}"),
            false => format!("{files} files for {platforms} are already there"),
        },
    ))
}

/// Builds one image for each platform.
pub async fn build(
    docker: PathBuf,
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    state: &RunState,
    pushes: &Pushes<'_>,
    context: &graph::Context<'_>,
) -> Result<TargetResult> {
    let staged = plan.context.clone();
    let mut libs: Vec<PathBuf> = plan.platforms.iter().map(|it| plan.lib(it)).collect();
    if plan.transport.builder == Builder::Layers {
        // It finds the others in their zips.
        libs.retain(|lib| lib.is_dir());
    }
    let staged = tokio::task::spawn_blocking(move || stage::stage(&docker, &staged, &libs));
    for warning in staged.await?? {
        context.warn(&warning);
    }
    context.note(&plan.transport.made());
    let made = match plan.transport.builder {
        Builder::Layers => build_layers::build(plan, clients, state, pushes, context).await?,
        Builder::Engine => build_by_engine(plan, clients, context).await?,
    };
    if plan.transport.load {
        load::load(plan, clients).await?;
        context.note(&format!("the engine has `{}`", plan.image));
    }
    Ok(made)
}

async fn build_by_engine(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    context: &graph::Context<'_>,
) -> Result<TargetResult> {
    let engine = clients.engine().await?;
    let (logins, unsigned) = logins(plan, clients, context).await?;
    let mut built = Vec::new();
    for build in &plan.builds {
        let image = engine
            .build(build, &logins, &|line| context.detail(line))
            .await
            .map_err(|error| match error {
                engine::Error::Build { .. } => bad_input(with_remedy(error.to_string(), &unsigned)),
                error => error.into(),
            })?;
        context.note(&format!("{} is {}", build.tag, image));
        built.push(build.tag.as_str());
    }
    Ok(TargetResult::Done(built.join(", ")))
}

/// The engine's words, and who could sign in if a registry has refused it.
fn with_remedy(words: String, unsigned: &[String]) -> String {
    const REFUSALS: [&str; 5] = [
        "401",
        "unauthorized",
        "authorization failed",
        "no basic auth",
        "access denied",
    ];
    let lower = words.to_lowercase();
    match REFUSALS.iter().any(|refusal| lower.contains(refusal)) && !unsigned.is_empty() {
        true => format!("{words}\nhint: {}", unsigned.join("; ")),
        false => words,
    }
}

/// Who signs in to the registries that the Dockerfile names, and what would sign in to the others: there, the engine
/// asks as nobody.
async fn logins(
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    context: &graph::Context<'_>,
) -> Result<(BuildLogins, Vec<String>)> {
    let text = std::fs::read_to_string(plan.context.join("Dockerfile"))?;
    // Another program may read what follows that line; the images are named as always.
    let body = match text.split_once('\n') {
        Some((first, rest)) if first.contains("syntax") => rest,
        _ => &text,
    };
    let (mut logins, mut unsigned) = (BuildLogins::new(), Vec::new());
    let warn = |warning: &str| context.warn(warning);
    // What is wrong with it, the engine says.
    let Ok(dockerfile) = Dockerfile::parse(DOCKERFILE, body) else {
        return Ok((logins, unsigned));
    };
    let images = plan.builds.iter().flat_map(|build| {
        let bases = dockerfile.bases(&build.platform, &build.args);
        bases.unwrap_or_default()
    });
    for (image, _) in images {
        let name = &image.repository;
        if logins.contains_key(name.host()) {
            continue;
        }
        match clients.base_login(name, &warn).await? {
            Ok(login) => {
                logins.insert(name.host().to_owned(), login.credentials);
            }
            Err(no_login) => unsigned.push(no_login.remedy()),
        }
    }
    unsigned.dedup();
    Ok((logins, unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_who_could_sign_in() {
        let hint = ["`docker login a.io`".to_owned()];
        let refused = "pull access denied, repository does not exist".to_owned();
        assert!(with_remedy(refused.clone(), &hint).ends_with("\nhint: `docker login a.io`"));
        assert_eq!(with_remedy(refused.clone(), &[]), refused);
        assert_eq!(with_remedy("exit code: 1".into(), &hint), "exit code: 1");
    }
}
