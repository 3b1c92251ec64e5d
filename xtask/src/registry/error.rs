//! What can go wrong between a client and a registry, as the cases a caller branches on. No message holds a secret or
//! a URL's query.

use std::fmt;
use std::time::Duration;

use reqwest::Response;
use url::Url;

use super::{error_body, rate_limiter};
use crate::foreign::Foreign;
use crate::http;
use crate::oci::{Digest, ManifestError, ReferenceError};
use crate::secret::{Redactor, public_url};

/// Why a registry did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The login itself was refused. Never tried again: repeated failures lock the user at Docker Hub.
    #[error(
        "`{host}` refused the login: {response}; hint: check the user name and the password or token"
    )]
    Rejected {
        host: String,
        response: Box<ErrorResponse>,
    },
    /// These credentials, or none, may not do that.
    #[error("{response}; hint: does `{namespace}` exist, and may {who} do that there?")]
    Denied {
        namespace: String,
        who: &'static str,
        response: Box<ErrorResponse>,
    },
    #[error("{0}")]
    NotFound(Box<ErrorResponse>),
    /// 429 on any request, a 503 that names a time, and GitHub's 403 that speaks of its rate limit.
    #[error("{response}; the registry asks for a pause{time}", response = .0, time = of_time(.0.retry_after))]
    RateLimited(Box<ErrorResponse>),
    /// No response: DNS, connection, TLS, a broken connection or one without progress.
    #[error("`{url}` cannot be reached: {reason}")]
    Unreachable { url: String, reason: String },
    /// 413.
    #[error(
        "{0}; hint: a limit of the registry, or of a proxy before it, on the size of one request"
    )]
    TooLarge(Box<ErrorResponse>),
    /// A manifest was refused because something it refers to is not in the repository.
    #[error("{0}; something the manifest refers to is not in the repository")]
    ChildMissing(Box<ErrorResponse>),
    /// The upload has to start again with its body: it was cut short, or its session is gone, missed bytes, or lost its
    /// token half-way.
    #[error("{0}; the upload has to start again")]
    UploadLost(Box<Error>),
    /// Any other response that is not success.
    #[error("{0}")]
    Status(Box<ErrorResponse>),
    /// Content that does not have its digest.
    #[error("`{url}` sent content with the digest `{actual}` instead of `{expected}`")]
    DigestMismatch {
        url: String,
        expected: Digest,
        actual: Digest,
    },
    /// A success after which what was sent is not there.
    #[error("`{url}` answered {status}, but {what} is not there")]
    Unproven {
        url: String,
        status: u16,
        what: String,
    },
    /// A response that the distribution specification does not allow.
    #[error("`{url}` answered against the specification: {}", Foreign::new(.reason))]
    Protocol { url: String, reason: String },
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The registry's name, or a tag in its list, is not one.
    #[error(transparent)]
    Name(#[from] ReferenceError),
    /// The body of an upload could not be read; the registry is not at fault.
    #[error("the content to upload could not be read: {0}")]
    Source(String),
}

