//! skopeo's sync file: registries with `images`, `images-by-tag-regex` and `images-by-semver`.
//!
//! It names no destination: images go to `--to` or `REGISTRY` under the last part of their names, as `skopeo sync`
//! places them. An index is copied whole, as with its `--all`.

use super::Parsed;
use crate::copy::Policy;
use crate::credentials::{Credentials, Login, Prefix};
use crate::exit::nearest;
use crate::oci::{Digest, RepositoryName, Tag};
use crate::secret::Secret;
use crate::sync::default_registry::DefaultRegistry;
use crate::sync::document::{Entry, Node, Position, Value};
use crate::sync::reader::ConfigReader;
use crate::sync::rule::{DestinationTags, Rule, RuleDestination};
use crate::sync::tags::{Select, TagFilter};

/// One of these in a registry makes the file skopeo's.
const IMAGES: [&str; 3] = ["images", "images-by-tag-regex", "images-by-semver"];

const OTHERS: [&str; 3] = ["credentials", "tls-verify", "cert-dir"];

pub(super) fn is_it(document: &Node) -> bool {
    let Value::Mapping(registries) = &document.value else {
        return false;
    };
    let names_images = |it: &Entry| IMAGES.iter().any(|key| it.node.get(key).is_some());
    registries.values().any(names_images)
}

pub(super) fn read(reader: &mut ConfigReader, document: &Node, found: &mut Parsed) {
    let Value::Mapping(registries) = &document.value else {
        return;
    };
    for (host, Entry { position, node }) in registries {
        let Value::Mapping(entries) = &node.value else {
            reader.problem(
                node.position,
                format!("`{host}` must be a mapping with `images`"),
            );
            continue;
        };
        for (key, entry) in entries {
            other_key(reader, entry.position, key);
        }
        if let Some(login) = login(reader, *position, node) {
            let prefix = reader.right(*position, Prefix::new(host, ""));
            if let Some(prefix) = prefix
                && !found.logins.add(prefix, login)
            {
                reader.problem(*position, format!("there are two logins for `{host}`"));
            }
        }
        if !IMAGES.iter().any(|key| node.get(key).is_some()) {
            reader.warn(*position, format!("`{host}` names no image"));
        }
        for key in IMAGES {
            let Some(repositories) = node.get(key) else {
                continue;
            };
            let Value::Mapping(repositories) = &repositories.value else {
                reader.problem(
                    repositories.position,
                    format!("`{key}` must be a mapping of repositories"),
                );
                continue;
            };
            for (name, Entry { position, node }) in repositories {
                let selects = match key {
                    "images" => images(reader, node),
                    "images-by-tag-regex" => by_regex(reader, node),
                    _ => by_version(reader, node),
                };
                let name = format!("{host}/{name}").parse::<RepositoryName>();
                if let (Some(source), Some(selects)) = (reader.right(*position, name), selects) {
                    add(reader, *position, &source, selects, found);
                }
            }
        }
    }
}

/// Tells a key that is not read; one that may be a misspelled other one is a problem.
fn other_key(reader: &mut ConfigReader, position: Position, key: &str) {
    let known = || IMAGES.into_iter().chain(OTHERS);
    if key == "cert-dir" {
        reader.warn(position, "`cert-dir` is not read; hint: README.md, \"Who signs in where\", says which certificates are trusted");
    } else if known().any(|it| it == key) {
    } else if let Some(right) = nearest(key, known()) {
        reader.problem(
            position,
            format!("unknown key `{key}`; hint: did you mean `{right}`?"),
        );
    } else {
        reader.warn(
            position,
            format!("`{key}` means nothing to skopeo, and nothing here"),
        );
    }
}

fn login(reader: &mut ConfigReader, position: Position, registry: &Node) -> Option<Login> {
    let verifies = match registry.get("tls-verify") {
        Some(node) => reader.flag(node, "`tls-verify`")?,
        None => true,
    };
    let credentials = match registry.get("credentials") {
        Some(node) => {
            if !reader.is_mapping(node, &["username", "password"]) {
                return None;
            }
            let [username, password] = ["username", "password"].map(|key| {
                let node = reader.required(node, key)?;
                reader.text(node, &format!("`{key}`"))
            });
            Credentials::Basic {
                username: username?,
                password: Secret::new(password?),
            }
        }
        None if verifies => return None,
        None => Credentials::Anonymous,
    };
    Some(Login {
        credentials,
        insecure: !verifies,
        origin: reader.origin(position.line),
    })
}

/// Tags and digests; none of them are all tags.
fn images(reader: &mut ConfigReader, node: &Node) -> Option<Vec<Select>> {
    let is_all = match &node.value {
        Value::Nothing => true,
        Value::List(items) => items.is_empty(),
        _ => false,
    };
    if is_all {
        return Some(vec![Select::Tags(TagFilter::all())]);
    }
    let mut tags = Vec::new();
    let mut selects = Vec::new();
    for (position, text) in reader.texts(node, "a tag or digest")? {
        match text.parse::<Digest>() {
            Ok(digest) => selects.push(Select::Digest(digest)),
            Err(error) if text.contains(':') => {
                reader.problem(position, error);
                return None;
            }
            Err(_) => tags.push(reader.right(position, text.parse::<Tag>())?),
        }
    }
    if !tags.is_empty() {
        selects.insert(0, Select::Tags(TagFilter::names(tags)));
    }
    Some(selects)
}

fn by_regex(reader: &mut ConfigReader, node: &Node) -> Option<Vec<Select>> {
    let regex = reader.text(node, "the regular expression")?;
    pattern(reader, node, &format!("/{regex}/"))
}

/// One range, or a list of which one is enough.
fn by_version(reader: &mut ConfigReader, node: &Node) -> Option<Vec<Select>> {
    let ranges = reader.texts(node, "the range of versions")?;
    let ranges: Vec<String> = ranges.into_iter().map(|(_, range)| range).collect();
    pattern(reader, node, &format!("version:{}", ranges.join(" || ")))
}

fn pattern(reader: &mut ConfigReader, node: &Node, pattern: &str) -> Option<Vec<Select>> {
    let mut filter = TagFilter::all();
    let added = filter.add(pattern);
    reader.right(node.position, added)?;
    Some(vec![Select::Tags(filter)])
}

fn add(
    reader: &mut ConfigReader,
    position: Position,
    source: &RepositoryName,
    selects: Vec<Select>,
    found: &mut Parsed,
) {
    let name = source.path().rsplit('/').next().unwrap_or_default();
    let repository = DefaultRegistry::get(&mut found.default_registry, reader).repository(name);
    let Some(repository) = reader.right(position, repository) else {
        return;
    };
    if repository.is_same(source) {
        reader.problem(
            position,
            format!("`{source}` is both source and destination"),
        );
        return;
    }
    let rules = selects.into_iter().map(|select| Rule {
        source: source.clone(),
        select,
        only: None,
        destinations: vec![RuleDestination {
            repository: repository.clone(),
            tags: DestinationTags::Same,
        }],
        policy: Policy::default(),
        origin: reader.origin(position.line),
    });
    found.rules.extend(rules);
}
