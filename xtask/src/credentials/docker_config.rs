//! Docker's `config.json`: the credentials that `docker login` has left, in the file or with a helper program.
//!
//! A helper is asked for the host alone, and its answer is never shown.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::Credentials;
use crate::oci::DOCKER_HUB;
use crate::secret::Secret;

/// The part of the file that is about credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerConfig {
    auths: HashMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

/// Why the file or a helper gives no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerConfigError {
    #[error("`{path}`: {reason}")]
    File { path: String, reason: String },
    #[error("docker's configuration is not readable at line {line}, column {column}")]
    Json { line: usize, column: usize },
    #[error(
        "docker's configuration holds a login for `{0}` that is not readable; hint: docker login {0}"
    )]
    Entry(String),
    #[error("the credential helper `{program}` gave no credentials for `{host}`: {reason}")]
    Helper {
        program: String,
        host: String,
        reason: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    /// `user:password` in base64.
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// The answer of a helper (docker/docker-credential-helpers).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

impl DockerConfig {
    /// The file at `path`; without one, there are no credentials.
    pub fn read(path: &Path) -> Result<DockerConfig, DockerConfigError> {
        let unreadable = |reason: String| DockerConfigError::File {
            path: path.display().to_string(),
            reason,
        };
        match std::fs::read_to_string(path) {
            Ok(text) => DockerConfig::parse(&text).map_err(|error| unreadable(error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(DockerConfig::default()),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    fn parse(text: &str) -> Result<DockerConfig, DockerConfigError> {
        serde_json::from_str(text).map_err(|e| DockerConfigError::Json {
            line: e.line(),
            column: e.column(),
        })
    }

    /// The credentials for `host`, [`Credentials::Anonymous`] if there are none. Docker's order: the host's own
    /// helper, the general one, the file itself.
    pub async fn credentials(&self, host: &str) -> Result<Credentials, DockerConfigError> {
        let asked = match self.helper(host) {
            Some(program) => ask(&program, key(host)).await,
            None => Ok(None),
        };
        match (asked, self.stored(host)?) {
            (Ok(Some(credentials)), _) => Ok(credentials),
            // What is left of another machine's helper stops nobody who has a login here.
            (Err(failure), Credentials::Anonymous) => Err(failure),
            (_, stored) => Ok(stored),
        }
    }

    /// The program that keeps the credentials for `host`, if there is one.
    pub fn helper(&self, host: &str) -> Option<String> {
        let helper = self
            .cred_helpers
            .get(key(host))
            .or(self.creds_store.as_ref());
        let helper = helper.filter(|helper| !helper.is_empty())?;
        Some(format!("docker-credential-{helper}"))
    }

    /// The credentials in the file itself.
    pub fn stored(&self, host: &str) -> Result<Credentials, DockerConfigError> {
        let key = key(host);
        let by_host = || {
            self.auths
                .iter()
                .find(|(other, _)| host_of(other) == host_of(key))
        };
        match self.auths.get_key_value(key).or_else(by_host) {
            Some((name, entry)) => entry
                .credentials()
                .ok_or_else(|| DockerConfigError::Entry(name.clone())),
            None => Ok(Credentials::Anonymous),
        }
    }
}

impl Entry {
    fn credentials(&self) -> Option<Credentials> {
        if !self.identitytoken.is_empty() {
            return Some(Credentials::IdentityToken(Secret::new(
                self.identitytoken.clone(),
            )));
        }
        if self.auth.is_empty() {
            // `{}` is what docker writes beside a helper.
            return Some(login(&self.username, &self.password));
        }
        let pair = String::from_utf8(STANDARD.decode(&self.auth).ok()?).ok()?;
        let (username, password) = pair.split_once(':')?;
        Some(login(username, password.trim_end_matches('\0')))
    }
}

/// Docker Hub's name in the file and for helpers.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

fn key(host: &str) -> &str {
    match host {
        DOCKER_HUB => DOCKER_HUB_KEY,
        host => host,
    }
}

fn login(username: &str, password: &str) -> Credentials {
    match username {
        "" => Credentials::Anonymous,
        // How a helper says that its secret is an identity token.
        "<token>" => Credentials::IdentityToken(Secret::new(password.to_owned())),
        username => Credentials::Basic {
            username: username.to_owned(),
            password: Secret::new(password.to_owned()),
        },
    }
}

/// Old versions wrote the URL they had signed in to.
fn host_of(key: &str) -> &str {
    let key = key
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    key.split('/').next().unwrap_or_default()
}

/// Asks a helper; `None` if it knows no credentials for `host`.
async fn ask(program: &str, host: &str) -> Result<Option<Credentials>, DockerConfigError> {
    let failed = |reason: String| DockerConfigError::Helper {
        program: program.to_owned(),
        host: host.to_owned(),
        reason,
    };
    let run = async {
        let mut helper = Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = helper.stdin.take() {
            // A helper with one login answers without reading; what it answers counts.
            let _ = stdin.write_all(host.as_bytes()).await;
        }
        helper.wait_with_output().await
    };
    // Long enough for a person to unlock a key ring.
    let output = tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .map_err(|_| failed("no answer for a minute".to_owned()))?
        .map_err(|e| failed(e.to_string()))?;
    if output.status.success() {
        let answer: Helped = serde_json::from_slice(&output.stdout)
            .map_err(|_| failed("its answer is not readable".to_owned()))?;
        return Ok(Some(login(&answer.username, &answer.secret)));
    }
    // The words of the protocol, on standard output with status 1. Nothing else of it is looked at or quoted: there
    // the secret would stand.
    if output.stdout.starts_with(b"credentials not found") {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default().chars();
    let said: String = said.filter(|c| !c.is_control()).take(200).collect();
    let separator = if said.is_empty() { "" } else { ": " };
    Err(failed(format!("{}{separator}{said}", output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic {
            username: username.to_owned(),
            password: Secret::new(password.to_owned()),
        }
    }

    fn identity(token: &str) -> Credentials {
        Credentials::IdentityToken(Secret::new(token.to_owned()))
    }

    /// `robot$x:a:b`
    const FILE: &str = r#"{
        "auths": {
            "https://index.docker.io/v1/": {"auth": "cm9ib3QkeDphOmI="},
            "https://old.example/v2/": {"username": "u", "password": "p"},
            "azure.example": {"auth": "MDA6", "identitytoken": "long"},
            "beside.example:5000": {},
            "broken.example": {"auth": "?"}
        },
        "HttpHeaders": {"x": "y"}
    }"#;

    #[tokio::test]
    async fn logins_in_the_file_are_found_by_host() {
        let config = DockerConfig::parse(FILE).ok().unwrap();
        for (host, expected) in [
            ("docker.io", basic("robot$x", "a:b")),
            ("old.example", basic("u", "p")),
            ("azure.example", identity("long")),
            ("beside.example:5000", Credentials::Anonymous),
            ("unknown.example", Credentials::Anonymous),
        ] {
            assert_eq!(config.credentials(host).await, Ok(expected), "{host}");
        }
        assert_eq!(
            config.credentials("broken.example").await,
            Err(DockerConfigError::Entry("broken.example".to_owned()))
        );
    }

    #[tokio::test]
    async fn a_helper_that_is_not_installed_is_named_where_the_file_has_no_login() {
        let config =
            r#"{"credsStore": "nowhere-to-be-found", "auths": {"b.io": {"auth": "dTpw"}}}"#;
        let config = DockerConfig::parse(config).ok().unwrap();
        assert_eq!(config.credentials("b.io").await, Ok(basic("u", "p")));
        let error = config.credentials("ghcr.io").await.unwrap_err().to_string();
        assert!(
            error.contains("`docker-credential-nowhere-to-be-found`")
                && error.contains("`ghcr.io`"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn helpers_are_asked_for_the_host() {
        let directory = tempfile::tempdir().unwrap();
        let helper = directory.path().join("helper");
        let script = r#"#!/bin/sh
            read host
            case "$1 $host" in
            "get ghcr.io") echo '{"ServerURL":"x","Username":"u","Secret":"s"}';;
            "get token.example") echo '{"Username":"<token>","Secret":"t"}';;
            "get locked.example") echo '{"Username":"u","Secret":"hunter22"}'; printf 'lo\033cked\nmore\n' >&2; exit 1;;
            "get silent.example") exit 2;;
            *) echo 'credentials not found in native keychain'; exit 1;;
            esac"#;
        // Written by another process: a file that this one has open for writing while it forks cannot be run.
        let write = format!("cat > '{0}' && chmod +x '{0}'", helper.display());
        let mut shell = std::process::Command::new("sh")
            .args(["-c", &write])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut shell.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        let program = helper.to_str().unwrap();
        assert_eq!(ask(program, "ghcr.io").await, Ok(Some(basic("u", "s"))));
        assert_eq!(ask(program, "token.example").await, Ok(Some(identity("t"))));
        assert_eq!(ask(program, "other.example").await, Ok(None));
        let error = ask(program, "locked.example")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("exit status: 1: locked"), "{error}");
        let error = ask(program, "silent.example").await.unwrap_err();
        assert!(error.to_string().ends_with("exit status: 2"), "{error}");
    }

    #[test]
    fn an_unreadable_file_is_located_and_not_quoted() {
        let error =
            DockerConfig::parse("{\n  \"auths\": {\"r\": {\"auth\": 1, \"x\": \"secret\"}}}")
                .err()
                .unwrap();
        assert!(matches!(error, DockerConfigError::Json { line: 2, .. }));
        assert!(!error.to_string().contains("secret"));
    }
}
