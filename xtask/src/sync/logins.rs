//! Who signs in where: image-syncer's auth, a mapping of registries or namespaces in them to logins.
//!
//! It refuses to know how signing in works. Invariant: no message and no `Debug` output shows a password.

use super::document::{Entry, Node, Position, Value};
use super::reader::ConfigReader;
use crate::credentials::Credentials;
use crate::oci::{ReferenceError, RepositoryName};
use crate::secret::Secret;

/// Logins by prefix.
#[derive(Debug, Default)]
pub struct Logins {
    entries: Vec<(Prefix, Login)>,
}

/// How to sign in to a registry, or to a namespace there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub credentials: Credentials,
    /// `insecure`: the registry is spoken to without TLS.
    pub plain_http: bool,
    /// Where it is written, for messages.
    pub origin: String,
}

/// A registry, and the first segments of the path there.
#[derive(Debug, PartialEq, Eq)]
struct Prefix {
    host: String,
    path: String,
}

impl Logins {
    /// The login with the longest prefix of `repository`, counted in whole segments.
    pub fn find(&self, repository: &RepositoryName) -> Option<&Login> {
        let fitting = self
            .entries
            .iter()
            .filter(|(prefix, _)| prefix.holds(repository));
        let best = fitting.max_by_key(|(prefix, _)| prefix.path.len());
        best.map(|(_, login)| login)
    }

    /// Every password, for masking.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret<String>> {
        self.entries
            .iter()
            .filter_map(|(_, login)| match &login.credentials {
                Credentials::Anonymous => None,
                Credentials::Basic { password, .. } => Some(password),
                Credentials::IdentityToken(token) => Some(token),
            })
    }

    /// Adds the login for the whole registry `host` (in its canonical spelling), unless there is one already.
    pub(super) fn add_fallback(&mut self, host: String, login: Login) {
        let path = String::new();
        let prefix = Prefix { host, path };
        if !self.entries.iter().any(|(known, _)| *known == prefix) {
            self.entries.push((prefix, login));
        }
    }

    /// Adds the logins in a mapping of the form `{registry[/namespace]: {username, password, insecure}}`.
    pub(super) fn read(&mut self, reader: &mut ConfigReader, node: &Node) {
        let Value::Mapping(entries) = &node.value else {
            reader.problem(node.position, "logins must be a mapping of registries");
            return;
        };
        for (name, Entry { position, node }) in entries {
            let prefix = reader.expand(*position, name);
            let prefix = prefix.and_then(|text| prefix_of(reader, *position, &text));
            let login = login(reader, node);
            let (Some(prefix), Some(login)) = (prefix, login) else {
                continue;
            };
            if self.entries.iter().any(|(known, _)| *known == prefix) {
                reader.problem(*position, format!("there are two logins for `{name}`"));
            } else {
                self.entries.push((prefix, login));
            }
        }
    }
}

impl Prefix {
    fn new(host: &str, path: &str) -> Result<Prefix, ReferenceError> {
        // Two segments, so that no `library/` is added on Docker Hub.
        let name = match path {
            "" => RepositoryName::new(host, "a/a")?,
            path => RepositoryName::new(host, &format!("{path}/a"))?,
        };
        Ok(Prefix {
            host: name.host().to_owned(),
            path: path.to_owned(),
        })
    }

    fn holds(&self, repository: &RepositoryName) -> bool {
        let rest = repository.path().strip_prefix(&self.path);
        self.host == repository.host()
            && (self.path.is_empty()
                || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

fn prefix_of(reader: &mut ConfigReader, position: Position, text: &str) -> Option<Prefix> {
    let trimmed = text.trim_end_matches('/');
    let (host, path) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    if !host.contains(['.', ':']) && host != "localhost" {
        reader.problem(
            position,
            format!("`{text}` does not begin with a registry; hint: `docker.io/{trimmed}` is on Docker Hub"),
        );
        return None;
    }
    reader.right(position, Prefix::new(host, path))
}

fn login(reader: &mut ConfigReader, node: &Node) -> Option<Login> {
    let fields = reader.fields(node, &["username", "password", "insecure"])?;
    let plain_http = match fields.get("insecure") {
        None => false,
        Some(insecure) => match &insecure.value {
            Value::Text(text) if text == "true" => true,
            Value::Text(text) if text == "false" => false,
            _ => {
                reader.problem(insecure.position, "`insecure` is `true` or `false`");
                return None;
            }
        },
    };
    let credentials = match (fields.get("username"), fields.get("password")) {
        (None, None) if plain_http => Credentials::Anonymous,
        (Some(username), Some(password)) => {
            let username = reader.text(username, "`username`");
            let password = reader.text(password, "`password`");
            Credentials::Basic {
                username: username?,
                password: Secret::new(password?),
            }
        }
        _ => {
            reader.problem(node.position, "`username` and `password` belong together");
            return None;
        }
    };
    Some(Login {
        credentials,
        plain_http,
        origin: reader.origin(node.position.line),
    })
}