/// A response that was not success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    pub method: String,
    /// Without its query.
    pub url: String,
    pub status: u16,
    /// The specification's error code, `MANIFEST_UNKNOWN`, if the body held one.
    pub code: Option<String>,
    /// What the body said, shortened; often empty.
    pub message: Foreign,
    /// How long the registry asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// A request or a body that did not come to its end.
    pub(super) fn http(url: &Url, error: &http::Error) -> Error {
        match error {
            http::Error::TooLarge(_) => Error::protocol(url, error.to_string()),
            _ => Error::unreachable(url, error.to_string()),
        }
    }

    pub(super) fn unreachable(url: &Url, reason: String) -> Error {
        let url = public_url(url);
        Error::Unreachable { url, reason }
    }

    /// A response that the distribution specification does not allow.
    pub(super) fn protocol(url: &Url, reason: impl Into<String>) -> Error {
        Error::Protocol {
            url: public_url(url),
            reason: reason.into(),
        }
    }

    /// `response` is a success, and yet `what` was sent is not there.
    pub(super) fn unproven(response: &Response, what: &str) -> Error {
        Error::Unproven {
            url: public_url(response.url()),
            status: response.status().as_u16(),
            what: format!("`{what}`"),
        }
    }

    /// Whether the same request may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::RateLimited(_)
            | Error::Unreachable { .. }
            | Error::UploadLost(_)
            | Error::Unproven { .. }
            | Error::DigestMismatch { .. } => true,
            Error::Status(response) => {
                matches!(response.status, 408 | 425 | 500 | 502..=504 | 506..)
            }
            _ => false,
        }
    }

    /// Whether a registry that limits the rate lets requests in again soon enough to be waited for.
    pub fn is_worth_waiting(&self) -> bool {
        match self {
            Error::RateLimited(response) => {
                response.retry_after.unwrap_or_default() <= rate_limiter::LONGEST_PAUSE
            }
            _ => true,
        }
    }

    /// Whether the registry gave no answer, also in the middle of an upload.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Error::UploadLost(cause) => cause.is_unreachable(),
            _ => matches!(self, Error::Unreachable { .. }),
        }
    }

    /// The HTTP status, if there was a response.
    pub fn status(&self) -> Option<u16> {
        self.response().map(|response| response.status)
    }

    /// The response that is the error, if there was one.
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Error::Rejected { response, .. }
            | Error::Denied { response, .. }
            | Error::RateLimited(response)
            | Error::NotFound(response)
            | Error::TooLarge(response)
            | Error::ChildMissing(response)
            | Error::Status(response) => Some(response),
            Error::UploadLost(cause) => cause.response(),
            _ => None,
        }
    }
}

impl ErrorResponse {
    /// Decides which case it is; a denial names `namespace` and `who` was denied.
    pub(super) fn into_error(mut self, namespace: String, who: &'static str) -> Error {
        let is_timed = self.retry_after.is_some();
        let is_limit = match self.status {
            429 => true,
            503 => is_timed,
            // GitHub's secondary limit; it asks for at least a minute.
            403 if is_timed || self.message.as_str().to_lowercase().contains("rate limit") => {
                self.retry_after.get_or_insert(Duration::from_secs(60));
                true
            }
            _ => false,
        };
        let response = Box::new(self);
        let code = response.code.as_deref().unwrap_or_default();
        match (response.status, code) {
            _ if is_limit => Error::RateLimited(response),
            (401 | 403, _) => Error::Denied {
                namespace,
                who,
                response,
            },
            (413, _) => Error::TooLarge(response),
            (_, "MANIFEST_BLOB_UNKNOWN") => Error::ChildMissing(response),
            (_, "BLOB_UNKNOWN" | "MANIFEST_UNKNOWN") if response.method == "PUT" => {
                Error::ChildMissing(response)
            }
            (416, _) if response.method != "GET" => {
                Error::UploadLost(Error::Status(response).into())
            }
            (_, "BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID" | "DIGEST_INVALID")
                if response.url.rsplit('/').nth(1) != Some("manifests") =>
            {
                Error::UploadLost(Error::Status(response).into())
            }
            (404, _) => Error::NotFound(response),
            _ => Error::Status(response),
        }
    }

