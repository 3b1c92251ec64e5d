//! The client: its requests are signed. The token goes to the API's own origin and to the upload address that the API
//! gave, and nowhere else.

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response};
use url::Url;

use super::error::Error;
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

    /// Whether `url` is on the API's own server.
    pub(super) fn is_ours(&self, url: &Url) -> bool {
        url.origin() == self.root.origin()
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
