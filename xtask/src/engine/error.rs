//! What can go wrong with an engine, and what is worth another try.
//!
//! An engine reports a registry's refusal as a line of text and no more, so its kind is read from that text here.

use std::time::Duration;

use super::stream::StreamError;
use crate::foreign::Foreign;
use crate::image::context::ContextError;
use crate::oci::Reference;

/// Why an engine did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing responds at the address.
    #[error("no container engine answers at `{host}`: {reason}; hint: {hint}")]
    NoEngine {
        host: String,
        reason: String,
        hint: &'static str,
    },
    /// The build context cannot be read.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The build failed; `log` holds its last lines.
    #[error("the build failed: {reason}{}", indented(log))]
    Build { reason: String, log: Vec<String> },
    /// The engine holds no image of that name.
    #[error("the engine has no image `{0}`")]
    NoSuchImage(String),
    /// The registry refuses the user or the password, or requires them and got none.
    #[error("the registry refused the credentials for `{reference}`: {reason}")]
    CredentialsRefused { reference: String, reason: String },
    /// The registry knows the user, who may not push there.
    #[error(
        "the registry denied the push of `{reference}`: {reason}; \
         hint: does the namespace exist, and may the user push to it?"
    )]
    Denied { reference: String, reason: String },
    /// The registry cannot be reached, is overloaded, or closed the connection.
    #[error("the push of `{reference}` failed: {reason}")]
    Transient { reference: String, reason: String },
    /// The registry refuses the push for another reason.
    #[error("the registry refused `{reference}`: {reason}")]
    Refused { reference: String, reason: String },
    #[error("the {what} stalled: the engine sent nothing for {} minutes", idle.as_secs() / 60)]
    Stalled { what: String, idle: Duration },
    /// The engine failed, or the connection to it did.
    #[error("the engine failed at the {what}: {reason}")]
    Engine { what: String, reason: String },
}

impl Error {
    /// Whether the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Transient { .. } | Error::Stalled { .. })
    }

    /// The error of `what` ("push of `…`"), if nothing more specific is known.
    pub(super) fn from_stream(what: String, error: StreamError) -> Error {
        match error {
            StreamError::IdleTimeout(idle) => Error::Stalled { what, idle },
            StreamError::Reported(_, reason) | StreamError::Disconnected(reason) => {
                Error::Engine { what, reason }
            }
        }
    }

    /// The error of a push, by what the engine reports.
    pub(super) fn push(reference: &Reference, error: StreamError) -> Error {
        let (status, reason) = match error {
            StreamError::Reported(status, reason) => (status, reason),
            error => return Error::from_stream(format!("push of `{reference}`"), error),
        };
        let reference = reference.to_string();
        let kind = kind(status, &reason);
        let reason = Foreign::new(&reason).to_string();
        match kind {
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

/// Texts of dockerd, containerd, Go's network library and registries that show a kind.
///
/// The first match counts: an overloaded registry may say "denied" (GHCR), and an unknown user is "unauthorized" where
/// a known one is "not authorized" (Quay).
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

/// The kind of a refusal. `status` is that of the engine's response, not of the registry's.
fn kind(status: Option<u16>, reason: &str) -> Kind {
    // Without URLs and references: an image may be called `ns/geofence`.
    let words: Vec<&str> = reason
        .split_whitespace()
        .filter(|word| !word.contains('/'))
        .collect();
    let text = words.join(" ").to_lowercase();
    let found = PATTERNS
        .iter()
        .find(|(_, patterns)| patterns.iter().any(|pattern| text.contains(pattern)));
    match found {
        Some((kind, _)) => *kind,
        None if has_transient_status(&text) => Kind::Transient,
        None if status == Some(404) => Kind::NoSuchImage,
        None => Kind::Other,
    }
}

/// "received unexpected HTTP status: 503 Service Unavailable", "error parsing HTTP 502 response body: …".
fn has_transient_status(text: &str) -> bool {
    (text.contains("http") || text.contains("status"))
        && text
            .split_whitespace()
            .any(|word| matches!(word, "408" | "429" | "500" | "502" | "503" | "504"))
}

fn indented(log: &[String]) -> String {
    log.iter().map(|line| format!("\n  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(reason: &str) -> Kind {
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
            assert_eq!(kind_of(reason), Kind::Credentials, "{reason}");
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
            assert_eq!(kind_of(reason), Kind::Denied, "{reason}");
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
            assert_eq!(kind_of(reason), Kind::Transient, "{reason}");
        }
    }

    #[test]
    fn the_rest_is_neither() {
        for reason in [
            "Get \"https://127.0.0.1/v2/\": http: server gave HTTP response to HTTPS client",
            "x509: certificate signed by unknown authority",
            "manifest invalid: manifest invalid",
        ] {
            assert_eq!(kind_of(reason), Kind::Other, "{reason}");
        }
        assert_eq!(
            kind_of("An image does not exist locally with the tag: a/b"),
            Kind::NoSuchImage
        );
    }

    #[test]
    fn names_do_not_decide() {
        assert_eq!(
            kind_of("unexpected reply for r.example/timeout/geofence:denied"),
            Kind::Other
        );
    }
}
