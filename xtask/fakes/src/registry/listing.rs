//! What some registries list beside the distribution API: tags with their digests, by the page.

use std::collections::{BTreeMap, HashMap};

use hyper::Method;
use serde_json::{Value, json};

use super::auth::TokenServer;
use super::store::Store;
use super::{Behavior, RecordedRequest};
use crate::digest_like;
use crate::http::{Form, Reply};

/// Whose API it is, which also says how the registry asks for a login.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ListingApi {
    Azure,
    Harbor,
}

/// The longest page.
const PAGE: usize = 100;

/// Answers a request beside `/v2/`; `None` if nothing is there.
pub(super) fn reply(
    behavior: &Behavior,
    tokens: &TokenServer,
    store: &Store,
    host: &str,
    request: &RecordedRequest,
    path: &str,
    query: &Form,
) -> Option<Reply> {
    let api = behavior
        .listing_api
        .filter(|_| request.method == Method::GET)?;
    let reply = match api {
        ListingApi::Azure => {
            let name = path.strip_prefix("/acr/v1/")?.strip_suffix("/_tags")?;
            if !tokens.permits_action(request, name, "metadata_read") {
                return Some(tokens.challenge(host, name));
            }
            azure(&tags(behavior, store, name), name, query)
        }
        ListingApi::Harbor => {
            let rest = path.strip_prefix("/api/v2.0/projects/")?;
            if let Some(project) = rest.strip_suffix("/repositories") {
                return Some(match tokens.permits_password(request) {
                    true => store.project(behavior, project, query),
                    false => Reply::empty(401),
                });
            }
            let (project, rest) = rest.split_once("/repositories/")?;
            let name = rest.strip_suffix("/artifacts")?.replace("%252F", "/");
            if !tokens.permits_password(request) {
                return Some(Reply::empty(401));
            }
            let tags = tags(behavior, store, &format!("{project}/{name}"));
            harbor(&tags, query)
        }
    };
    Some(reply)
}

/// The tags with the digests that the listing tells of them.
fn tags(behavior: &Behavior, store: &Store, name: &str) -> BTreeMap<String, Option<String>> {
    let manifests = store.manifests.iter();
    let tags = manifests.filter(|((it, at), _)| it == name && !at.contains(':'));
    let told = |tag: &str, bytes: &[u8]| match behavior.listed_instead.get(tag) {
        Some(told) => told.clone(),
        None => Some(digest_like("sha256", bytes)),
    };
    tags.map(|((_, tag), (_, bytes))| (tag.clone(), told(tag, bytes)))
        .collect()
}

fn azure(tags: &BTreeMap<String, Option<String>>, name: &str, query: &Form) -> Reply {
    let last = query.get("last").unwrap_or_default();
    let n = query.get("n").and_then(|it| it.parse().ok());
    let n = n.unwrap_or(PAGE).min(PAGE);
    let mut rest = tags
        .iter()
        .filter(|(tag, _)| tag.as_str() > last)
        .peekable();
    let page: Vec<Value> = rest
        .by_ref()
        .take(n)
        .map(|(tag, digest)| json!({"name": tag, "digest": digest, "signed": false}))
        .collect();
    let reply = Reply::json(200, &json!({"imageName": name, "tags": page}));
    match (rest.peek(), page.last()) {
        (Some(_), Some(last)) => {
            let last = last["name"].as_str().unwrap_or_default();
            let next = format!("/acr/v1/{name}/_tags?last={last}&n={n}&orderby=");
            reply.with("link", format!(r#"<{next}>; rel="next""#))
        }
        _ => reply,
    }
}

fn harbor(tags: &BTreeMap<String, Option<String>>, query: &Form) -> Reply {
    let mut artifacts: HashMap<&Option<String>, Vec<Value>> = HashMap::new();
    for (tag, digest) in tags {
        let named = artifacts.entry(digest).or_default();
        named.push(json!({"name": tag, "immutable": false}));
    }
    let mut artifacts: Vec<Value> = artifacts
        .into_iter()
        .map(|(digest, tags)| json!({"type": "IMAGE", "digest": digest, "tags": tags}))
        .collect();
    artifacts.sort_by_key(|it| it["digest"].to_string());
    // What no tag names has none.
    artifacts.push(json!({"type": "IMAGE", "digest": digest_like("sha256", b""), "tags": null}));
    let number = |name: &str| query.get(name).and_then(|it| it.parse::<usize>().ok());
    let size = number("page_size").unwrap_or(10).min(PAGE);
    let skipped = (number("page").unwrap_or(1) - 1) * size;
    let page: Vec<Value> = artifacts.into_iter().skip(skipped).take(size).collect();
    Reply::json(200, &page.into())
}
