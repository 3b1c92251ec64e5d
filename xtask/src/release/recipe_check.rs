//! What is wrong with the Dockerfile of the layer builder, found before anything is downloaded; and what is found
//! later, in words that name the file.

use std::io;
use std::path::Path;

use anyhow::Result;

use super::builder::{self, DOCKERFILE};
use super::plan::ReleasePlan;
use crate::exit::bad_input;
use crate::image::layers::{Action, BuildError, Origin, Recipe};
use crate::settings::ReleaseSettings;

/// What is wrong with the Dockerfile of the layer builder, whatever its base images are; returns what probably is.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput).
pub fn check(plan: &ReleasePlan, settings: &ReleaseSettings) -> Result<Vec<String>> {
    let dockerfile = builder::read(&settings.root)?;
    for build in &plan.builds {
        let recipe = dockerfile.recipe_without_bases(&build.platform, &build.args);
        if let Some(recipe) = recipe.map_err(bad_input)? {
            check_files(plan, settings, &recipe)?;
        }
    }
    Ok(dockerfile.warnings())
}

/// Refuses a recipe that copies what the build context will not have, as far as that can be told without packages.
pub fn check_files(plan: &ReleasePlan, settings: &ReleaseSettings, recipe: &Recipe) -> Result<()> {
    let docker = settings.root.join("docker");
    let steps = recipe.stages.iter().flat_map(|stage| &stage.steps);
    for step in steps {
        let Action::Copy(copy) = &step.action else {
            continue;
        };
        if copy.from != Origin::Context {
            continue;
        }
        for source in &copy.sources {
            let first = source.split('/').next().unwrap_or_default();
            let mut libs = plan.platforms.iter().map(|it| plan.lib(it));
            let is_package = libs.any(|lib| lib.file_name().is_some_and(|name| name == first));
            if !is_package && is_absent(&docker, source) {
                let (line, reason) = (step.line, copy.absent(source));
                return Err(fault(BuildError::Step { line, reason }));
            }
        }
    }
    Ok(())
}

/// Whether there certainly is no `source`: patterns and links may lead to something.
fn is_absent(docker: &Path, source: &str) -> bool {
    let mut path = docker.to_owned();
    for name in source.split('/') {
        if name.contains(['*', '?', '[', '\\']) {
            return false;
        }
        path.push(name);
        match path.symlink_metadata() {
            Ok(found) if !found.is_symlink() => {}
            Err(error) => return error.kind() == io::ErrorKind::NotFound,
            Ok(_) => return false,
        }
    }
    false
}

/// An error of the layer builder, with the file that a line is in.
pub fn fault(error: BuildError) -> anyhow::Error {
    match error {
        BuildError::Step { line, reason } => {
            let context = match reason.starts_with("the build context has no ") {
                true => {
                    "\nthe build context is `docker/` and a `lib-<arch>/` for each platform, staged in \
                     `output/docker-build-context`"
                }
                false => "",
            };
            bad_input(format!("`{DOCKERFILE}`, line {line}: {reason}{context}"))
        }
        error => bad_input(error),
    }
}
