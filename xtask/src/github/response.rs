//! GitHub's responses: bytes, or the error that they stand for, with what the server said and no address.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::Error;
use super::retry::rate_limit;
use crate::foreign::Foreign;
use crate::http;

/// How long a response may make no progress.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// The largest response that is read, in bytes: a page of a hundred releases with the longest notes GitHub takes.
const LARGEST: usize = 64 << 20;

/// A successful response.
pub(super) struct Reply {
    what: &'static str,
    pub headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::Unexpected {
            what: self.what,
            reason: error.to_string(),
        })
    }
}

/// The response to the end, or the error that it stands for.
pub(super) async fn read(
    what: &'static str,
    repository: &str,
    mut response: Response,
) -> Result<Reply, Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let body = http::document(&mut response, STALL, LARGEST).await;
    let body = body.map_err(|error| failed(what, error))?;
    if status.is_success() {
        return Ok(Reply {
            what,
            headers,
            body,
        });
    }
    let complaint = ErrorBody::read(&body);
    let (exists, message) = (complaint.exists(), complaint.sentence());
    let repository = repository.to_owned();
    if let Some(wait) = rate_limit(status, &headers, &message, SystemTime::now()) {
        return Err(Error::RateLimited { what, wait });
    }
    Err(match status {
        StatusCode::UNAUTHORIZED => Error::TokenRefused { message },
        StatusCode::FORBIDDEN => Error::Forbidden {
            what,
            repository,
            message,
        },
        StatusCode::NOT_FOUND => Error::NotFound { what, repository },
        StatusCode::UNPROCESSABLE_ENTITY if exists => Error::Exists { what, message },
        status => Error::Refused {
            what,
            status: status.as_u16(),
            message,
        },
    })
}

/// A request or a body that did not come to its end.
pub(super) fn failed(what: &'static str, error: http::Error) -> Error {
    let reason = error.to_string();
    match error {
        http::Error::TooLarge(_) | http::Error::NotHttp(_) => Error::Unexpected { what, reason },
        http::Error::Stalled(_) | http::Error::Slow { .. } | http::Error::Broken { .. } => {
            Error::Unreachable { what, reason }
        }
    }
}

/// The body of a refusal:
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api>.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    message: String,
    /// Objects mostly, sometimes plain strings.
    #[serde(default)]
    errors: Vec<Value>,
}

impl ErrorBody {
    fn read(bytes: &[u8]) -> Self {
        // A proxy's page is not GitHub's: then the status has to do.
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    fn exists(&self) -> bool {
        self.errors
            .iter()
            .any(|error| error["code"] == "already_exists")
    }

    fn sentence(&self) -> String {
        let details = self.errors.iter().map(|error| match error {
            Value::String(text) => text.clone(),
            error => {
                let texts = ["resource", "field", "code", "message"].map(|key| error[key].as_str());
                texts.into_iter().flatten().collect::<Vec<_>>().join(" ")
            }
        });
        let message = match self.message.as_str() {
            "" => "no reason given",
            message => message,
        };
        let mut sentences = vec![message.to_owned()];
        sentences.extend(details);
        Foreign::new(&sentences.join(", ")).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_details() {
        let complaint = ErrorBody::read(
            br#"{"message": "Validation Failed", "errors": [
                {"resource": "Release", "code": "already_exists", "field": "tag_name"}, "and so on"]}"#,
        );
        assert!(complaint.exists());
        assert_eq!(
            complaint.sentence(),
            "Validation Failed, Release tag_name already_exists, and so on"
        );
        assert_eq!(ErrorBody::read(b"<html>").sentence(), "no reason given");
    }
}
