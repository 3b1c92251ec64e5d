//! What the repositories of one registry share. Every request goes through here: it waits for the rate limiter, signs
//! in, and is tried again if it can be sent twice. What cannot, the streamed body of an upload, its owner makes again.
//!
//! Credentials go to the registry's own origin and to no other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use log::{info, warn};
use reqwest::header::AUTHORIZATION;
use reqwest::{Method, Request, Response, StatusCode};
use url::Url;

use super::auth::{Access, Auth, Authorization, Challenge, Scope};
use super::error::Error;
use super::head_support::HeadSupport;
use super::listing_support::ListingSupport;
use super::open_uploads::OpenUploads;
use super::options::Options;
use super::rate_limiter::RateLimiter;
use super::referrer_support::ReferrerSupport;
use super::transport::Transport;
use super::window::{FIRST, Window};
use super::writes::Writes;
use crate::credentials::Credentials;
use crate::http::{self, Sent, is_loopback};
use crate::oci::{DOCKER_HUB, ReferenceError, canonical_host};

pub(super) struct Connection {
    pub base: Url,
    pub options: Options,
    pub head_support: HeadSupport,
    pub referrer_support: ReferrerSupport,
    pub listing_support: ListingSupport,
    transport: Transport,
    pub auth: Auth,
    rate_limiter: RateLimiter,
    window: Window,
    /// Of manifests, and of blobs, as far as their requests are small.
    pub manifest_writes: Writes,
    pub blob_writes: Writes,
    pub open_uploads: OpenUploads,
    /// Whether one request has come back.
    opened: AtomicBool,
    /// Held by the very first request, so that one request learns the challenge and one tries a wrong password, however
    /// many start together.
    opening: tokio::sync::Mutex<()>,
    /// Whether any request has got a response.
    answered: AtomicBool,
    /// Whether `/v2/` was asked who may come in.
    asked: tokio::sync::OnceCell<()>,
}

/// Requests that write manifests, and those that write blobs, before any has gone well.
const FIRST_MANIFESTS: usize = 20;
const FIRST_BLOBS: usize = 32;

impl Connection {
    pub(super) fn new(
        host: &str,
        credentials: Credentials,
        options: Options,
    ) -> Result<Connection, Error> {
        let host = canonical_host(host)?;
        let base = base_url(&host)?;
        let transport = Transport::new(base.clone(), options);
        transport.mask(|redactor| credentials.hide(redactor));
        Ok(Connection {
            base,
            transport,
            options,
            head_support: HeadSupport::default(),
            referrer_support: ReferrerSupport::default(),
            listing_support: ListingSupport::default(),
            rate_limiter: match host == DOCKER_HUB {
                true => RateLimiter::docker_hub(options.share),
                false => RateLimiter::unlimited(),
            },
            open_uploads: OpenUploads::default(),
            window: Window::starting(FIRST),
            manifest_writes: Writes::starting(FIRST_MANIFESTS),
            blob_writes: Writes::starting(FIRST_BLOBS),
            auth: Auth::new(&host, credentials),
            opened: AtomicBool::new(false),
            opening: tokio::sync::Mutex::new(()),
            answered: AtomicBool::new(false),
            asked: tokio::sync::OnceCell::new(),
        })
    }

