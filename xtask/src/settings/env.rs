//! The environment as data, and the one table of variables the program knows.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use url::Url;

use crate::exit::bad_input;
use crate::secret::{Redactor, Secret};

/// A variable the program reads. `.env.example` and the README list the same ones; tests see to it.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    pub secret: bool,
    pub about: &'static str,
    pub example: &'static str,
}

const fn plain(name: &'static str, about: &'static str, example: &'static str) -> Variable {
    Variable {
        name,
        secret: false,
        about,
        example,
    }
}

const fn secret(name: &'static str, about: &'static str) -> Variable {
    Variable {
        name,
        secret: true,
        about,
        example: "",
    }
}

/// Every variable, in the order of `.env.example`. Variables that GitHub Actions sets itself are at the end.
pub const VARIABLES: &[Variable] = &[
    plain(
        "RELEASE_VERSION",
        "the version to release; else the pushed tag, else the git tag on HEAD",
        "1.2.3",
    ),
    plain(
        "RELEASE_PACKAGE_INDEX_URL",
        "where the packages are: a base URL ending in `/`, an `index.json`, or an Azure SAS URL",
        "https://server.dl.hagicode.com/",
    ),
    secret(
        "AZURE_BLOB_SAS_URL",
        "the Azure container with the packages, used when `RELEASE_PACKAGE_INDEX_URL` is not set",
    ),
    plain(
        "DOCKER_REGISTRY",
        "Docker Hub, or what stands in for it",
        "docker.io",
    ),
    plain(
        "DOCKER_NAMESPACE",
        "the account or organisation on Docker Hub",
        "newbe36524",
    ),
    plain("DOCKER_USERNAME", "the user who pushes to Docker Hub", ""),
    secret("DOCKER_PASSWORD", "that user's password or access token"),
    plain(
        "AZURE_ACR_REGISTRY",
        "the Azure Container Registry",
        "hagicode.azurecr.io",
    ),
    plain(
        "AZURE_ACR_NAMESPACE",
        "a prefix of the repository's name there, if any",
        "",
    ),
    plain("AZURE_ACR_USERNAME", "the user who pushes to Azure ACR", ""),
    secret("AZURE_ACR_PASSWORD", "that user's password or access key"),
    plain(
        "ALIYUN_ACR_REGISTRY",
        "the Alibaba Cloud Container Registry",
        "registry.cn-hangzhou.aliyuncs.com",
    ),
    plain(
        "ALIYUN_ACR_NAMESPACE",
        "the namespace there; it must exist",
        "hagicode",
    ),
    plain(
        "ALIYUN_ACR_USERNAME",
        "the user who pushes to Aliyun ACR",
        "",
    ),
    secret("ALIYUN_ACR_PASSWORD", "that user's password"),
    secret(
        "GITHUB_TOKEN",
        "a token that may write releases of `GITHUB_REPOSITORY`",
    ),
    plain(
        "GITHUB_REPOSITORY",
        "where the release is made, as `owner/name`",
        "HagiCode-org/releases",
    ),
    plain(
        "GITHUB_API_URL",
        "GitHub's REST API; another one on GitHub Enterprise",
        "https://api.github.com",
    ),
    plain(
        "DOCKER_BASE_IMAGE",
        "the image that the product's image is built from",
        "mcr.microsoft.com/dotnet/aspnet:10.0",
    ),
    plain(
        "DOCKER_HOST",
        "the engine's socket; unset means the usual one",
        "unix:///var/run/docker.sock",
    ),
    plain(
        "DOCKER_CONFIG",
        "the directory of Docker's `config.json`, whose logins count last; unset means `~/.docker`",
        "",
    ),
    plain(
        "REGISTRY",
        "`sync`: where images go whose destination is written without a registry",
        "registry.cn-beijing.aliyuncs.com",
    ),
    plain(
        "REGISTRY_NAMESPACE",
        "`sync`: the namespace there; `NAMESPACE` and `ALIYUN_NAMESPACE` are older names of it",
        "",
    ),
    plain(
        "REGISTRY_USER",
        "`sync`: the user there; `ALIYUN_USERNAME` is an older name of it",
        "",
    ),
    secret(
        "REGISTRY_PASSWORD",
        "`sync`: that user's password; `ALIYUN_PASSWORD` is an older name of it",
    ),
    plain(
        "SOURCE_DATE_EPOCH",
        "seconds since 1970 for every date in the image; unset means the commit's",
        "1767225600",
    ),
    plain(
        "COLUMNS",
        "the width that tables have to fit into; unset means the terminal's",
        "",
    ),
    plain(
        "GITHUB_ACTIONS",
        "set in GitHub Actions: the report speaks its language",
        "",
    ),
    plain(
        "GITHUB_REF",
        "set in GitHub Actions: the pushed tag is the version",
        "",
    ),
    plain(
        "GITHUB_SERVER_URL",
        "set in GitHub Actions: where the labels of the image point",
        "",
    ),
    plain(
        "GITHUB_STEP_SUMMARY",
        "set in GitHub Actions: the file that shows the summary",
        "",
    ),
    plain(
        "GITHUB_OUTPUT",
        "set in GitHub Actions: the file for the outputs of the step",
        "",
    ),
];

