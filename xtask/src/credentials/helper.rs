//! Credential helpers: programs that keep logins (docker/docker-credential-helpers).
//!
//! A helper is asked for the host alone, gets none of this program's own secrets, and its answer is never shown.

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::Credentials;
use crate::oci::json;

/// A program that may have the credentials for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    pub program: String,
    /// As the program knows it.
    pub host: String,
}

/// Why it gives none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the credential helper `{program}` gave no credentials for `{host}`: {reason}")]
pub struct HelperError {
    program: String,
    host: String,
    reason: String,
}

/// The answer of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// The first value of what it has printed; what follows is nobody's.
fn helped(stdout: &[u8]) -> Option<Helped> {
    let mut values = serde_json::Deserializer::from_slice(stdout).into_iter();
    let value = json::with_names(values.next()?.ok()?, &["Username", "Secret"]).ok()?;
    serde_json::from_value(value).ok()
}

/// Long enough for a person to unlock a key ring.
const LIMIT: Duration = Duration::from_secs(60);

/// The longest answer; identity tokens have a few KiB.
const LONGEST: u64 = 1 << 18;

impl Helper {
    /// Asks it; `None` if it knows no credentials for the host. It does not see the variables `withheld`.
    pub(super) async fn ask(self, withheld: &[String]) -> Result<Option<Credentials>, HelperError> {
        let answer = tokio::time::timeout(LIMIT, self.answer(withheld)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer for a minute".to_owned()));
        answer.map_err(|reason| HelperError {
            program: self.program,
            host: self.host,
            reason,
        })
    }

    async fn answer(&self, withheld: &[String]) -> Result<Option<Credentials>, String> {
        let mut command = Command::new(&self.program);
        withheld.iter().for_each(|name| {
            command.env_remove(name);
        });
        let mut helper = command
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| error.to_string())?;
        if let Some(mut stdin) = helper.stdin.take() {
            // A helper with one login answers without reading; what it answers counts.
            let _ = stdin.write_all(self.host.as_bytes()).await;
        }
        let (stdout, stderr) = (helper.stdout.take(), helper.stderr.take());
        let (stdout, stderr) = tokio::join!(beginning(stdout), beginning(stderr));
        let status = helper.wait().await.map_err(|error| error.to_string())?;
        if stdout.len() as u64 == LONGEST {
            return Err(format!("its answer has more than {LONGEST} bytes"));
        }
        if status.success() {
            let answer = helped(&stdout);
            let answer = answer.ok_or_else(|| "its answer is not readable".to_owned())?;
            return Ok(Some(Credentials::of(&answer.username, &answer.secret)));
        }
        // The words of the protocol, on standard output with status 1. Nothing else of it is looked at or quoted: there
        // the secret would stand.
        if stdout.starts_with(b"credentials not found") {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&stderr);
        let said = said.lines().map(str::trim).find(|line| !line.is_empty());
        let said = said.unwrap_or_default().chars();
        let said: String = said.filter(|c| !c.is_control()).take(200).collect();
        let separator = if said.is_empty() { "" } else { ": " };
        Err(format!("{status}{separator}{said}"))
    }
}

/// What a helper writes, at most [`LONGEST`] bytes of it; the pipe is closed then.
async fn beginning(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What could not be read is as good as unsaid.
        let _ = pipe.take(LONGEST).read_to_end(&mut bytes).await;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[tokio::test]
    async fn a_helper_that_is_not_installed_is_named() {
        let helper = Helper {
            program: "docker-credential-nowhere-to-be-found".to_owned(),
            host: "ghcr.io".to_owned(),
        };
        let error = helper.ask(&[]).await.unwrap_err().to_string();
        assert!(
            error.contains("`docker-credential-nowhere-to-be-found`")
                && error.contains("`ghcr.io`"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn helpers_are_asked_for_the_host() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("helper");
        let script = r#"#!/bin/sh
            read host
            case "$1 $host" in
            "get ghcr.io") echo '{"ServerURL":"x","Username":"u","Secret":"s"}';;
            "get token.example") echo '{"Username":"<token>","Secret":"t"}';;
            "get locked.example") echo '{"Username":"u","Secret":"hunter22"}'; printf '\nlo\033cked\nmore\n' >&2; exit 1;;
            "get silent.example") exit 2;;
            "get endless.example") yes; exit 1;;
            *) echo 'credentials not found in native keychain'; exit 1;;
            esac"#;
        // Written by another process: a file that this one has open for writing while it forks cannot be run.
        let write = format!("cat > '{0}' && chmod +x '{0}'", path.display());
        let mut shell = std::process::Command::new("sh")
            .args(["-c", &write])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut shell.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        let ask = async |host: &str| {
            let helper = Helper {
                program: path.to_str().unwrap().to_owned(),
                host: host.to_owned(),
            };
            helper.ask(&[]).await
        };
        let basic = Credentials::Basic {
            username: "u".to_owned(),
            password: Secret::new("s".to_owned()),
        };
        assert_eq!(ask("ghcr.io").await, Ok(Some(basic)));
        let identity = Credentials::IdentityToken(Secret::new("t".to_owned()));
        assert_eq!(ask("token.example").await, Ok(Some(identity)));
        assert_eq!(ask("other.example").await, Ok(None));
        for (host, reason) in [
            ("locked.example", "exit status: 1: locked"),
            ("silent.example", "exit status: 2"),
            ("endless.example", "more than 262144 bytes"),
        ] {
            let error = ask(host).await.unwrap_err().to_string();
            assert!(error.ends_with(reason), "{error}");
        }
    }
}
