//! One GET: an answer to read from, or why not and whether asking again may help.
//!
//! Refuses to know what the bytes are. Invariant: no wait is unbounded, no total time is; and no reason holds an
//! address, since addresses carry signatures.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT_ENCODING, RANGE};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::http;
use crate::secret::Secret;

/// How long to wait for the connection and the answer's head together.
const ANSWER: Duration = Duration::from_secs(60);

/// How long a body may make no progress. Long, for the sake of transfers between continents.
const STALL: Duration = Duration::from_secs(60);

/// How often each source is asked before it is given up.
pub(super) const ROUNDS: u32 = 4;

/// Why a GET gave nothing usable.
pub(super) struct Failure {
    pub reason: String,
    /// Asking the same source again may help.
    pub transient: bool,
}

impl Failure {
    pub fn passing(reason: String) -> Self {
        Failure {
            reason,
            transient: true,
        }
    }

    pub fn lasting(reason: String) -> Self {
        Failure {
            reason,
            transient: false,
        }
    }
}

/// Asks for `url` from byte `from` on. A server that does not know ranges answers 200 and everything; one that cannot
/// serve this one answers 416; every other status outside 2xx is a [`Failure`].
///
/// `http` must not send `Referer` (reqwest does by default): a redirect would hand the signature to another host.
pub(super) async fn get(http: &Client, url: &Secret<Url>, from: u64) -> Result<Response, Failure> {
    let mut request = http
        .get(url.expose().clone())
        // The stored bytes are wanted: their size and digest are known.
        .header(ACCEPT_ENCODING, "identity");
    if from > 0 {
        request = request.header(RANGE, format!("bytes={from}-"));
    }
    let response = tokio::time::timeout(ANSWER, request.send())
        .await
        .map_err(|_| Failure::passing(format!("no answer in {} s", ANSWER.as_secs())))?
        .map_err(|error| Failure::passing(http::reason(&error)))?;
    let status = response.status();
    if status.is_success() || (from > 0 && status == StatusCode::RANGE_NOT_SATISFIABLE) {
        return Ok(response);
    }
    let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    Err(Failure {
        reason: format!("the server answered {status}"),
        transient: status.is_server_error() || busy.contains(&status),
    })
}

/// The next piece of the body, or `None` at its end.
pub(super) async fn chunk(response: &mut Response) -> Result<Option<Bytes>, Failure> {
    tokio::time::timeout(STALL, response.chunk())
        .await
        .map_err(|_| Failure::passing(format!("nothing arrived for {} s", STALL.as_secs())))?
        .map_err(|error| Failure::passing(http::reason(&error)))
}

/// Waits before round `round`: nothing before the first.
pub(super) async fn pause(round: u32) {
    if round > 0 {
        tokio::time::sleep(http::backoff(round)).await;
    }
}
