//! Requests to the API: signed, tried again, paged. The token goes to the API's own origin and to the upload address
//! that the API gave, and nowhere else.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::Url;

use super::error::Error;
use super::plan::{Event, Progress};
use super::response::{self, Reply, STALL, failed};
use crate::http::{self, Sent};
use crate::secret::{Secret, public_url};

/// One repository on one GitHub.
pub struct Github {
    http: Client,
    /// `…/repos/owner/name`
    root: Url,
    repository: String,
    /// `Bearer …`, marked as sensitive.
    authorization: HeaderValue,
}

impl Github {
    /// `api` is `https://api.github.com`, or `https://HOST/api/v3` on an Enterprise Server; `http` is from
    /// [`http::client`].
    ///
    /// # Errors
    /// [`Error::Api`], [`Error::Repository`], [`Error::Token`]: nothing is asked of the server.
    pub fn new(
        http: Client,
        api: &Url,
        repository: &str,
        token: Secret<String>,
    ) -> Result<Self, Error> {
        if api.scheme() != "https" && !(api.scheme() == "http" && http::is_loopback(api)) {
            return Err(Error::Api(public_url(api)));
        }
        let (owner, name) =
            parts(repository).ok_or_else(|| Error::Repository(repository.to_owned()))?;
        let mut root = api.clone();
        root.set_query(None);
        root.set_fragment(None);
        let root = below(root, &["repos", owner, name]);
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Error::Token)?;
        authorization.set_sensitive(true);
        Ok(Github {
            http,
            root,
            repository: repository.to_owned(),
            authorization,
        })
    }

    /// An address below the repository's; each segment is encoded.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        below(self.root.clone(), segments)
    }

    /// A request to an address below the repository's.
    pub(super) fn call(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.request(method, self.url(segments))
    }

    /// Whether the token may go to an address that the API gave: it is as well protected as the API's own.
    pub(super) fn trusts(&self, url: &Url) -> bool {
        url.scheme() == self.root.scheme()
    }

    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http
            .request(method, url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28")
    }

    /// Sends a request once.
    pub(super) async fn send(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<Reply, Error> {
        let response = http::send(request, STALL, &Sent::default()).await;
        let response = response.map_err(|error| failed(what, error))?;
        self.read(what, response).await
    }

    pub(super) async fn read(
        &self,
        what: &'static str,
        response: Response,
    ) -> Result<Reply, Error> {
        response::read(what, &self.repository, response).await
    }
}

/// A client that publishes, and who hears of it.
pub(super) struct Publisher<'a> {
    pub github: &'a Github,
    pub progress: Progress<'a>,
}

/// The API lists at most 10,000 releases: <https://docs.github.com/en/rest/releases/releases#list-releases>.
const MOST_PAGES: usize = 100;

impl Publisher<'_> {
    /// Sends a request with a small body until it succeeds or its error stands. Not for a POST: after a failure the
    /// caller has to look.
    pub async fn repeat(
        &self,
        what: &'static str,
        request: RequestBuilder,
    ) -> Result<Reply, Error> {
        let attempt = |_| {
            let copy = request.try_clone().expect("the body is in memory");
            self.github.send(what, copy)
        };
        http::retry(|error, failures| self.wait(error, failures), attempt).await
    }

    /// All pages of a list.
    pub async fn list<T: DeserializeOwned>(
        &self,
        what: &'static str,
        segments: &[&str],
    ) -> Result<Vec<T>, Error> {
        let mut url = self.github.url(segments);
        url.query_pairs_mut().append_pair("per_page", "100");
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let request = self.github.request(Method::GET, url.clone());
            let reply = self.repeat(what, request).await?;
            all.append(&mut reply.json()?);
            let next = http::next_page(&reply.headers, &url);
            let Some(next) = next.map_err(|reason| Error::Unexpected { what, reason })? else {
                break;
            };
            if next.origin() != self.github.root.origin() {
                let reason = format!("the next page is at `{}`", public_url(&next));
                return Err(Error::Unexpected { what, reason });
            }
            url = next;
        }
        Ok(all)
    }

    /// How long to wait after an error that may pass, which is reported.
    pub fn wait(&self, error: &Error, failures: u32) -> Option<Duration> {
        let wait = error.wait(failures)?;
        (self.progress)(Event::Waiting {
            reason: error.to_string(),
            wait,
        });
        Some(wait)
    }
}

fn below(mut url: Url, segments: &[&str]) -> Url {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// `owner/name`, of the characters that GitHub allows.
fn parts(repository: &str) -> Option<(&str, &str)> {
    let (owner, name) = repository.split_once('/')?;
    let plain = |text: &str, more: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        !text.is_empty() && text.chars().all(allowed)
    };
    let good = plain(owner, "-_") && plain(name, "-_.") && name != "." && name != "..";
    good.then_some((owner, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_owner_and_name() {
        assert_eq!(
            parts("HagiCode-org/releases"),
            Some(("HagiCode-org", "releases"))
        );
        for wrong in [
            "releases",
            "a/b/c",
            "a/",
            "/b",
            "a/..",
            "a b/c",
            "https://github.com/a/b",
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_client_is_made_for_a_safe_address_and_a_real_repository_only() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let make = |api: &str, repository, token: &str| {
            let (api, token) = (Url::parse(api).unwrap(), Secret::new(token.to_owned()));
            Github::new(Client::new(), &api, repository, token).err()
        };
        assert!(make("https://api.github.com", "a/b", "t").is_none());
        assert!(make("http://localhost:1/api/v3", "a/b", "t").is_none());
        assert!(matches!(
            make("http://ghe.example.com", "a/b", "t"),
            Some(Error::Api(_))
        ));
        assert!(matches!(
            make("mailto:a@b.example", "a/b", "t"),
            Some(Error::Api(_))
        ));
        assert!(matches!(
            make("https://api.github.com", "a", "t"),
            Some(Error::Repository(_))
        ));
        assert!(matches!(
            make("https://api.github.com", "a/b", "t\n"),
            Some(Error::Token)
        ));
    }
}
