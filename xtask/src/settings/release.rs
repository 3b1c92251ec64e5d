//! What a release needs, validated as a whole.

use std::path::{Path, PathBuf};

use anyhow::Result;
use url::Url;

use super::engine::{self, EngineAddress};
use super::env::Environment;
use super::metadata::{self, ReleaseMetadata, Require};
use super::registries::{self, RegistrySettings};
use super::version::{self, Commit, Release};
use crate::cli::BuilderChoice;
use crate::exit::no_problems;
use crate::oci::Platform;
use crate::secret::Secret;

/// In seconds since 1970: the first moment that RFC 3339 cannot write.
const YEAR_10000: u64 = 253_402_300_800;

/// The validated settings of a release.
#[derive(Debug)]
pub struct ReleaseSettings {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// The last segment of the repository's name in every registry.
    pub image: String,
    /// At least one.
    pub platforms: Vec<Platform>,
    pub base_image: String,
    /// What the command line does not decide.
    pub builder: BuilderChoice,
    /// Secret, because it may carry an Azure signature.
    pub package_index: Secret<Url>,
    /// The variable that should say where packages are is empty, so that it is the address in `Cargo.toml`.
    pub is_index_left_empty: bool,
    /// In the order of the metadata tables.
    pub registries: Vec<RegistrySettings>,
    pub require: Require,
    pub github: GithubSettings,
    /// Where the engine is; why it cannot be used matters only to who needs one.
    pub engine: Result<EngineAddress, String>,
    /// What is released, when something says so.
    pub release: Option<Release>,
    pub commit: Option<Commit>,
    /// Seconds since 1970: every date in the image.
    pub timestamp: u64,
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

/// Reads and validates everything.
pub(super) fn load(
    root: &Path,
    environment: &Environment,
    release_version: Option<&str>,
) -> Result<ReleaseSettings> {
    let facts: ReleaseMetadata = metadata::read(root)?;
    let mut problems = Vec::new();

    let registries = registries::all(&facts.image, &facts.registries, environment, &mut problems);
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
    let mut index_names = ["RELEASE_PACKAGE_INDEX_URL", "AZURE_BLOB_SAS_URL"].into_iter();
    let is_index_left_empty = environment.is_left_empty("RELEASE_PACKAGE_INDEX_URL")
        && index_names.all(|name| environment.get(name).is_none());
    let package_index = ["RELEASE_PACKAGE_INDEX_URL", "AZURE_BLOB_SAS_URL"]
        .into_iter()
        .find_map(|name| Some((name, environment.get(name)?)))
        .unwrap_or(("package-index", &facts.package_index));
    let package_index = url(package_index, &mut problems);
    let setting = |name, default| (name, environment.get(name).unwrap_or(default));
    let api = setting("GITHUB_API_URL", "https://api.github.com");
    let api = url(api, &mut problems);
    let server = setting("GITHUB_SERVER_URL", "https://github.com");
    let server = url(server, &mut problems);
    let (_, repository) = setting("GITHUB_REPOSITORY", &facts.github_repository);
    if repository.split('/').count() != 2 || repository.split('/').any(str::is_empty) {
        problems.push(format!(
            "`GITHUB_REPOSITORY` must be `owner/name`, not `{repository}`"
        ));
    }
    let release = version::release(release_version, environment, root).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let commit = version::commit(root, environment);
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
    no_problems(&problems)?;
    Ok(ReleaseSettings {
        image: facts.image,
        platforms,
        base_image: setting("DOCKER_BASE_IMAGE", &facts.base_image).1.to_owned(),
        builder: facts.builder,
        is_index_left_empty,
        package_index: Secret::new(package_index.expect("a missing URL is a problem")),
        registries,
        require: facts.require,
        github: GithubSettings {
            repository: repository.to_owned(),
            api: api.expect("a missing URL is a problem"),
            server: server.expect("a missing URL is a problem"),
            token: environment
                .get("GITHUB_TOKEN")
                .map(|token| Secret::new(token.to_owned())),
        },
        engine: engine::find(environment, super::docker_directory(environment).as_deref()),
        release,
        commit,
        timestamp,
        root: root.to_owned(),
    })
}

/// Never shows the value: it may carry a signature.
fn url((name, value): (&str, &str), problems: &mut Vec<String>) -> Option<Url> {
    match Url::parse(value) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
        _ => {
            problems.push(format!("`{name}` must be an http or https URL"));
            None
        }
    }
}
