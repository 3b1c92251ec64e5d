//! Docker's `config.json`: the credentials that `docker login` has left, in the file or with a helper program.
//!
//! It is read as Go's decoder reads it: a name in any case, twice, or null. What is broken in one login stops nobody
//! who needs another one.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::helper::{Helper, HelperError};
use super::{Credentials, Prefix};
use crate::foreign::Foreign;
use crate::oci::{DOCKER_HUB, RepositoryName, canonical_host};
use crate::secret::Secret;

/// The part of the file that is about credentials.
#[derive(Default)]
pub struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

/// Why the file or a helper gives no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerConfigError {
    #[error("`{path}`: {reason}")]
    File { path: String, reason: String },
    #[error("docker's configuration is not readable at line {line}, column {column}")]
    Json { line: usize, column: usize },
    #[error("docker's configuration has a `{0}` that is not readable")]
    Field(String),
    #[error(
        "docker's configuration holds a login for `{0}` that is not readable; hint: docker login {0}"
    )]
    Entry(Foreign),
    #[error(transparent)]
    Helper(#[from] HelperError),
}

/// A login as the file has it; `None` is one that is not readable.
#[derive(Default)]
struct Entry(Option<Credentials>);

impl DockerConfig {
    /// The file at `path`; without one, there are no credentials.
    pub fn read(path: &Path) -> Result<DockerConfig, DockerConfigError> {
        let unreadable = |reason: String| DockerConfigError::File {
            path: path.display().to_string(),
            reason,
        };
        match std::fs::read(path) {
            Ok(bytes) => DockerConfig::parse(&String::from_utf8_lossy(&bytes))
                .map_err(|error| unreadable(error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(DockerConfig::default()),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// The file's `text`.
    pub(crate) fn parse(text: &str) -> Result<DockerConfig, DockerConfigError> {
        let mut config = DockerConfig::default();
        let text = text.trim_start_matches('\u{feff}');
        // Docker takes an empty file for none, and looks at nothing behind the first value.
        if text.trim().is_empty() {
            return Ok(config);
        }
        let mut first = serde_json::Deserializer::from_str(text);
        let fields = Option::<Object>::deserialize(&mut first);
        let fields = fields.map_err(|e| DockerConfigError::Json {
            line: e.line(),
            column: e.column(),
        })?;
        for (name, value) in fields.map(|it| it.0).unwrap_or_default() {
            let wrong = || DockerConfigError::Field(name.clone());
            match (name.to_ascii_lowercase().as_str(), value) {
                ("auths", Value::Null) => config.auths.clear(),
                ("auths", Value::Object(entries)) => {
                    let entries = entries.into_iter().map(|(key, it)| (key, Entry::of(&it)));
                    config.auths.extend(entries);
                }
                ("credhelpers", Value::Null) => config.cred_helpers.clear(),
                ("credhelpers", Value::Object(helpers)) => {
                    for (host, helper) in helpers {
                        let helper = text_of(&helper).ok_or_else(wrong)?;
                        config.cred_helpers.insert(host, helper.to_owned());
                    }
                }
                ("credsstore", Value::Null) => {}
                ("credsstore", value) => {
                    config.creds_store = text_of(&value).ok_or_else(wrong)?.to_owned();
                }
                ("auths" | "credhelpers", _) => return Err(wrong()),
                _ => {}
            }
        }
        Ok(config)
    }

    /// The program that keeps the credentials for `host`, if there is one; an empty name stands for the general one.
    pub fn helper(&self, host: &str) -> Option<Helper> {
        let own = self.cred_helpers.get(key(host));
        let names = own.into_iter().chain([&self.creds_store]);
        let name = names.into_iter().find(|it| !it.is_empty())?;
        Some(Helper {
            program: format!("docker-credential-{name}"),
            host: key(host).to_owned(),
        })
    }

    /// The credentials in the file itself. Podman and skopeo write some for a namespace: the longest that fits counts.
    pub fn stored(&self, repository: &RepositoryName) -> Result<Credentials, DockerConfigError> {
        let logins = self.auths.iter();
        let fitting = logins
            .filter(|(_, entry)| entry.0 != Some(Credentials::Anonymous))
            .filter_map(|(key, entry)| Some((fit(key, repository)?, Reverse(key), entry)));
        match fitting.max_by_key(|(fit, key, _)| (*fit, *key)) {
            Some((_, Reverse(key), Entry(None))) => {
                Err(DockerConfigError::Entry(Foreign::new(key)))
            }
            Some((_, _, Entry(Some(credentials)))) => Ok(credentials.clone()),
            None => Ok(Credentials::Anonymous),
        }
    }
}

/// How well `key` fits, if it does: a namespace the better the longer it is, then the host, then the URL that old
/// versions wrote, whose path says nothing.
fn fit(key: &str, repository: &RepositoryName) -> Option<usize> {
    let (url, rest) = match key.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, key),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    if url || matches!(path, "" | "v1" | "v2") {
        let is_it = canonical_host(host).is_ok_and(|host| host == repository.host());
        return is_it.then_some(usize::from(!url) + usize::from(path.is_empty()));
    }
    let length = Prefix::new(host, path).ok()?.fit(repository)?;
    Some(2 + length)
}

impl Entry {
    fn of(value: &Value) -> Entry {
        if value.is_null() {
            return Entry(Some(Credentials::Anonymous));
        }
        let field = |wanted: &str| {
            let mut fields = value.as_object()?.iter().rev();
            let field = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            field.map_or(Some(""), |(_, value)| text_of(value))
        };
        let read = || {
            let [identity, registry] = [field("identitytoken")?, field("registrytoken")?];
            let [auth, username, password] =
                [field("auth")?, field("username")?, field("password")?];
            let secret = |text: &str| Secret::new(text.to_owned());
            match (identity, registry, auth) {
                ("", "", "") => Some(Credentials::of(username, password)),
                ("", "", auth) => pair(auth),
                ("", token, _) => Some(Credentials::RegistryToken(secret(token))),
                (token, ..) => Some(Credentials::IdentityToken(secret(token))),
            }
        };
        Entry(read())
    }
}

/// `user:password` in base64, which may be broken into lines.
fn pair(auth: &str) -> Option<Credentials> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let base64 = GeneralPurpose::new(&alphabet::STANDARD, config);
    let bytes = base64.decode(auth.replace(['\r', '\n'], "")).ok()?;
    let bytes = match bytes.iter().rposition(|byte| *byte != 0) {
        Some(last) => &bytes[..=last],
        None => return None,
    };
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    match std::str::from_utf8(bytes) {
        _ if colon == 0 => None,
        Ok(text) => Some(Credentials::of(&text[..colon], &text[colon + 1..])),
        Err(_) => Some(Credentials::Pair(Secret::new(bytes.to_vec()))),
    }
}

fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::Null => Some(""),
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A JSON object with every name as often as it is there.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic {
            username: username.to_owned(),
            password: Secret::new(password.to_owned()),
        }
    }

