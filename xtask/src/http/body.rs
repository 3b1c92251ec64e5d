//! Requests and bodies that end: each fails when it makes no progress for its stall limit, and a document when it is
//! longer than its reader allows, or drips. What is no document has no limit in all: a large blob on a slow line takes
//! hours.

use std::error::Error as _;
use std::iter::successors;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{RequestBuilder, Response};
use tokio::time::{Instant, timeout_at};

use super::{proxy, tls_error};

/// Why there is no response, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no progress for {0:?}")]
    Stalled(Duration),
    #[error("only {bytes} bytes in {within:?}")]
    Slow { bytes: usize, within: Duration },
    #[error("more than {0} bytes")]
    TooLarge(usize),
    /// An answer that cannot be read.
    #[error("{0}")]
    NotHttp(String),
    /// No connection, or one that broke.
    #[error("{reason}")]
    Broken { reason: String, is_connect: bool },
}

impl From<reqwest::Error> for Error {
    /// Keeps the innermost cause, which is the one that helps.
    fn from(error: reqwest::Error) -> Self {
        let causes = || successors(error.source(), |&cause| cause.source());
        let innermost = causes().last();
        let innermost = innermost.filter(|cause| !cause.is::<reqwest::Error>());
        let is_https = error.url().is_some_and(|it| it.scheme() == "https");
        let reason = match (causes().find_map(tls_error::find), innermost) {
            (Some(tls), _) => tls_error::explained(tls),
            // Closed after the handshake, before its reason was read.
            (None, Some(cause)) if is_https && causes().any(is_canceled) => {
                format!("{cause}; {}", tls_error::CLIENT_CERTIFICATE)
            }
            (None, Some(cause)) => cause.to_string(),
            // reqwest's own text would end in the whole URL.
            (None, None) if error.is_timeout() => "timed out".to_owned(),
            (None, None) => "the request failed".to_owned(),
        };
        let proxy = error.url().filter(|_| error.is_connect());
        let reason = match proxy.and_then(proxy::asked_for) {
            Some(proxy) => format!("{reason}, by way of the proxy `{proxy}`"),
            None => reason,
        };
        let mut hyper = causes().filter_map(|cause| cause.downcast_ref::<hyper::Error>());
        if hyper.any(hyper::Error::is_parse) {
            return Error::NotHttp(reason);
        }
        Error::Broken {
            reason,
            is_connect: error.is_connect(),
        }
    }
}

/// Whether a request was given up before any of it was sent.
fn is_canceled(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref().is_some_and(hyper::Error::is_canceled)
}

/// Counts the bytes of a request's body that the connection has taken, so that a slow upload does not count as a
/// stalled one.
#[derive(Clone, Default)]
pub struct Sent(Arc<AtomicU64>);

impl Sent {
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends `request`, whose body counts into `sent`, and awaits the head of its response.
pub async fn send(
    request: RequestBuilder,
    stall: Duration,
    sent: &Sent,
) -> Result<Response, Error> {
    let mut response = std::pin::pin!(request.send());
    let mut seen = sent.bytes();
    loop {
        match tokio::time::timeout(stall, &mut response).await {
            Ok(response) => return Ok(response?),
            Err(_) if sent.bytes() > seen => seen = sent.bytes(),
            Err(_) => return Err(Error::Stalled(stall)),
        }
    }
}

/// The next piece of a response's body, or `None` at its end.
pub async fn chunk(response: &mut Response, stall: Duration) -> Result<Option<Bytes>, Error> {
    match tokio::time::timeout(stall, response.chunk()).await {
        Ok(chunk) => Ok(chunk?),
        Err(_) => Err(Error::Stalled(stall)),
    }
}

/// The whole body of a response, which is a document of at most `limit` bytes. Beyond the stall limit it may take a
/// second for each [`SLOWEST`] bytes.
pub async fn document(
    response: &mut Response,
    stall: Duration,
    limit: usize,
) -> Result<Bytes, Error> {
    let begun = Instant::now();
    let mut body = BytesMut::new();
    loop {
        let within = stall + Duration::from_secs_f64(body.len() as f64 / SLOWEST);
        let Ok(next) = timeout_at(begun + within, chunk(response, stall)).await else {
            let bytes = body.len();
            return Err(Error::Slow { bytes, within });
        };
        match next? {
            Some(chunk) if body.len() + chunk.len() > limit => return Err(Error::TooLarge(limit)),
            Some(chunk) => body.extend_from_slice(&chunk),
            None => return Ok(body.freeze()),
        }
    }
}

/// Bytes a second.
const SLOWEST: f64 = 16_384.0;

/// What comes of a body `within` this time, and of that the first `limit` bytes.
pub async fn beginning(response: &mut Response, within: Duration, limit: usize) -> Bytes {
    let end = Instant::now() + within;
    let mut body = BytesMut::new();
    while body.len() < limit
        && let Ok(Ok(Some(chunk))) = timeout_at(end, response.chunk()).await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(limit);
    body.freeze()
}
