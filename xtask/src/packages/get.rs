//! One GET: a response to read from, or why not and whether asking again may help. No reason holds an address, because
//! addresses carry signatures.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, RANGE};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::http::{self, Sent};
use crate::secret::Secret;

/// How long a request or a body may make no progress. Long, for the sake of transfers between continents.
pub(super) const STALL: Duration = Duration::from_secs(60);

/// How often a source is asked before it is given up.
pub(super) const TRIES: u32 = 4;

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

    /// Of a request or a body that did not come to its end.
    pub fn http(error: http::Error) -> Self {
        Failure {
            reason: error.to_string(),
            transient: !matches!(error, http::Error::TooLarge(_)),
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
    let response = http::send(request, STALL, &Sent::default()).await;
    let response = response.map_err(Failure::http)?;
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