    fn stored(config: &str, repository: &str) -> Result<Credentials, DockerConfigError> {
        DockerConfig::parse(config)?.stored(&repository.parse().unwrap())
    }

    /// `robot$x:a:b`
    const FILE: &str = r#"{
        "auths": {
            "https://index.docker.io/v1/": {"auth": "cm9ib3QkeDphOmI="},
            "https://old.example/v2/": {"username": "u", "password": "p"},
            "azure.example": {"auth": "MDA6", "identitytoken": "long"},
            "token.example": {"registrytoken": "short"},
            "beside.example:5000": {},
            "[FD00:0::1]:5000": {"username": "six", "password": "p"},
            "https://[fd00::2]:5000/v2/": {"username": "url", "password": "p"},
            "null.example": null,
            "latin.example": {"auth": "dTpw5A"},
            "wrapped.example": {"auth": "dT\r\npw\n"},
            "number.example": {"auth": 1},
            "broken.example": {"auth": "?"}
        },
        "HttpHeaders": {"x": "y"}
    }"#;

    #[test]
    fn logins_in_the_file_are_found_by_host() {
        let token = |text: &str| Secret::new(text.to_owned());
        for (host, expected) in [
            ("docker.io", basic("robot$x", "a:b")),
            ("old.example", basic("u", "p")),
            ("[fd00::1]:5000", basic("six", "p")),
            ("[fd00::2]:5000", basic("url", "p")),
            ("wrapped.example", basic("u", "p")),
            ("azure.example", Credentials::IdentityToken(token("long"))),
            ("token.example", Credentials::RegistryToken(token("short"))),
            (
                "latin.example",
                Credentials::Pair(Secret::new(b"u:p\xe4".to_vec())),
            ),
            ("beside.example:5000", Credentials::Anonymous),
            ("null.example", Credentials::Anonymous),
            ("unknown.example", Credentials::Anonymous),
        ] {
            assert_eq!(stored(FILE, &format!("{host}/a/b")), Ok(expected), "{host}");
        }
        for host in ["broken.example", "number.example"] {
            assert_eq!(
                stored(FILE, &format!("{host}/a/b")),
                Err(DockerConfigError::Entry(Foreign::new(host)))
            );
        }
    }

    #[test]
    fn of_several_logins_for_a_host_the_one_that_fits_best_counts() {
        let file = r#"{"auths": {
            "r.io/team": {"username": "team", "password": "p"},
            "r.io/team/app": {"username": "app", "password": "p"},
            "https://r.io/v1/": {"username": "https", "password": "p"},
            "http://r.io": {"username": "http", "password": "p"},
            "R.io": {"username": "host", "password": "p"},
            "s.io/other": {"username": "other", "password": "p"},
            "https://s.io/v2/": {"username": "url", "password": "p"},
            "s.io": {}
        }}"#;
        for (repository, user) in [
            ("r.io/team/app/x", "app"),
            ("r.io/team/apple", "team"),
            ("r.io/teams/app", "host"),
            ("s.io/team/app", "url"),
            ("s.io/other/app", "other"),
        ] {
            assert_eq!(
                stored(file, repository),
                Ok(basic(user, "p")),
                "{repository}"
            );
        }
    }

    #[test]
    fn a_file_is_read_as_go_reads_it() {
        let login = r#""r.io": {"Auth": "x", "auth": "dTpw"}"#;
        for file in [
            format!(r#"{{"Auths": {{"z.io": {{}}}}, "auths": {{{login}}}, "credHelpers": null}}"#),
            format!(r#"{{"auths": {{{login}}}, "auths": {{"z.io": {{}}}}, "credsStore": null}} x"#),
        ] {
            assert_eq!(stored(&file, "r.io/a/b"), Ok(basic("u", "p")), "{file}");
        }
        for empty in ["", " \n", "null", "{}", r#"{"auths": null}"#] {
            let credentials = stored(empty, "r.io/a/b");
            assert_eq!(credentials, Ok(Credentials::Anonymous), "{empty}");
        }
        for wrong in [r#"{"auths": []}"#, r#"{"credsStore": 1}"#, "[]"] {
            stored(wrong, "r.io/a/b").unwrap_err();
        }
    }

    #[test]
    fn an_empty_helper_stands_for_the_general_one() {
        let file = r#"{"credsStore": "all", "credHelpers": {"a.io": "", "b.io": "own"}}"#;
        let config = DockerConfig::parse(file).unwrap_or_default();
        let program = |host: &str| config.helper(host).unwrap().program;
        assert_eq!(program("a.io"), "docker-credential-all");
        assert_eq!(program("b.io"), "docker-credential-own");
        assert_eq!(program("c.io"), "docker-credential-all");
    }

    #[test]
    fn an_unreadable_file_is_located_and_not_quoted() {
        let error = DockerConfig::parse("{\n  \"auths\": {\"r\": {\"auth\": secret}}}");
        let error = error.err().unwrap();
        assert!(matches!(error, DockerConfigError::Json { line: 2, .. }));
        assert!(!error.to_string().contains("secret"));
    }
}
