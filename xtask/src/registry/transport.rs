//! One HTTP exchange with a registry, its storage or its token server. Nothing goes over plain HTTP unless to loopback
//! or by configuration.

use std::sync::{OnceLock, RwLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Request, RequestBuilder, Response};
use url::Url;

use super::error::{Error, ErrorResponse};
use super::options::Options;
use super::resolve::PinnedResolver;
use crate::http::{self, Sent, is_loopback};
use crate::secret::{Redactor, public_url};

pub(super) struct Transport {
    base: Url,
    options: Options,
    pinned: PinnedResolver,
    /// Made by the first request: reading the system's certificates takes longer than many a run needs in all.
    client: OnceLock<Client>,
    /// What was sent that must not be shown when it is repeated.
    redactor: RwLock<Redactor>,
}

impl Transport {
    /// For a registry at `base`.
    pub(super) fn new(base: Url, options: Options) -> Transport {
        Transport {
            base,
            options,
            pinned: PinnedResolver::default(),
            client: OnceLock::new(),
            redactor: RwLock::default(),
        }
    }

    /// Sends a small request and awaits the head of its response.
    pub(super) async fn small(&self, request: Request) -> Result<Response, Error> {
        let stall = self.options.stall.request;
        self.exchange(request, stall, &Sent::default()).await
    }

    /// Sends `request`, whose body counts into `sent`, and awaits the head of its response.
    pub(super) async fn exchange(
        &self,
        request: Request,
        stall: Duration,
        sent: &Sent,
    ) -> Result<Response, Error> {
        let url = request.url().clone();
        if !is_allowed(&url, self.options.plain_http) {
            return Err(Error::protocol(&url, "it asks for plain http"));
        }
        let request = RequestBuilder::from_parts(self.client()?.clone(), request);
        http::send(request, stall, sent).await.map_err(|error| {
            if let http::Error::Broken {
                is_connect: true, ..
            } = error
            {
                self.pinned.release();
            }
            Error::http(&url, &error)
        })
    }

    /// The body of a response that is a document of at most `limit` bytes.
    pub(super) async fn document(
        &self,
        response: &mut Response,
        limit: usize,
    ) -> Result<Bytes, Error> {
        let body = http::document(response, self.options.stall.request, limit).await;
        body.map_err(|error| Error::http(response.url(), &error))
    }

    /// What a response that is not success says.
    pub(super) async fn refusal(&self, method: &Method, mut response: Response) -> ErrorResponse {
        let retry_after = http::retry_after(response.headers(), SystemTime::now());
        // Without its body a response still has its status.
        let body = self.document(&mut response, 1 << 16).await;
        let url = public_url(response.url());
        let (status, body) = (response.status().as_u16(), body.unwrap_or_default());
        let redactor = self.redactor.read().expect("no holder panics");
        ErrorResponse::new(method.as_str(), url, status, retry_after, &body, &redactor)
    }

    /// Masks more in what servers say from now on.
    pub(super) fn mask(&self, hide: impl FnOnce(&mut Redactor)) {
        hide(&mut self.redactor.write().expect("no holder panics"));
    }

    fn client(&self) -> Result<&Client, Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = http::client(&self.base, |builder| self.configure(builder));
        let client = client.map_err(|error| Error::http(&self.base, &error))?;
        Ok(self.client.get_or_init(|| client))
    }

    fn configure(&self, builder: ClientBuilder) -> ClientBuilder {
        let plain_http = self.options.plain_http;
        builder
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
            .dns_resolver(self.pinned.clone())
    }
}

fn is_allowed(url: &Url, plain_http: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => plain_http || is_loopback(url),
        _ => false,
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
