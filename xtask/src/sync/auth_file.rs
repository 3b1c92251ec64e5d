//! Logins as image-syncer writes them: a mapping of registries, or namespaces in them, to users and passwords.
//!
//! What image-syncer takes no notice of is told and stops nothing. An entry without a user and a password says only
//! whether the registry is insecure: who signs in, others may say.

use super::document::{Entry, Node, Position, Value};
use super::reader::ConfigReader;
use crate::credentials::{Credentials, Login, Logins, Prefix};
use crate::secret::Secret;

/// Adds the logins in a mapping of the form `{registry[/namespace]: {username, password, insecure}}`.
pub(super) fn read(logins: &mut Logins, reader: &mut ConfigReader, node: &Node) {
    let Value::Mapping(entries) = &node.value else {
        reader.problem(node.position, "logins must be a mapping of registries");
        return;
    };
    for (name, Entry { position, node }) in entries {
        let prefix = reader.expand(*position, name);
        let prefix = prefix.and_then(|text| prefix_of(reader, *position, &text));
        let login = login(reader, node);
        if let (Some(prefix), Some(login)) = (prefix, login)
            && !logins.add(prefix, login)
        {
            reader.problem(*position, format!("there are two logins for `{name}`"));
        }
    }
}

/// `None`, without a problem, is a key that fits nothing: image-syncer passes over it.
fn prefix_of(reader: &mut ConfigReader, position: Position, text: &str) -> Option<Prefix> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    // It may be a password.
    if rest.contains('@') || scheme.is_some_and(|it| !matches!(it, "http" | "https")) {
        let sentence = "this is not a registry; hint: `registry.example.com`, without a user";
        reader.problem(position, sentence);
        return None;
    }
    let mut trimmed = rest.trim_end_matches('/');
    if scheme.is_some() {
        // As Docker's own file has it.
        let api = trimmed.strip_suffix("/v1").or(trimmed.strip_suffix("/v2"));
        trimmed = api.unwrap_or(trimmed);
        reader.warn(position, format!("`{text}` is read as `{trimmed}`"));
    }
    let (host, path) = trimmed.split_once('/').unwrap_or((trimmed, ""));
    if !host.contains(['.', ':']) && host != "localhost" {
        reader.warn(
            position,
            format!("`{text}` does not begin with a registry, its login is not used; hint: `docker.io/{trimmed}` is on Docker Hub"),
        );
        return None;
    }
    reader.right(position, Prefix::new(host, path))
}

fn login(reader: &mut ConfigReader, node: &Node) -> Option<Login> {
    let is_nothing = matches!(node.value, Value::Nothing);
    if !is_nothing && !reader.is_open_mapping(node, &["username", "password", "insecure"]) {
        return None;
    }
    let insecure = match node.get("insecure") {
        Some(insecure) if !matches!(insecure.value, Value::Nothing) => {
            reader.flag(insecure, "`insecure`")?
        }
        _ => false,
    };
    let username = value(reader, node, "username");
    let password = value(reader, node, "password");
    let (username, password) = (username?, password?);
    let half = match (username.is_empty(), password.is_empty()) {
        (false, true) => Some(("username", "password")),
        (true, false) => Some(("password", "username")),
        _ => None,
    };
    if let Some((set, missing)) = half {
        let sentence = format!("`{set}` is set and `{missing}` is not: this login is not used");
        reader.warn(node.position, sentence);
    }
    let credentials = match username.is_empty() || password.is_empty() {
        true => Credentials::Anonymous,
        false => Credentials::Basic {
            username,
            password: Secret::new(password),
        },
    };
    Some(Login {
        credentials,
        insecure,
        origin: reader.origin(node.position.line),
    })
}

/// A text, which may be empty or absent.
fn value(reader: &mut ConfigReader, login: &Node, key: &str) -> Option<String> {
    match login.get(key).map(|node| (node.position, &node.value)) {
        None | Some((_, Value::Nothing)) => Some(String::new()),
        Some((position, Value::Text(text))) => reader.expand(position, text),
        Some((position, _)) => {
            reader.problem(position, format!("`{key}` must be a text"));
            None
        }
    }
}