    /// With what `body` says. Servers repeat what was sent to them: `redactor` masks the login before anything is
    /// shortened.
    pub(super) fn new(
        method: &str,
        url: String,
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
        redactor: &Redactor,
    ) -> ErrorResponse {
        let (code, message) = error_body::read(body, redactor);
        ErrorResponse {
            method: method.to_owned(),
            url: redactor.redact(&url).into_owned(),
            status,
            code,
            message,
            retry_after,
        }
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{} {}` answered {}", self.method, self.url, self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if !self.message.as_str().is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// As people say it, if the registry has named a time.
fn of_time(time: Option<Duration>) -> String {
    time.map_or_else(String::new, |it| {
        format!(
            " of {}",
            humantime::format_duration(Duration::from_secs(it.as_secs()))
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(method: &str, status: u16, body: &str, retry_after: Option<u64>) -> Error {
        let response = ErrorResponse::new(
            method,
            "https://r/v2/ns/a/x".to_owned(),
            status,
            retry_after.map(Duration::from_secs),
            body.as_bytes(),
            &Redactor::default(),
        );
        response.into_error("r/ns".to_owned(), "this user")
    }

    fn coded(code: &str) -> String {
        format!(r#"{{"errors":[{{"code":"{code}","message":"some words"}}]}}"#)
    }

    #[test]
    fn the_registrys_words_are_kept() {
        assert_eq!(
            error("PUT", 400, &coded("MANIFEST_INVALID"), None).to_string(),
            "`PUT https://r/v2/ns/a/x` answered 400 MANIFEST_INVALID: some words"
        );
        assert_eq!(
            error("GET", 500, "<html>nginx</html>", None).to_string(),
            "`GET https://r/v2/ns/a/x` answered 500"
        );
    }

    #[test]
    fn what_a_registry_says_is_one_line_of_bounded_length() {
        let body =
            r#"{"errors":[{"code":"A\n::error::b","message":"c\n2026-01-01 created\u001b[2J"}]}"#;
        assert_eq!(
            error("PUT", 400, body, None).to_string(),
            "`PUT https://r/v2/ns/a/x` answered 400: c 2026-01-01 created\u{fffd}[2J"
        );
        let long = coded("DENIED").replace("some words", &"x ".repeat(1_000_000));
        assert!(error("PUT", 400, &long, None).to_string().len() < 400);
    }

    #[test]
    fn a_denial_asks_whether_the_namespace_exists() {
        let text = error("POST", 403, &coded("DENIED"), None).to_string();
        assert!(
            text.ends_with("hint: does `r/ns` exist, and may this user do that there?"),
            "{text}"
        );
    }

    #[test]
    fn githubs_secondary_limit_is_a_limit_and_other_403_are_final() {
        let body = r#"{"message":"You have exceeded a secondary rate limit."}"#;
        let limited = error("PUT", 403, body, None);
        assert!(limited.is_transient());
        assert!(matches!(
            limited,
            Error::RateLimited(response) if response.retry_after == Some(Duration::from_secs(60))
        ));
        assert!(matches!(
            error("HEAD", 403, "", Some(5)),
            Error::RateLimited(_)
        ));
        assert!(!error("PUT", 403, "no", None).is_transient());
        assert!(matches!(
            error("GET", 503, "", Some(5)),
            Error::RateLimited(_)
        ));
    }

    #[test]
    fn each_answer_is_the_case_it_means() {
        type Case = (&'static str, u16, &'static str, fn(&Error) -> bool);
        let cases: [Case; 9] = [
            ("GET", 429, "", |e| matches!(e, Error::RateLimited(_))),
            ("PUT", 413, "", |e| matches!(e, Error::TooLarge(_))),
            ("PUT", 404, "MANIFEST_BLOB_UNKNOWN", |e| {
                matches!(e, Error::ChildMissing(_))
            }),
            ("PUT", 400, "MANIFEST_UNKNOWN", |e| {
                matches!(e, Error::ChildMissing(_))
            }),
            ("GET", 404, "MANIFEST_UNKNOWN", |e| {
                matches!(e, Error::NotFound(_))
            }),
            ("PUT", 404, "BLOB_UPLOAD_UNKNOWN", |e| {
                matches!(e, Error::UploadLost(_)) && e.is_transient()
            }),
            ("PATCH", 416, "", |e| matches!(e, Error::UploadLost(_))),
            ("GET", 503, "", Error::is_transient),
            ("GET", 501, "", |e| !e.is_transient()),
        ];
        for (method, status, code, is_right) in cases {
            let error = error(method, status, &coded(code), None);
            assert!(is_right(&error), "{error:?}");
            assert_eq!(error.status(), Some(status));
        }
    }

    #[test]
    fn a_signed_url_in_a_body_loses_its_signature() {
        let text = error(
            "GET",
            403,
            "denied: https://blob/x?sig=SECRET was used",
            None,
        )
        .to_string();
        assert!(
            text.contains("https://blob/x was used") && !text.contains("SECRET"),
            "{text}"
        );
    }

    #[test]
    fn a_login_that_a_server_repeats_is_masked_before_the_text_is_cut() {
        let password = "C4nary-pass-word-of-some-length-0123456789";
        let mut redactor = Redactor::default();
        redactor.add_login("u", &crate::secret::Secret::new(password.to_owned()));
        let body = format!(
            r#"{{"errors":[{{"code":"{password}","message":"{} {password}"}}]}}"#,
            "y".repeat(270)
        );
        let response =
            ErrorResponse::new("PUT", String::new(), 400, None, body.as_bytes(), &redactor);
        assert!(!response.to_string().contains("C4nary"), "{response}");
    }
}
