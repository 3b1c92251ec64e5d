//! The keys of regsync's file: which are read, which do not matter for what is copied, and which do.

use crate::sync::document::{Node, Value};

pub(super) const TOP: &[&str] = &["version", "creds", "defaults", "sync"];
pub(super) const CREDS: &[&str] = &["registry", "user", "pass", "tls"];
pub(super) const ENTRY: &[&str] = &[
    "source",
    "target",
    "type",
    "tags",
    "tagSets",
    "digestTags",
    "referrers",
];
/// Either of them set: what belongs to an image goes with it.
pub(super) const REFERRERS: [&str; 2] = ["referrers", "digestTags"];

/// They do not change what is copied from where to where.
pub(super) const TUNING: &[&str] = &[
    "interval",
    "schedule",
    "ratelimit",
    "parallel",
    "userAgent",
    "fastCheck",
    "forceRecursive",
    "referrerSlow",
    "hooks",
    "blobLimit",
    "cacheCount",
    "cacheTime",
    "skipDockerConfig",
    // Of `creds`: how a registry is asked.
    "repoAuth",
    "reqPerSec",
    "reqConcurrent",
    "blobChunk",
    "blobMax",
    "api",
    "apiOpts",
    "scheme",
    "mirrors",
    "priority",
    "credExpire",
];

/// They may change what is copied: refused wherever they say something.
pub(super) const MEANING: &[&str] = &[
    "backup",
    "includeExternal",
    "mediaTypes",
    "platform",
    "platforms",
    "referrerFilters",
    "referrerSource",
    "referrerTarget",
    "repos",
];

/// Of `creds`: another login, another certificate or another place.
pub(super) const CREDS_MEANING: &[&str] = &[
    "token",
    "credHelper",
    "credHost",
    "hostname",
    "pathPrefix",
    "regcert",
    "clientCert",
    "clientKey",
];

/// What regsync copies if `mediaTypes` does not say otherwise, which is all that is copied here.
pub(super) const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

/// Whether an entry's own value counts instead of the default: an empty text or list does not.
pub(super) fn is_set(key: &str, node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty() || key == "referrerFilters",
        Value::Nothing => false,
        Value::Mapping(_) => true,
    }
}

/// Whether a value is neither empty nor `false`.
pub(super) fn says_something(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => !text.is_empty() && !text.eq_ignore_ascii_case("false"),
        Value::List(items) => !items.is_empty(),
        Value::Mapping(entries) => entries.values().any(|it| says_something(&it.node)),
        Value::Nothing => false,
    }
}