    /// Whether `error` is the refusal of another host, to which this one has sent.
    pub(super) fn is_of_another(&self, error: &Error) -> bool {
        let refused = matches!(error.status(), Some(401 | 403));
        let from = error.response().and_then(|it| Url::parse(&it.url).ok());
        refused && from.is_some_and(|url| !self.is_ours(&url))
    }

    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Repeats `attempt` while its error may pass.
    pub(super) async fn retry<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        http::retry(self.policy(), |_| attempt()).await
    }

    /// What is tried again, how often and when.
    pub(super) fn policy(&self) -> impl FnMut(&Error, u32) -> Option<Duration> + use<> {
        let Options {
            retries,
            first_wait,
            ..
        } = self.options;
        let mut policy = http::transient(retries, first_wait, is_retryable);
        move |error, failures| {
            let wait = policy(error, failures)?;
            info!("again in {:.1} s: {error}", wait.as_secs_f64());
            Some(wait)
        }
    }

    /// One try at a small request. Any response but success is an error.
    pub(super) async fn attempt(&self, request: Request, scope: &Scope) -> Result<Response, Error> {
        let sent = Sent::default();
        let _place = self.window.enter().await;
        self.begin(request, scope, self.options.stall.request, &sent)
            .await
    }

    /// One try at a request that moves a blob, or has the registry check one; its body counts into `sent`.
    pub(super) async fn attempt_blob(
        &self,
        request: Request,
        scope: &Scope,
        sent: &Sent,
    ) -> Result<Response, Error> {
        self.begin(request, scope, self.options.stall.blob, sent)
            .await
    }

    /// One try at a response whose body is a document of at most `limit` bytes.
    pub(super) async fn document(
        &self,
        request: Request,
        scope: &Scope,
        limit: usize,
    ) -> Result<(Response, Bytes), Error> {
        let mut response = self.attempt(request, scope).await?;
        let body = self.transport.document(&mut response, limit).await?;
        Ok((response, body))
    }

    /// One try at a document of an API at another host, which gets no login.
    pub(super) async fn unsigned_document(
        &self,
        request: Request,
        limit: usize,
    ) -> Result<(Response, Bytes), Error> {
        let _place = self.window.enter().await;
        self.rate_limiter.acquire().await;
        let (method, sent) = (request.method().clone(), Sent::default());
        let stall = self.options.stall.request;
        let mut response = self.transport.exchange(request, stall, &sent).await?;
        if !response.status().is_success() {
            let refusal = self.transport.refusal(&method, response).await;
            return Err(Error::Status(refusal.into()));
        }
        let body = self.transport.document(&mut response, limit).await?;
        Ok((response, body))
    }

    async fn begin(
        &self,
        request: Request,
        scope: &Scope,
        stall: Duration,
        sent: &Sent,
    ) -> Result<Response, Error> {
        let alone = match self.opened.load(Ordering::Acquire) {
            true => None,
            false => Some(self.opening.lock().await),
        };
        // Opened while this one waited: no need to be alone.
        let alone = alone.filter(|_| !self.opened.load(Ordering::Acquire));
        // Boxed, because hundreds wait for their answers at once, each within several others that would hold its size.
        let outcome = Box::pin(self.exchange(request, scope, stall, sent)).await;
        self.opened.store(true, Ordering::Release);
        drop(alone);
        if outcome.is_ok() {
            self.window.grow();
        } else if let Err(Error::RateLimited(response)) = &outcome {
            let status = response.status;
            if let Some(pause) = self.rate_limiter.pause(response.retry_after) {
                let host = self.base.authority();
                let pause = pause.as_secs_f64().ceil();
                self.window.halve();
                warn!("`{host}` limits requests ({status}): waiting {pause} s");
            }
        }
        outcome
    }

    async fn exchange(
        &self,
        mut request: Request,
        scope: &Scope,
        stall: Duration,
        sent: &Sent,
    ) -> Result<Response, Error> {
        let method = request.method().clone();
        // An upload may be sent on to a host of the registry's choice, which gets no credentials.
        let is_ours = self.is_ours(request.url());
        let mut refusals = 0;
        loop {
            let spare = request.try_clone();
            self.rate_limiter.acquire().await;
            let authorization = match is_ours {
                true => self.auth.authorize(&self.transport, scope).await?,
                false => None,
            };
            // Another request may have met a limit while this one waited for its token.
            self.rate_limiter.wait_out_pause().await;
            if let Some(Authorization { header, .. }) = &authorization {
                request.headers_mut().insert(AUTHORIZATION, header.clone());
            }
            let response = self.transport.exchange(request, stall, sent).await?;
            self.answered.store(true, Ordering::Relaxed);
            let is_unauthorized =
                response.status() == StatusCode::UNAUTHORIZED && self.is_ours(response.url());
            if is_unauthorized {
                let headers = response.headers();
                let again = self
                    .auth
                    .learn(authorization.as_ref(), headers, scope)
                    .await;
                match spare {
                    Some(spare) if again && refusals < MOST_REFUSALS => {
                        refusals += 1;
                        request = spare;
                        continue;
                    }
                    None if again => {
                        let refusal = self.transport.refusal(&method, response).await;
                        return Err(Error::UploadLost(Error::Status(refusal.into()).into()));
                    }
                    _ => {}
                }
            } else if authorization.is_some() {
                // A registry that everyone may read answers a reader whatever login it carries.
                let is_read = matches!(method, Method::GET | Method::HEAD);
                if !is_read || refusals > 0 {
                    self.auth.accept();
                }
            } else if let (403 | 404, Some(spare)) = (response.status().as_u16(), spare)
                && refusals == 0
                && response.url().path() != WHO_MAY_COME_IN
                && self.is_ours(response.url())
                && self.offers_login(scope).await?
            {
                refusals += 1;
                request = spare;
                continue;
            }
            if response.status().is_success() {
                return Ok(response);
            }
            let refusal = self.transport.refusal(&method, response).await;
            // Some refuse a mount from elsewhere, or a list, with 401; that says nothing of the login.
            let is_about_login =
                is_unauthorized && matches!(scope.access, Access::Pull | Access::Push);
            return Err(if is_about_login && authorization.is_some() {
                self.auth.rejected(refusal, scope)
            } else {
                self.auth.denied(refusal, scope)
            });
        }
    }

    /// Finds out whether the login is right where nothing has done so yet: asks `/v2/`, as `docker login` does. Returns
    /// whether it is known now; it is not where `/v2/` is open to all.
    ///
    /// # Errors
    /// [`Error::Rejected`]
    pub(super) async fn check_login(&self, scope: &Scope) -> Result<bool, Error> {
        let ask = async || {
            let mut url = self.base.clone();
            url.set_path(WHO_MAY_COME_IN);
            let (request, sent) = (Request::new(Method::GET, url), Sent::default());
            let stall = self.options.stall.request;
            match self.exchange(request, scope, stall, &sent).await {
                Err(error @ Error::Rejected { .. }) => Err(error),
                // Whatever else is wrong, the requests that matter meet it themselves.
                _ => Ok(()),
            }
        };
        if !self.auth.is_known() {
            self.asked.get_or_try_init(ask).await?;
        }
        Ok(self.auth.is_known())
    }

    /// Whether it is a Harbor that takes a password itself, as far as its challenge tells.
    pub(super) async fn is_harbor(&self) -> bool {
        if self.auth.challenge().is_none() {
            let mut url = self.base.clone();
            url.set_path(WHO_MAY_COME_IN);
            let scope = Scope::catalog();
            // Whatever is wrong, the list meets it itself.
            let _ = self.attempt(Request::new(Method::GET, url), &scope).await;
        }
        self.asks_as_harbor()
    }

    /// The same, as far as it is known without asking.
    pub(super) fn asks_as_harbor(&self) -> bool {
        match self.auth.challenge() {
            Some(Challenge::Bearer { realm, service }) => {
                service.as_deref() == Some("harbor-registry") && self.is_ours(&realm)
            }
            _ => false,
        }
    }

    /// Whether a request without a login that met 403 or 404 is worth another try with it: some registries, such as
    /// Artifactory, hide what is private, and ask for a login at `/v2/` alone.
    ///
    /// Boxed, because it is asked in the middle of an exchange and makes another.
    fn offers_login<'c>(&'c self, scope: &'c Scope) -> BoxFuture<'c, Result<bool, Error>> {
        Box::pin(async move {
            if !self.auth.can_sign_in() {
                self.check_login(scope).await?;
            }
            Ok(self.auth.can_sign_in())
        })
    }

    pub(super) fn is_docker_hub(&self) -> bool {
        self.base.host_str() == Some(DOCKER_HUB_HOST)
    }

    fn is_ours(&self, url: &Url) -> bool {
        self.transport.is_own(url)
    }

    /// Whether what is sent there can be read on the way.
    pub(super) fn is_in_clear(&self) -> bool {
        self.transport.is_in_clear()
    }
}

