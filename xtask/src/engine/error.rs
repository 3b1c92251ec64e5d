//! What can go wrong with an engine, and which of it is worth another try.
//!
//! An engine reports a registry's refusal as a line of text and no more, so the kinds are read from that text here,
//! in one place. No text that holds a URL's query or user leaves this module.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::answer::StreamError;
use crate::secret::public_url;

/// Why an engine did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing answers at the address.
    #[error("no container engine answers at `{host}`: {reason}; hint: {hint}")]
    NoEngine {
        host: String,
        reason: String,
        hint: &'static str,
    },
    /// The build context cannot be read.
    #[error("cannot read `{}` of the build context", path.display())]
    Context { path: PathBuf, source: io::Error },
    /// The build failed; `log` holds its last lines.
    #[error("the build failed: {reason}{}", indented(log))]
    Build { reason: String, log: Vec<String> },
    /// The engine holds no image of that name.
    #[error("the engine has no image `{0}`")]
    NoSuchImage(String),
    /// A reference that has to name one tag does not.
    #[error("`{0}` names no tag; hint: append one, as in `{0}:1.2.3`")]
    NoTag(String),
    /// The registry does not accept the user or the password, or wanted some and got none.
    #[error("the registry refused the credentials for `{reference}`: {reason}")]
    CredentialsRefused { reference: String, reason: String },
    /// The registry knows the user and does not let them push there.
    #[error(
        "the registry denied the push of `{reference}`: {reason}; \
         hint: does the namespace exist, and may the user push to it?"
    )]
    Denied { reference: String, reason: String },
    /// The registry cannot be reached, is overloaded, or broke off.
    #[error("the push of `{reference}` failed: {reason}")]
    Transient { reference: String, reason: String },
    /// The registry refuses the push for another reason.
    #[error("the registry refused `{reference}`: {reason}")]
    Refused { reference: String, reason: String },
    /// The engine was silent for too long.
    #[error("the {what} stalled: no word from the engine for {} minutes", idle.as_secs() / 60)]
    Stalled { what: String, idle: Duration },
    /// The engine failed, or the connection to it did.
    #[error("the engine failed at the {what}: {reason}")]
    Engine { what: String, reason: String },
}

