//! Everything read from outside.
//!
//! Order: command line, environment, `.env`, `[workspace.metadata.release]`, built-in default. No other module reads
//! the environment. What every command needs is read at the start ([`Settings`]); the rest by the command that needs
//! it, which hears all problems together before anything is done.

mod engine;
mod env;
mod known;
mod metadata;
mod registries;
mod release;
mod version;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub use engine::EngineAddress;
pub use env::Environment;
pub use metadata::Require;
pub use registries::RegistrySettings;
pub use release::{GithubSettings, ReleaseSettings};
pub use version::{Commit, Release};

use crate::credentials::Resolver;
use crate::exit::{bad_input, no_problems};
use metadata::RegistriesMetadata;

/// The settings of every command, and the way to those of a release.
#[derive(Debug)]
pub struct Settings {
    /// The variables themselves, for files that refer to them.
    pub environment: Environment,
    /// GitHub Actions, when the program runs there.
    pub actions: Option<Actions>,
    /// Where the program was started.
    directory: PathBuf,
    /// The directory of the `Cargo.toml` with the facts of a release, if there is one.
    workspace: Option<PathBuf>,
    /// Why the `.env` of a directory that is no workspace of a release is not used: it is for somebody else then.
    pub foreign_dotenv: Option<String>,
}

/// The files through which a step of GitHub Actions speaks.
#[derive(Debug)]
pub struct Actions {
    pub summary: Option<PathBuf>,
    pub output: Option<PathBuf>,
}

impl Settings {
    /// Completes the environment by `.env`, from the workspace of the release, else from `directory`.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): the workspace's `.env` is not readable.
    pub fn load(environment: Environment, directory: &Path) -> Result<Self> {
        let workspace = workspace(directory, &environment);
        let dotenv = workspace.as_deref().unwrap_or(directory).join(".env");
        let is_special = std::fs::metadata(&dotenv).is_ok_and(|it| !it.is_file());
        let (environment, foreign_dotenv) = match workspace {
            Some(_) => (environment.with_dotenv(&dotenv)?, None),
            None if is_special => (
                environment,
                Some(format!("`{}` is no regular file", dotenv.display())),
            ),
            None => match environment.clone().with_dotenv(&dotenv) {
                Ok(environment) => (environment, None),
                Err(problem) => (environment, Some(problem.to_string())),
            },
        };
        Ok(Settings {
            actions: environment.is_actions().then(|| Actions {
                summary: environment.get("GITHUB_STEP_SUMMARY").map(PathBuf::from),
                output: environment.get("GITHUB_OUTPUT").map(PathBuf::from),
            }),
            directory: directory.to_owned(),
            workspace,
            environment,
            foreign_dotenv,
        })
    }

    /// What `.env` says by names that are nearly those of variables, and that are not read all the same.
    pub fn misspelled(&self, is_read: impl Fn(&str) -> bool) -> Vec<String> {
        let facts = self.workspace.as_deref().map(metadata::read);
        let facts: RegistriesMetadata = facts.and_then(Result::ok).unwrap_or_default();
        let tables = facts.registries.values();
        let prefixes: Vec<String> = tables.map(|it| it.prefix.clone()).collect();
        let names = self.environment.dotenv().iter().filter(|it| !is_read(it));
        let misspelled = known::misspelled(names, &prefixes);
        let warnings = misspelled.into_iter().map(|(name, meant)| {
            format!("`.env`: nothing reads `{name}`\nhint: did you mean `{meant}`?")
        });
        warnings.collect()
    }

    /// The width that tables have to fit into, if somebody says so.
    pub fn columns(&self) -> Option<usize> {
        self.environment.get("COLUMNS")?.parse().ok()
    }

    /// Whether the terminal cannot move its cursor, as an editor's or a serial line.
    pub fn has_dumb_terminal(&self) -> bool {
        self.environment.get("TERM") == Some("dumb")
    }

    /// All that a release needs; `version` is the command line's.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput) with one line for each problem.
    pub fn release(&self, version: Option<&str>) -> Result<ReleaseSettings> {
        release::load(self.workspace()?, &self.environment, version)
    }

    /// The registries of a release, and nothing else of it.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput) with one line for each problem.
    pub fn registries(&self) -> Result<Vec<RegistrySettings>> {
        let facts: RegistriesMetadata = metadata::read(self.workspace()?)?;
        let mut problems = Vec::new();
        let registries = registries::all(
            &facts.image,
            &facts.registries,
            &self.environment,
            &mut problems,
        );
        no_problems(&problems)?;
        Ok(registries)
    }

    /// What finds logins, and what is wrong with a release's registries, whose variables count where a release is set
    /// up. Who needs these registries hears of the problems from [`release`](Self::release) or
    /// [`registries`](Self::registries).
    pub fn resolver(&self) -> (Resolver, Vec<String>) {
        let mut problems = Vec::new();
        let facts = self.workspace.as_deref().map(metadata::read);
        let facts: RegistriesMetadata = facts
            .transpose()
            .unwrap_or_else(|error| {
                problems.push(error.to_string());
                None
            })
            .unwrap_or_default();
        let registries = registries::logins(&facts.registries, &self.environment, &mut problems);
        let resolver = Resolver::new(registries, docker_config(&self.environment))
            .withholding(self.environment.secret_names());
        (resolver, problems)
    }

    /// Where the engine is.
    ///
    /// # Errors
    /// Why it cannot be used, in a sentence: it matters only where an engine is needed.
    pub fn engine(&self) -> Result<EngineAddress, String> {
        let docker = docker_directory(&self.environment);
        engine::find(&self.environment, docker.as_deref())
    }

    fn workspace(&self) -> Result<&Path> {
        self.workspace.as_deref().ok_or_else(|| {
            bad_input(format!(
                "no `Cargo.toml` with `[workspace.metadata.release]` in `{}` or above it, for a release; hint: `sync`, `copy`, `tags`, `verify` and `report` need none",
                self.directory.display()
            ))
        })
    }
}

/// The nearest directory upwards whose `Cargo.toml` has the facts of a release; under `cargo run` from elsewhere, the
/// workspace of the package that cargo runs.
fn workspace(directory: &Path, environment: &Environment) -> Option<PathBuf> {
    let package = environment.get("CARGO_MANIFEST_DIR").map(Path::new);
    directory
        .ancestors()
        .chain(package.into_iter().flat_map(Path::ancestors))
        .find(|directory| metadata::may_hold_facts(&directory.join("Cargo.toml")))
        .map(Path::to_owned)
}

fn docker_config(environment: &Environment) -> Option<PathBuf> {
    Some(docker_directory(environment)?.join("config.json"))
}

fn docker_directory(environment: &Environment) -> Option<PathBuf> {
    Some(match environment.get("DOCKER_CONFIG") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(environment.get("HOME")?).join(".docker"),
    })
}

#[cfg(test)]
mod tests;
