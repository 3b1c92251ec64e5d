//! One HTTP exchange with a registry, its storage or its token server. Nothing goes over plain HTTP unless to loopback
//! or by configuration, and a redirect changes neither what is asked for nor who gets a login. Where the registry's
//! name does not tell whether it speaks TLS, the first exchange finds out.

use std::sync::{OnceLock, RwLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use log::debug;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, ClientBuilder, Method, Request, RequestBuilder, Response, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use super::allowed::{is_allowed, may_get_login};
use super::error::{Error, ErrorResponse};
use super::options::Options;
use super::resolve::PinnedResolver;
use crate::credentials::Credentials;
use crate::foreign::Foreign;
use crate::http::{self, Sent, Verify, is_loopback};
use crate::secret::{Redactor, public_url};

pub(super) struct Transport {
    /// With the scheme that the registry's name suggests.
    base: Url,
    options: Options,
    pinned: PinnedResolver,
    /// Made by the first request: reading the system's certificates takes longer than many a run needs in all.
    client: OnceLock<Client>,
    /// The scheme that the registry speaks, where its name does not tell.
    scheme: OnceCell<&'static str>,
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
            scheme: OnceCell::new(),
            redactor: RwLock::default(),
        }
    }

    /// # Errors
    /// These credentials do not go to the token server at `realm`.
    pub(super) fn check_realm(&self, realm: &Url, login: &Credentials) -> Result<(), Error> {
        if *login == Credentials::Anonymous || may_get_login(realm, &self.spoken()) {
            return Ok(());
        }
        let realm = public_url(realm);
        let reason = format!(
            "it names `{realm}` as its token server, which does not get the login; \
             hint: over plain http only the registry's own host does, otherwise any that answers to `https`"
        );
        Err(Error::protocol(&self.base, reason))
    }

    /// Sends a small request to where its URL says, and awaits the head of its response.
    pub(super) async fn small(&self, request: Request) -> Result<Response, Error> {
        let stall = self.options.stall.request;
        self.follow(request, stall, &Sent::default()).await
    }

    /// Sends `request`, whose body counts into `sent`, and awaits the head of its response, however often it is
    /// redirected. A streamed body cannot follow: there the redirect is the response.
    pub(super) async fn exchange(
        &self,
        mut request: Request,
        stall: Duration,
        sent: &Sent,
    ) -> Result<Response, Error> {
        if self.is_own(request.url()) {
            if self.options.insecure {
                self.scheme.get_or_try_init(|| self.find_scheme()).await?;
            }
            if let Some(scheme) = self.scheme.get() {
                speak(request.url_mut(), scheme);
            }
        }
        self.follow(request, stall, sent).await
    }

    async fn follow(
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
        if !is_allowed(&url, &self.base, self.options.insecure) {
            let why = match url.scheme() {
                "http" => "it asks for plain http".to_owned(),
                scheme => format!("it asks for `{scheme}`, which is no HTTP"),
            };
            return Err(Error::protocol(&url, why));
        }
        let client = self.client()?;
        let is_open = self.scheme.get().is_none() && is_loopback(&self.base) && self.is_own(&url);
        let spare = is_open.then(|| request.try_clone()).flatten();
        let mut response = self.send_once(client, request, stall, sent).await;
        if let Some(mut spare) = spare {
            // Plain HTTP is first here: it is what most speak on this machine, and a server of TLS refuses it at once.
            let may_be_tls = match &response {
                Ok(response) => response.status() == StatusCode::BAD_REQUEST,
                Err(error) => matches!(error, http::Error::NotHttp(_)),
            };
            if may_be_tls && self.ask(client, "https").await.is_ok() {
                let _ = self.scheme.set("https");
                speak(spare.url_mut(), "https");
                response = self.send_once(client, spare, stall, sent).await;
            } else if response.is_ok() {
                let _ = self.scheme.set("http");
            }
        }
        response.map_err(|error| Error::http(&url, &error))
    }

    async fn send_once(
        &self,
        client: &Client,
        request: Request,
        stall: Duration,
        sent: &Sent,
    ) -> Result<Response, http::Error> {
        let asked = format!("{} {}", request.method(), public_url(request.url()));
        let body = request
            .body()
            .and_then(Body::as_bytes)
            .map_or(0, <[u8]>::len);
        let request = RequestBuilder::from_parts(client.clone(), request);
        let start = Instant::now();
        let response = http::send(request, stall, sent).await;
        let ms = start.elapsed().as_millis();
        match &response {
            Ok(response) => {
                let (status, sent) = (response.status().as_u16(), body as u64 + sent.bytes());
                let got = response.content_length().unwrap_or(0);
                debug!("{asked}: {status} after {ms} ms, {sent} B sent, {got} B to read");
            }
            Err(error) => debug!("{asked}: failed after {ms} ms: {error}"),
        }
        if let Err(http::Error::Broken {
            is_connect: true, ..
        }) = response
        {
            self.pinned.release();
        }
        response
    }

    /// What an insecure registry speaks: TLS if it can.
    async fn find_scheme(&self) -> Result<&'static str, Error> {
        let client = self.client()?;
        let Err(secure) = self.ask(client, "https").await else {
            return Ok("https");
        };
        let why = match self.ask(client, "http").await {
            // So does a server of TLS.
            Ok(response) if response.status() == StatusCode::BAD_REQUEST => secure.to_string(),
            Ok(_) => return Ok("http"),
            Err(plain) => format!("over TLS: {secure}; over plain http: {plain}"),
        };
        Err(Error::unreachable(&self.base, why))
    }

    /// Asks for `/v2/` by `scheme`.
    async fn ask(&self, client: &Client, scheme: &str) -> Result<Response, http::Error> {
        let mut url = self.base.clone();
        speak(&mut url, scheme);
        url.set_path("/v2/");
        let (request, stall) = (Request::new(Method::GET, url), self.options.stall.request);
        self.send_once(client, request, stall, &Sent::default())
            .await
    }

    /// Where the registry is, by the scheme that it speaks as far as it is known.
    fn spoken(&self) -> Url {
        let mut url = self.base.clone();
        if let Some(scheme) = self.scheme.get() {
            speak(&mut url, scheme);
        }
        url
    }

    /// Whether `url` is the registry's own, by the scheme of its name or the one that it speaks.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        [&self.base, &self.spoken()]
            .map(Url::origin)
            .contains(&url.origin())
    }

    /// Whether what is sent there can be read on the way.
    pub(super) fn is_in_clear(&self) -> bool {
        self.scheme.get() == Some(&"http") && !is_loopback(&self.base)
    }

    /// The body of a response that is a document of at most `limit` bytes.
    pub(super) async fn document(
        &self,
        response: &mut Response,
        limit: usize,
    ) -> Result<Bytes, Error> {
        if let Some(encoding) = response
            .headers()
            .get(CONTENT_ENCODING)
            .filter(|it| *it != "identity")
        {
            let encoding = Foreign::new(&String::from_utf8_lossy(encoding.as_bytes())).to_string();
            let reason = format!("it was asked for plain text, and compresses it (`{encoding}`)");
            return Err(Error::protocol(response.url(), reason));
        }
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
        let verify = match self.options.insecure || is_loopback(&self.base) {
            true => Verify::Unchecked,
            false => Verify::Checked,
        };
        let client = http::client_with(&self.base, verify, |builder| self.configure(builder));
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

/// Both schemes have ports, so that one stands for the other.
fn speak(url: &mut Url, scheme: &str) {
    let _ = url.set_scheme(scheme);
}

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

#[cfg(test)]
mod tests {
    use super::*;

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
