//! One GET: a response to read from, or why not and whether asking again may help. No reason holds an address, because
//! addresses carry signatures.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, RANGE};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::error::Error;
use crate::http::{self, Sent};
use crate::secret::Secret;

/// How long a request or a body may make no progress. Long, for the sake of transfers between continents.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// How often a source is asked before it is given up.
pub(super) const TRIES: u32 = 4;

/// Why a source did not give what was asked of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Asking the same source again may help.
    #[error("{0}")]
    Transient(String),
    #[error("{0}")]
    Final(String),
    /// This machine is at fault, so no source can help.
    #[error(transparent)]
    Machine(#[from] Error),
}

impl From<http::Error> for Failure {
    /// Of a request or a body that did not come to its end.
    fn from(error: http::Error) -> Self {
        match error {
            http::Error::TooLarge(_) => Failure::Final(error.to_string()),
            _ => Failure::Transient(error.to_string()),
        }
    }
}

impl Failure {
    pub fn is_transient(&self) -> bool {
        matches!(self, Failure::Transient(_))
    }
}

/// Asks for `url` from byte `from` on. A server that does not know ranges answers 200 and everything; one that cannot
/// serve this one answers 416; every other status outside 2xx is a [`Failure`].
pub(super) async fn get(
    client: &Client,
    url: &Secret<Url>,
    from: u64,
) -> Result<Response, Failure> {
    let mut request = client
        .get(url.expose().clone())
        // The stored bytes are wanted: their size and digest are known.
        .header(ACCEPT_ENCODING, "identity");
    if from > 0 {
        request = request.header(RANGE, format!("bytes={from}-"));
    }
    let response = http::send(request, STALL, &Sent::default()).await?;
    let status = response.status();
    if status.is_success() || (from > 0 && status == StatusCode::RANGE_NOT_SATISFIABLE) {
        return Ok(response);
    }
    let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    let reason = format!("the server answered {status}");
    Err(match status.is_server_error() || busy.contains(&status) {
        true => Failure::Transient(reason),
        false => Failure::Final(reason),
    })
}
