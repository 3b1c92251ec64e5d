//! The environment as data. `.env.example` and the README list the variables that the program reads; tests see to it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use url::Url;

use crate::exit::bad_input;
use crate::secret::{Redactor, Secret};

/// The variables of one run. An empty value is as good as none.
#[derive(Clone)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// Names whose value is empty somewhere.
    empty: BTreeSet<String>,
    /// The names in `.env`.
    dotenv: BTreeSet<String>,
    /// What should be known about `.env`.
    warnings: Vec<String>,
}

/// Shows names only.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        let (empty, values): (BTreeMap<String, String>, _) =
            variables.partition(|(_, value): &(String, String)| value.is_empty());
        Environment {
            values,
            empty: empty.into_keys().collect(),
            dotenv: BTreeSet::new(),
            warnings: Vec::new(),
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

    /// How the program was called, as it says in usage texts.
    pub fn program(&self) -> &'static str {
        match self.get("CARGO_PKG_NAME") {
            Some("xtask") => "cargo xtask",
            _ => "xtask",
        }
    }

    /// Whether the program is a step of GitHub Actions.
    pub fn is_actions(&self) -> bool {
        self.get("GITHUB_ACTIONS") == Some("true")
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
        let mut is_secret = false;
        for item in dotenvy::from_read_iter(text.as_bytes()) {
            let (name, value) = item.map_err(|error| bad_input(unreadable(path, text, &error)))?;
            is_secret |= !value.is_empty() && is_secret_name(&name);
            if !self.dotenv.insert(name.clone()) {
                let file = path.display();
                let warning =
                    format!("`{file}`: `{name}` is assigned twice; the first value counts");
                self.warnings.push(warning);
            }
            match value.is_empty() {
                true => drop(self.empty.insert(name)),
                false => drop(self.values.entry(name).or_insert(value)),
            }
        }
        let mode = std::fs::metadata(path).map_or(0, |it| it.permissions().mode() & 0o777);
        if is_secret && mode & 0o006 != 0 {
            self.warnings.push(format!(
                "`{0}` holds secrets, and everyone on this machine may read it (mode {mode:04o}); hint: chmod 600 {0}",
                path.display()
            ));
        }
        Ok(self)
    }

    /// Where Podman and Docker keep registries' certificates for this user.
    pub fn certificate_directories(&self) -> Vec<PathBuf> {
        let homes = self.get("HOME").into_iter();
        let places = [
            ".config/containers/certs.d",
            ".config/docker/certs.d",
            ".docker/certs.d",
        ];
        homes
            .flat_map(|home| places.map(|place| Path::new(home).join(place)))
            .collect()
    }

    /// Whether somebody has written the variable with nothing in it, and nobody anything else.
    pub fn is_left_empty(&self, name: &str) -> bool {
        self.empty.contains(name) && self.get(name).is_none()
    }

    /// The names in `.env`.
    pub(super) fn dotenv(&self) -> &BTreeSet<String> {
        &self.dotenv
    }

    /// What should be known about the file.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The variables that the programs it starts have no need of: passwords, GitHub's token, and URLs that are signed.
    /// What clouds' own helpers read, such as `AWS_SESSION_TOKEN`, stays.
    pub fn secret_names(&self) -> Vec<String> {
        let is_signed = |value: &str| Url::parse(value).is_ok_and(|url| url.query().is_some());
        let secret = self.values.iter().filter(|(name, value)| {
            let name = name.as_str();
            name.ends_with("_PASSWORD")
                || matches!(name, "GITHUB_TOKEN" | "GH_TOKEN")
                || (name.ends_with("_URL") && is_signed(value))
        });
        secret.map(|(name, _)| name.clone()).collect()
    }

    /// Masks every value that is secret by the name of its variable, and what URLs carry in their query.
    pub fn redactor(&self) -> Redactor {
        let mut redactor = Redactor::default();
        for (name, value) in &self.values {
            let value = Secret::new(value.clone());
            if is_secret_name(name) {
                redactor.add(&value);
            }
            let is_short =
                name.to_ascii_uppercase().ends_with("_PROXY") && !value.expose().contains("://");
            let scheme = if is_short { "http://" } else { "" };
            if let Ok(url) = Url::parse(&format!("{scheme}{}", value.expose())) {
                redactor.add_url(&Secret::new(url));
            }
            if let Some(prefix) = name.strip_suffix("_PASSWORD")
                && let Some(user) = self.get(&format!("{prefix}_USERNAME"))
            {
                redactor.add_login(user, &value);
            }
        }
        redactor
    }
}

fn is_secret_name(name: &str) -> bool {
    name.ends_with("_PASSWORD") || name.ends_with("_TOKEN")
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
    // A quote that does not end takes the lines that follow it.
    if let dotenvy::Error::LineParse(part, _) = error
        && let Some(first) = part.lines().find(|it| !it.trim().is_empty())
        && let Some(number) = text.lines().position(|line| line.contains(first))
    {
        sentence += &format!(": line {} is not `NAME=value`", number + 1);
    }
    sentence + "\nhint: put a value with spaces, `$` or `#` in single quotes"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_that_does_not_end_is_found() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "A=1\n\nDOCKER_PASSWORD=\"geheim\nB=2\n").unwrap();
        let none: [(&str, &str); 0] = [];
        let read = Environment::from_iter(none).with_dotenv(file.path());
        let error = read.unwrap_err().to_string();
        assert!(
            error.contains("line 3") && !error.contains("geheim"),
            "{error}"
        );
    }

    #[test]
    fn a_dotenv_that_others_may_read_or_that_says_something_twice_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let warnings = |text: &str, mode: u32| {
            std::fs::write(file.path(), text).unwrap();
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), permissions).unwrap();
            let empty = Environment::from_iter([("X", "1")]);
            let environment = empty.with_dotenv(file.path()).unwrap();
            environment.warnings().join("\n")
        };
        assert_eq!(warnings("A_PASSWORD=p\n", 0o600), "");
        assert_eq!(warnings("A=p\nA_PASSWORD=\n", 0o644), "");
        for mode in [0o644, 0o604, 0o666] {
            assert!(warnings("A_PASSWORD=p\n", mode).contains("hint: chmod 600"));
        }
        let twice = warnings("A_USERNAME=a\nA_USERNAME=b\n", 0o644);
        assert!(twice.contains("`A_USERNAME` is assigned twice; the first value counts"));
    }
}
