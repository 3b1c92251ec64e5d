//! What GitHub answered: bytes, or the error that they stand for.
//!
//! Refuses to know what was asked, but for its name. Invariant: time and memory are bounded, and an error holds what
//! the server said, never an address.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, LINK};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::error::Error;
use super::retry::rate_limit;
use crate::http;

/// How long an answer may take: the head, and each piece of its body.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// The largest answer that is read, in bytes: a page of a hundred releases with the longest notes GitHub takes.
const LARGEST: usize = 64 << 20;

/// The answer's head and body, or the error that it stands for.
pub(super) async fn read(
    what: &'static str,
    repository: &str,
    mut response: Response,
) -> Result<(HeaderMap, Vec<u8>), Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(LIMIT, response.chunk()).await {
            Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(unreachable(what, &error)),
            Err(_) => return Err(silent(what)),
        }
        if bytes.len() > LARGEST {
            let reason = format!("it is larger than {} MiB", LARGEST >> 20);
            return Err(Error::Unexpected { what, reason });
        }
    }
    if status.is_success() {
        return Ok((headers, bytes));
    }
    let complaint = ErrorBody::read(&bytes);
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

pub(super) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Unexpected {
        what,
        reason: error.to_string(),
    })
}

/// Never shows the address.
pub(super) fn unreachable(what: &'static str, error: &reqwest::Error) -> Error {
    Error::Unreachable {
        what,
        reason: http::reason(error),
    }
}

pub(super) fn silent(what: &'static str) -> Error {
    let reason = format!("no answer for {} s", LIMIT.as_secs());
    Error::Unreachable { what, reason }
}

/// RFC 8288: `<https://…?page=2>; rel="next", <…>; rel="last"`.
pub(super) fn next(headers: &HeaderMap, url: &Url) -> Option<Url> {
    let links = headers.get(LINK)?.to_str().ok()?;
    let link = links
        .split(',')
        .find(|link| link.contains("rel=\"next\""))?;
    let target = link.split_once('<')?.1.split_once('>')?.0;
    url.join(target).ok()
}

/// What the API says when it refuses: <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api>.
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
        // A proxy's page is no complaint of GitHub's: the status has to say enough.
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
        sentences.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_link_that_says_so() {
        let url = Url::parse("https://api.github.com/x?page=2").unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(next(&headers, &url), None);
        let links = r#"<https://api.github.com/x?page=1>; rel="prev", </x?page=3>; rel="next""#;
        headers.insert(LINK, links.parse().unwrap());
        assert_eq!(
            next(&headers, &url).unwrap().as_str(),
            "https://api.github.com/x?page=3"
        );
    }

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