/// Whether the request that met `error` may succeed within this run.
pub(super) fn is_retryable(error: &Error) -> bool {
    match error {
        // The upload may, from its beginning; not this request.
        Error::UploadLost(_) => false,
        _ => error.is_transient() && error.is_worth_waiting(),
    }
}

/// The path that says how to sign in.
const WHO_MAY_COME_IN: &str = "/v2/";

/// How often a 401 leads to another try: once to learn how to sign in, once because a token expired.
const MOST_REFUSALS: u32 = 2;

const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// Where the registry that people call `host` answers, as far as its name tells.
fn base_url(host: &str) -> Result<Url, ReferenceError> {
    let host = match host {
        DOCKER_HUB => DOCKER_HUB_HOST,
        host => host,
    };
    let url = |scheme| Url::parse(&format!("{scheme}://{host}/"));
    let base = url("https").and_then(|secure| match is_loopback(&secure) {
        true => url("http"),
        false => Ok(secure),
    });
    base.map_err(|_| ReferenceError::Host(host.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_plain_and_everything_else_is_not() {
        let base = |host: &str| base_url(host).unwrap().to_string();
        assert_eq!(base("docker.io"), "https://registry-1.docker.io/");
        assert_eq!(base("127.0.0.1:5000"), "http://127.0.0.1:5000/");
        assert_eq!(base("[::1]:5000"), "http://[::1]:5000/");
        assert_eq!(base("localhost:5000"), "http://localhost:5000/");
        assert_eq!(base("10.0.0.1:5000"), "https://10.0.0.1:5000/");
    }
}
