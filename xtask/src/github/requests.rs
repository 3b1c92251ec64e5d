//! Requests that are tried again and paged. Every wait is reported.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;

use super::client::Github;
use super::error::Error;
use super::plan::{Event, Progress};
use super::response::Reply;
use crate::http;
use crate::secret::public_url;

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
            if !self.github.is_ours(&next) {
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