impl Error {
    /// Whether the same request may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Transient { .. } | Error::Stalled { .. })
    }

    /// A broken answer to `what` ("push of `…`") of which nothing more is known.
    pub(super) fn broken(what: String, broken: StreamError) -> Error {
        match broken {
            StreamError::IdleTimeout(idle) => Error::Stalled { what, idle },
            StreamError::Reported(_, reason) | StreamError::Disconnected(reason) => {
                Error::Engine { what, reason }
            }
        }
    }

    /// What an engine says of a failed push.
    pub(super) fn push(reference: &str, broken: StreamError) -> Error {
        let (status, reason) = match broken {
            StreamError::Reported(status, reason) => (status, reason),
            broken => return Error::broken(format!("push of `{reference}`"), broken),
        };
        let reference = reference.to_owned();
        match kind(status, &reason) {
            Kind::NoSuchImage => Error::NoSuchImage(reference),
            Kind::Credentials => Error::CredentialsRefused { reference, reason },
            Kind::Denied => Error::Denied { reference, reason },
            Kind::Transient => Error::Transient { reference, reason },
            Kind::Other => Error::Refused { reference, reason },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    NoSuchImage,
    Credentials,
    Denied,
    Transient,
    Other,
}

/// What gives a kind away, in the words of dockerd, of containerd, of Go's network library and of registries.
///
/// The first hit counts: an overloaded registry may say "denied" (GHCR), and a stranger is "unauthorized" where a
/// known user is "not authorized" (Quay).
const PATTERNS: &[(Kind, &[&str])] = &[
    (
        Kind::NoSuchImage,
        &[
            "an image does not exist locally",
            "tag does not exist",
            "no such image",
        ],
    ),
    (
        Kind::Transient,
        &["toomanyrequests", "too many requests", "rate limit"],
    ),
    // An engine with containerd's image store says "denied" before it.
    (Kind::Credentials, &["no basic auth credentials"]),
    (
        Kind::Denied,
        &[
            "denied",
            "not authorized",
            "insufficient_scope",
            "403 forbidden",
            "name unknown",
        ],
    ),
    (
        Kind::Credentials,
        &[
            "unauthorized",
            "authentication required",
            "authorization failed",
            "incorrect username or password",
        ],
    ),
    (
        Kind::Transient,
        &[
            "connection refused",
            "connection reset",
            "closed network connection",
            "broken pipe",
            "eof",
            "timeout",
            "timed out",
            "deadline exceeded",
            "no route to host",
            "network is unreachable",
            "no such host",
            "server misbehaving",
            "temporary failure",
            "blob unknown",
            "blob upload unknown",
            "blob upload invalid",
        ],
    ),
];

/// The kind of a refusal. `status` is that of the engine's own answer, not the registry's.
fn kind(status: Option<u16>, reason: &str) -> Kind {
    // Without URLs and references: an image may well be called `ns/geofence`.
    let words: Vec<&str> = reason
        .split_whitespace()
        .filter(|word| !word.contains('/'))
        .collect();
    let text = words.join(" ").to_lowercase();
    let told = PATTERNS
        .iter()
        .find(|(_, telltales)| telltales.iter().any(|telltale| text.contains(telltale)));
    match told {
        Some((kind, _)) => *kind,
        None if says_try_again(&text) => Kind::Transient,
        None if status == Some(404) => Kind::NoSuchImage,
        None => Kind::Other,
    }
}

/// "received unexpected HTTP status: 503 Service Unavailable", "error parsing HTTP 502 response body: …".
fn says_try_again(text: &str) -> bool {
    (text.contains("http") || text.contains("status"))
        && text
            .split_whitespace()
            .any(|word| matches!(word, "408" | "429" | "500" | "502" | "503" | "504"))
}

/// `text` with every URL in it reduced to what may be printed.
pub(super) fn clean(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
    text.split_inclusive(ends)
        .map(|word| {
            let (start, url) = match word.find("http://").or_else(|| word.find("https://")) {
                Some(at) => word.split_at(at),
                None => return word.to_owned(),
            };
            let rest =
                url.trim_end_matches(|c: char| ends(c) || matches!(c, ':' | ',' | ')' | ';'));
            let end = &url[rest.len()..];
            match Url::parse(rest) {
                Ok(url) => format!("{start}{}{end}", public_url(&url)),
                Err(_) => format!("{start}…{end}"),
            }
        })
        .collect()
}

fn indented(log: &[String]) -> String {
    log.iter().map(|line| format!("\n  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reason: &str) -> Kind {
        kind(None, reason)
    }

    #[test]
    fn a_refused_credential_is_never_transient() {
        for reason in [
            "unauthorized: authentication required",
            "unauthorized: incorrect username or password",
            "no basic auth credentials",
            "push access denied, repository does not exist or may require authorization: authorization failed: \
             no basic auth credentials",
            "failed to authorize: failed to fetch oauth token: unexpected status from POST request to \
             https://auth.example/token: 401 Unauthorized",
        ] {
            assert_eq!(told(reason), Kind::Credentials, "{reason}");
        }
    }

    #[test]
    fn a_known_user_without_rights_is_denied() {
        for reason in [
            "denied: requested access to the resource is denied",
            "unauthorized: access to the requested resource is not authorized",
            "push access denied, repository does not exist or may require authorization: server message: \
             insufficient_scope: authorization failed",
            "name unknown: repository name not known to registry",
        ] {
            assert_eq!(told(reason), Kind::Denied, "{reason}");
        }
    }

    #[test]
    fn the_network_and_a_busy_registry_are_transient() {
        for reason in [
            "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            "dial tcp 10.0.0.1:443: i/o timeout",
            "Put \"https://r.example/v2/x/blobs/uploads/1\": EOF",
            "received unexpected HTTP status: 503 Service Unavailable",
            "error parsing HTTP 502 response body: invalid character '<' looking for beginning of value: \"<html>\"",
            "unexpected status from PUT request to https://r.example/v2/x: 500 Internal Server Error",
            "toomanyrequests: You have reached your pull rate limit.",
            "denied: You have exceeded a secondary rate limit",
        ] {
            assert_eq!(told(reason), Kind::Transient, "{reason}");
        }
    }

    #[test]
    fn the_rest_is_neither() {
        for reason in [
            "Get \"https://127.0.0.1/v2/\": http: server gave HTTP response to HTTPS client",
            "x509: certificate signed by unknown authority",
            "manifest invalid: manifest invalid",
        ] {
            assert_eq!(told(reason), Kind::Other, "{reason}");
        }
        assert_eq!(
            told("An image does not exist locally with the tag: a/b"),
            Kind::NoSuchImage
        );
    }

    #[test]
    fn names_do_not_decide() {
        assert_eq!(
            told("unexpected reply for r.example/timeout/geofence:denied"),
            Kind::Other
        );
    }

    #[test]
    fn urls_lose_their_query_and_user() {
        assert_eq!(
            clean(
                "Put \"https://u:pw@r.example/v2/x?_state=s3cret&a=b\": EOF (see https://a.b/c?d=e), ok"
            ),
            "Put \"https://r.example/v2/x\": EOF (see https://a.b/c), ok"
        );
        assert_eq!(clean("realm=https://[?sig=s3cret"), "realm=…");
        assert_eq!(clean("no address  at all"), "no address  at all");
    }
}
