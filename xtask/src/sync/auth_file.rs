//! Logins as image-syncer writes them: a mapping of registries, or namespaces in them, to users and passwords.

use super::document::{Entry, Node, Position, Value};
use super::reader::ConfigReader;
use crate::credentials::{Credentials, Login, Logins, NoLogin, Prefix};
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
    if !reader.is_mapping(node, &["username", "password", "insecure"]) {
        return None;
    }
    let insecure = match node.get("insecure") {
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
    let credentials = match (node.get("username"), node.get("password")) {
        (None, None) if insecure => Credentials::Anonymous,
        (None, None) => {
            reader.problem(node.position, "`username` and `password` are not set");
            return None;
        }
        (Some(username), Some(password)) => {
            let username = reader.text(username, "`username`");
            let password = reader.text(password, "`password`");
            Credentials::Basic {
                username: username?,
                password: Secret::new(password?),
            }
        }
        (username, _) => {
            let mut names = ["username", "password"].map(str::to_owned);
            if username.is_none() {
                names.reverse();
            }
            let [set, missing] = names;
            reader.problem(node.position, NoLogin::Half { set, missing });
            return None;
        }
    };
    Some(Login {
        credentials,
        insecure,
        origin: reader.origin(node.position.line),
    })
}