/// The variables of one run. An empty value is as good as none.
#[derive(Clone)]
pub struct Environment {
    values: BTreeMap<String, String>,
}

/// Shows names only.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let values = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Environment {
            values: values.filter(|(_, value)| !value.is_empty()).collect(),
        }
    }
}

impl Environment {
    /// The process's own environment.
    pub fn capture() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// Adds what the file at `path` says and the environment does not. No file is no problem.
    ///
    /// # Errors
    /// A line that is not `NAME=value`. The message never shows the line: it may hold a secret.
    pub fn with_dotenv(mut self, path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self),
            Err(error) => {
                return Err(bad_input(format!(
                    "`{}` cannot be read: {error}",
                    path.display()
                )));
            }
        };
        // Windows' editors begin a file with a byte order mark.
        let text = text.trim_start_matches('\u{feff}');
        if let Some(number) = text.lines().position(is_substituted) {
            return Err(bad_input(format!(
                "`{}`: line {}: `$` would stand for another variable\nhint: put the value in single quotes",
                path.display(),
                number + 1
            )));
        }
        for item in dotenvy::from_read_iter(text.as_bytes()) {
            let (name, value) = item.map_err(|error| bad_input(unreadable(path, text, &error)))?;
            if !value.is_empty() {
                self.values.entry(name).or_insert(value);
            }
        }
        Ok(self)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Masks every value that is secret by the name of its variable, and what URLs carry in their query.
    pub fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        for (name, value) in &self.values {
            let value = Secret::new(value.clone());
            if name.ends_with("_PASSWORD") || name.ends_with("_TOKEN") {
                redactor.add(&value);
            }
            if let Ok(url) = Url::parse(value.expose()) {
                redactor.add_url(&Secret::new(url));
            }
            // The pair as Basic authentication spells it.
            if let Some(prefix) = name.strip_suffix("_PASSWORD")
                && let Some(user) = self.get(&format!("{prefix}_USERNAME"))
            {
                redactor.add(&Secret::new(format!("{user}:{}", value.expose())));
            }
        }
        redactor
    }
}

/// Whether dotenvy would put another variable's value into this line's: a password would silently be another one.
fn is_substituted(line: &str) -> bool {
    line.split_once('=').is_some_and(|(name, value)| {
        let value = value.trim_start();
        !name.trim_start().starts_with('#') && !value.starts_with('\'') && value.contains('$')
    })
}

fn unreadable(path: &Path, text: &str, error: &dotenvy::Error) -> String {
    let mut sentence = format!("`{}` cannot be read", path.display());
    if let dotenvy::Error::LineParse(part, _) = error
        && let Some(number) = text.lines().position(|line| line.contains(part.as_str()))
    {
        sentence += &format!(": line {} is not `NAME=value`", number + 1);
    }
    sentence + "\nhint: put a value with spaces, `$` or `#` in single quotes"
}
