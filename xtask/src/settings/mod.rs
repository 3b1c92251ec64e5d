//! Everything read from outside, validated once.
//!
//! Order: command line, environment, `.env`, `[workspace.metadata.release]`, built-in default. No other module reads
//! the environment. All problems are collected and told together, before anything is done.

mod env;
mod metadata;
mod registries;
mod version;

use std::path::{Path, PathBuf};

use anyhow::Result;
use url::Url;

pub use env::{Environment, VARIABLES, Variable};
pub use metadata::Require;
pub use registries::{Login, RegistrySettings, Variables};
pub use version::{Commit, Release};

use crate::exit::bad_input;
use crate::oci::Platform;
use crate::secret::Secret;

/// In seconds since 1970: the first moment that RFC 3339 cannot write.
const YEAR_10000: u64 = 253_402_300_800;

/// The validated settings of one run.
#[derive(Debug)]
pub struct Settings {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// The last segment of the repository's name in every registry.
    pub image: String,
    /// At least one.
    pub platforms: Vec<Platform>,
    pub base_image: String,
    /// Secret, because it may carry an Azure signature.
    pub package_index: Secret<Url>,
    /// In the order of the metadata tables.
    pub registries: Vec<RegistrySettings>,
    pub require: Require,
    pub github: GithubSettings,
    pub docker_host: Option<String>,
    /// Docker's own configuration, which may hold logins.
    pub docker_config: Option<PathBuf>,
    /// What is released, when something says so.
    pub release: Option<Release>,
    pub commit: Option<Commit>,
    /// Seconds since 1970: every date in the image.
    pub timestamp: u64,
    /// The variables themselves, for files that refer to them.
    pub environment: Environment,
    /// GitHub Actions, when the program runs there.
    pub actions: Option<Actions>,
}

#[derive(Debug)]
pub struct GithubSettings {
    /// `owner/name`.
    pub repository: String,
    pub api: Url,
    /// Where people look at repositories; labels point there.
    pub server: Url,
    pub token: Option<Secret<String>>,
}

/// The files through which a step of GitHub Actions speaks.
#[derive(Debug)]
pub struct Actions {
    pub summary: Option<PathBuf>,
    pub output: Option<PathBuf>,
}

impl Settings {
    /// Reads and validates everything.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput) with one line for each problem.
    pub fn load(
        environment: Environment,
        directory: &Path,
        release_version: Option<&str>,
    ) -> Result<Self> {
        let root = root(directory, &environment)?;
        let environment = environment.with_dotenv(&root.join(".env"))?;
        let facts = metadata::read(&root.join("Cargo.toml"))?;
        let mut problems = Vec::new();

        let registries = registries::all(&facts, &environment, &mut problems);
        facts.check_require(&mut problems);
        if facts.platforms.is_empty() {
            problems.push("`platforms` under `[workspace.metadata.release]` is empty".to_owned());
        }
        let mut platforms: Vec<Platform> = Vec::new();
        for platform in &facts.platforms {
            match platform.parse::<Platform>() {
                Ok(platform) => match platforms
                    .iter()
                    .find(|other| other.architecture == platform.architecture)
                {
                    Some(other) => problems.push(format!(
                        "`platforms`: `{other}` and `{platform}` would share `lib-{}`",
                        platform.architecture
                    )),
                    None => platforms.push(platform),
                },
                Err(error) => problems.push(format!("`platforms`: {error}")),
            }
        }
        let package_index = environment
            .get("RELEASE_PACKAGE_INDEX_URL")
            .map(|value| ("RELEASE_PACKAGE_INDEX_URL", value))
            .or_else(|| {
                environment
                    .get("AZURE_BLOB_SAS_URL")
                    .map(|value| ("AZURE_BLOB_SAS_URL", value))
            })
            .unwrap_or(("package-index", &facts.package_index));
        let package_index = url(package_index.0, package_index.1, &mut problems);
        let api = url(
            "GITHUB_API_URL",
            environment
                .get("GITHUB_API_URL")
                .unwrap_or("https://api.github.com"),
            &mut problems,
        );
        let server = environment
            .get("GITHUB_SERVER_URL")
            .unwrap_or("https://github.com");
        let server = url("GITHUB_SERVER_URL", server, &mut problems);
        let repository = environment
            .get("GITHUB_REPOSITORY")
            .unwrap_or(&facts.github_repository)
            .to_owned();
        if repository.split('/').count() != 2 || repository.split('/').any(str::is_empty) {
            problems.push(format!(
                "`GITHUB_REPOSITORY` must be `owner/name`, not `{repository}`"
            ));
        }
        let release =
            version::release(release_version, &environment, &root).unwrap_or_else(|problem| {
                problems.push(problem);
                None
            });
        let commit = version::commit(&root);
        let timestamp = match environment.get("SOURCE_DATE_EPOCH").map(str::parse) {
            Some(Ok(seconds @ 0..YEAR_10000)) => seconds,
            Some(_) => {
                problems.push(
                    "`SOURCE_DATE_EPOCH` must be a number of seconds since 1970, before the year 10000"
                        .to_owned(),
                );
                0
            }
            None => commit.as_ref().map_or(0, |commit| commit.timestamp),
        };
        if !problems.is_empty() {
            return Err(bad_input(problems.join("\n")));
        }
        Ok(Settings {
            image: facts.image,
            platforms,
            base_image: environment
                .get("DOCKER_BASE_IMAGE")
                .unwrap_or(&facts.base_image)
                .to_owned(),
            package_index: Secret::new(package_index.expect("a missing URL is a problem")),
            registries,
            require: facts.require,
            github: GithubSettings {
                repository,
                api: api.expect("a missing URL is a problem"),
                server: server.expect("a missing URL is a problem"),
                token: environment
                    .get("GITHUB_TOKEN")
                    .map(|token| Secret::new(token.to_owned())),
            },
            docker_host: environment.get("DOCKER_HOST").map(str::to_owned),
            docker_config: docker_config(&environment),
            release,
            commit,
            timestamp,
            actions: environment
                .get("GITHUB_ACTIONS")
                .filter(|value| *value == "true")
                .map(|_| Actions {
                    summary: environment.get("GITHUB_STEP_SUMMARY").map(PathBuf::from),
                    output: environment.get("GITHUB_OUTPUT").map(PathBuf::from),
                }),
            root,
            environment,
        })
    }
}

/// The nearest directory upwards whose `Cargo.toml` has the facts of a release; under `cargo run` from elsewhere, the
/// workspace of the package that cargo runs.
fn root(directory: &Path, environment: &Environment) -> Result<PathBuf> {
    let package = environment.get("CARGO_MANIFEST_DIR").map(Path::new);
    directory
        .ancestors()
        .chain(package.into_iter().flat_map(Path::ancestors))
        .find(|directory| metadata::holds_facts(&directory.join("Cargo.toml")))
        .map(Path::to_owned)
        .ok_or_else(|| {
            bad_input(format!(
                "no `Cargo.toml` with `[workspace.metadata.release]` in `{}` or above it",
                directory.display()
            ))
        })
}

fn docker_config(environment: &Environment) -> Option<PathBuf> {
    let home = || {
        environment
            .get("HOME")
            .map(|home| Path::new(home).join(".docker"))
    };
    let directory = environment
        .get("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(home)?;
    Some(directory.join("config.json"))
}

/// Never shows the value: it may carry a signature.
fn url(name: &str, value: &str, problems: &mut Vec<String>) -> Option<Url> {
    match Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
        _ => {
            problems.push(format!("`{name}` must be an http or https URL"));
            None
        }
    }
}

#[cfg(test)]
mod tests;
