//! One HTTP exchange with a registry, its storage or its token server. Nothing goes over plain HTTP unless to loopback
//! or by configuration, and a redirect changes neither what is asked for nor who gets a login.

use std::sync::{OnceLock, RwLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Request, RequestBuilder, Response, StatusCode};
use url::Url;

use super::error::{Error, ErrorResponse};
use super::options::Options;
use super::resolve::PinnedResolver;
use crate::credentials::Credentials;
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

    /// # Errors
    /// These credentials do not go to the token server at `realm`.
    pub(super) fn check_realm(&self, realm: &Url, login: &Credentials) -> Result<(), Error> {
        if *login == Credentials::Anonymous || may_get_login(realm, &self.base) {
            return Ok(());
        }
        let realm = public_url(realm);
        let reason = format!(
            "it names `{realm}` as its token server, which does not get the login; \
             hint: over plain http only the registry's own host does, otherwise any that answers to `https`"
        );
        Err(Error::protocol(&self.base, reason))
    }

    /// Sends a small request and awaits the head of its response.
    pub(super) async fn small(&self, request: Request) -> Result<Response, Error> {
        let stall = self.options.stall.request;
        self.exchange(request, stall, &Sent::default()).await
    }

    /// Sends `request`, whose body counts into `sent`, and awaits the head of its response, however often it is
    /// redirected. A streamed body cannot follow: there the redirect is the response.
    pub(super) async fn exchange(
        &self,
        mut request: Request,
        stall: Duration,
        sent: &Sent,
    ) -> Result<Response, Error> {
        for _ in 0..=MOST_REDIRECTS {
            let again = request.try_clone();
            let response = self.send(request, stall, sent).await?;
            match (again, redirection(&response)) {
                (Some(again), Some(next)) => request = redirected(again, next, response.status())?,
                _ => return Ok(response),
            }
        }
        Err(Error::protocol(request.url(), "too many redirects"))
    }

    async fn send(
        &self,
        request: Request,
        stall: Duration,
        sent: &Sent,
    ) -> Result<Response, Error> {
        let url = request.url().clone();
        if !is_allowed(&url, &self.base, self.options.plain_http) {
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
        let within = self.options.stall.request.min(LONGEST_REFUSAL);
        let body = http::beginning(&mut response, within, 1 << 16).await;
        let url = public_url(response.url());
        let status = response.status().as_u16();
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
        builder
            // One HTTP/2 window shared by all bodies throttles parallel blobs (hyperium/hyper#1813).
            .http1_only()
            // It would turn a PUT into a GET, whose 200 then looks like that of the PUT: `exchange` follows.
            .redirect(Policy::none())
            // Shorter than the minute after which common proxies close idle connections.
            .pool_idle_timeout(Duration::from_secs(30))
            .dns_resolver(self.pinned.clone())
    }
}

/// How long the text of an error is waited for: without it, a response still has its status.
const LONGEST_REFUSAL: Duration = Duration::from_secs(5);

const MOST_REDIRECTS: u32 = 5;

/// Where a response sends its request on.
fn redirection(response: &Response) -> Option<Url> {
    match response.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => http::location(response.headers(), response.url()),
        _ => None,
    }
}

/// The same request at `next`. A login stays where it was sent to.
fn redirected(mut request: Request, next: Url, status: StatusCode) -> Result<Request, Error> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let refused = |what: &str| {
        let (method, next) = (request.method(), public_url(&next));
        let reason = format!("it sends a {method} on to `{next}`, {what}");
        Err(Error::protocol(request.url(), reason))
    };
    if status == StatusCode::SEE_OTHER && !is_read {
        return refused("as something to read");
    }
    if next.origin() != request.url().origin() {
        // A form holds a login, what is uploaded holds none.
        if request.method() == Method::POST && request.body().is_some() {
            return refused("which is another host");
        }
        request.headers_mut().remove(AUTHORIZATION);
    }
    *request.url_mut() = next;
    Ok(request)
}

fn is_allowed(url: &Url, base: &Url, plain_http: bool) -> bool {
    match url.scheme() {
        "https" => true,
        // A registry elsewhere has no business on this machine.
        "http" => plain_http || (is_loopback(url) && is_loopback(base)),
        _ => false,
    }
}

/// Whether the login for the registry at `base` may go to the token server that it names: over `https` to any, because
/// the registry was known by its certificate; over plain HTTP to its own host only; to this machine only from there.
pub(super) fn may_get_login(realm: &Url, base: &Url) -> bool {
    let are_local = is_loopback(realm) && is_loopback(base);
    match (base.scheme(), realm.scheme()) {
        _ if is_loopback(realm) && !are_local => false,
        ("https", scheme) => scheme == "https",
        _ => are_local || base.host() == realm.host(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_or_by_configuration() {
        let url = |text: &str| Url::parse(text).unwrap();
        let here = url("http://localhost:5000/");
        let allowed = |text: &str, plain_http| is_allowed(&url(text), &here, plain_http);
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
        let elsewhere = url("https://ghcr.io/");
        assert!(!is_allowed(&url("http://127.0.0.1/"), &elsewhere, false));
    }

    #[test]
    fn a_login_goes_where_its_registry_is_or_may_send_it() {
        let url = |text: &str| Url::parse(text).unwrap();
        for (base, realm, may) in [
            ("https://r.io/", "https://auth.elsewhere.io/token", true),
            ("https://r.io/", "http://r.io/token", false),
            ("https://r.io/", "https://127.0.0.1/token", false),
            ("https://r.io/", "https://[::1]/token", false),
            ("http://r.io/", "http://r.io:5001/token", true),
            ("http://r.io/", "https://r.io/token", true),
            ("http://r.io/", "https://elsewhere.io/token", false),
            ("http://r.io/", "http://elsewhere.io/token", false),
            ("http://r.io/", "http://localhost/token", false),
            (
                "http://127.0.0.1:5000/",
                "http://127.0.0.1:5001/token",
                true,
            ),
            (
                "http://127.0.0.1:5000/",
                "http://localhost:5001/token",
                true,
            ),
            ("http://127.0.0.1:5000/", "https://elsewhere.io/", false),
        ] {
            assert_eq!(
                may_get_login(&url(realm), &url(base)),
                may,
                "{base} {realm}"
            );
        }
    }

    #[test]
    fn a_redirect_changes_neither_the_request_nor_who_gets_the_login() {
        let url = |text: &str| Url::parse(text).unwrap();
        let sent = |method: Method, next: &str, status: u16| {
            let mut request = Request::new(method, url("https://r.io/x"));
            let login = reqwest::header::HeaderValue::from_static("Basic x");
            request.headers_mut().insert(AUTHORIZATION, login);
            *request.body_mut() = Some("body".into());
            let next = redirected(request, url(next), StatusCode::from_u16(status).unwrap());
            next.map(|it| (it.method().clone(), it.headers().len(), it.body().is_some()))
        };
        for status in [301, 302, 307, 308] {
            let next = sent(Method::PUT, "https://r.io/y", status);
            assert_eq!(next.unwrap(), (Method::PUT, 1, true));
            let next = sent(Method::PUT, "https://other.io/y", status);
            assert_eq!(next.unwrap(), (Method::PUT, 0, true));
            assert!(sent(Method::POST, "https://other.io/y", status).is_err());
        }
        assert!(sent(Method::PUT, "https://r.io/y", 303).is_err());
        assert!(sent(Method::GET, "https://r.io/y", 303).is_ok());
    }
}
