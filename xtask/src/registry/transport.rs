//! One HTTP exchange: sent, awaited, and its body read, none of it for ever.
//!
//! It refuses to know authentication, retries and what an answer means. Invariant: nothing goes over plain HTTP unless
//! to loopback or by configuration, and an exchange ends when it makes no progress for the stall timeout, however
//! large its bodies are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Request, Response};
use url::Url;

use super::client::Options;
use super::error::{Error, ErrorResponse, Failure};
use super::resolve::PinnedResolver;
use crate::http::{self, is_loopback};
use crate::secret::public_url;

pub(super) struct Transport {
    base: Url,
    options: Options,
    pinned: PinnedResolver,
    /// Made by the first request: reading the system's certificates takes longer than many a run needs in all.
    client: OnceLock<Client>,
}

/// Counts pieces of a request body as they are taken, so that a slow upload is not taken for a dead one.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(super) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn steps(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Transport {
    /// For a registry at `base`.
    pub(super) fn new(base: Url, options: Options) -> Transport {
        Transport {
            base,
            options,
            pinned: PinnedResolver::default(),
            client: OnceLock::new(),
        }
    }

    /// Sends `request` and awaits the head of its answer.
    pub(super) async fn exchange(
        &self,
        request: Request,
        progress: &Progress,
    ) -> Result<Response, Error> {
        let url = request.url().clone();
        if !is_allowed(&url, self.options.plain_http) {
            return Err(Error::Protocol {
                url: public_url(&url),
                reason: "it asks for plain http".to_owned(),
            });
        }
        let mut answer = std::pin::pin!(self.client()?.execute(request));
        let mut seen = progress.steps();
        loop {
            match tokio::time::timeout(self.options.stall_timeout, &mut answer).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => {
                    if error.is_connect() {
                        self.pinned.release();
                    }
                    return Err(unreachable(&url, &error));
                }
                Err(_) if progress.steps() > seen => seen = progress.steps(),
                Err(_) => return Err(self.stalled(&url)),
            }
        }
    }

    /// The next piece of an answer's body.
    pub(super) async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Error> {
        match tokio::time::timeout(self.options.stall_timeout, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|e| unreachable(response.url(), &e)),
            Err(_) => Err(self.stalled(response.url())),
        }
    }

    /// The whole body of an answer that is small by its nature; at most `limit` bytes.
    pub(super) async fn body(&self, response: &mut Response, limit: usize) -> Result<Bytes, Error> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk(response).await? {
            if body.len() + chunk.len() > limit {
                return Err(Error::Protocol {
                    url: public_url(response.url()),
                    reason: format!("more than {limit} bytes where a short document belongs"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// What an answer that is not success says.
    pub(super) async fn failure(&self, method: &Method, mut response: Response) -> Failure {
        let retry_after = http::retry_after(response.headers(), SystemTime::now());
        // What a broken body could have added is not worth losing the status for.
        let body = self.body(&mut response, 1 << 16).await.unwrap_or_default();
        let url = public_url(response.url());
        Failure {
            answer: ErrorResponse::new(method.as_str(), url, response.status().as_u16(), &body),
            retry_after,
        }
    }

    fn client(&self) -> Result<&Client, Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = http::client(&self.base, || self.builder());
        let client = client.map_err(|e| unreachable(&self.base, &e))?;
        Ok(self.client.get_or_init(|| client))
    }

    fn builder(&self) -> ClientBuilder {
        let plain_http = self.options.plain_http;
        Client::builder()
            // One HTTP/2 window shared by all bodies throttles parallel blobs (hyperium/hyper#1813).
            .http1_only()
            .redirect(Policy::custom(move |attempt| {
                if attempt.previous().len() > 5 {
                    attempt.error("too many redirects")
                } else if is_allowed(attempt.url(), plain_http) {
                    attempt.follow()
                } else {
                    attempt.error("a redirect to plain http")
                }
            }))
            // Shorter than the minute after which common proxies close idle connections.
            .pool_idle_timeout(Duration::from_secs(30))
            .connect_timeout(self.options.connect_timeout)
            .dns_resolver(self.pinned.clone())
    }

    fn stalled(&self, url: &Url) -> Error {
        Error::Unreachable {
            url: public_url(url),
            reason: format!("no progress for {:?}", self.options.stall_timeout),
        }
    }
}

fn is_allowed(url: &Url, plain_http: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => plain_http || is_loopback(url),
        _ => false,
    }
}

fn unreachable(url: &Url, error: &reqwest::Error) -> Error {
    Error::Unreachable {
        url: public_url(url),
        reason: http::reason(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_or_by_configuration() {
        let allowed = |url: &str, plain_http| is_allowed(&Url::parse(url).unwrap(), plain_http);
        for url in [
            "https://ghcr.io/",
            "http://127.0.0.1:5000/",
            "http://127.8.8.8/",
            "http://[::1]:5000/",
            "http://localhost/",
        ] {
            assert!(allowed(url, false), "{url}");
        }
        for url in [
            "http://ghcr.io/",
            "http://10.0.0.1:5000/",
            "http://localhost.example/",
        ] {
            assert!(!allowed(url, false), "{url}");
            assert!(allowed(url, true), "{url}");
        }
        assert!(!allowed("ftp://localhost/", true));
    }
}
