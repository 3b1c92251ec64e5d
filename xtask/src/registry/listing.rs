//! The tags of a repository. A list is complete, to its last page, or an error.

use std::collections::HashSet;

use reqwest::{Method, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::auth::{Access, Scope};
use super::connection::Connection;
use super::error::Error;
use super::repository::Repository;
use crate::foreign::Foreign;
use crate::http;
use crate::oci::{Tag, json};

/// The tags of a repository.
#[derive(Debug, Default)]
pub struct TagList {
    /// In the registry's order.
    pub tags: Vec<Tag>,
    /// Some strings of the list that cannot be tags, and how many there are.
    pub wrong: Vec<Foreign>,
    pub wrong_count: usize,
}

impl Repository {
    /// Every tag, in the registry's order; [`Error::NotFound`] if there is no such repository.
    pub async fn tags(&self) -> Result<Vec<Tag>, Error> {
        Ok(self.list().await?.tags)
    }

    /// Every tag, and what else the registry lists; [`Error::NotFound`] if there is no such repository.
    pub async fn list(&self) -> Result<TagList, Error> {
        #[derive(Deserialize)]
        struct Page {
            /// `null` where the repository has lost its last tag.
            tags: Option<Vec<Option<String>>>,
        }
        let mut list = TagList::default();
        let scope = self.scope(Access::Pull);
        let mut last: Option<String> = None;
        loop {
            let mut url = self.url(format_args!("tags/list"));
            url.query_pairs_mut()
                .append_pair("n", &PAGE.to_string())
                .extend_pairs(last.iter().map(|last| ("last", last)));
            let pages = self.connection.pages::<Page>(url, &scope, MOST_PAGES).await;
            let pages = match pages {
                // It does not know the question.
                Err(error) if last.is_some() && !error.is_transient() => break,
                pages => pages?,
            };
            // Full, and without a `Link`: `crane registry serve` cuts a list there.
            let full = pages.last().and_then(|page| page.tags.as_ref());
            let full = full.filter(|tags| tags.len() == PAGE);
            let next = full.and_then(|tags| tags.last().cloned().flatten());
            if next.is_some() && next == last {
                break;
            }
            for page in pages {
                for text in page.tags.unwrap_or_default() {
                    list.add(&text.unwrap_or_default());
                }
            }
            last = next;
            if last.is_none() {
                break;
            }
        }
        let of_digests = list.tags.iter().filter(|tag| tag.is_of_digest());
        let known = self.connection.referrer_support.of(&self.path);
        // Listed before, if it fails.
        _ = known.digest_tags.set(Some(of_digests.cloned().collect()));
        Ok(list)
    }
}

impl Connection {
    /// Follows the `Link` of each response to the next.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        first: Url,
        scope: &Scope,
        most: usize,
    ) -> Result<Vec<T>, Error> {
        let mut pages = Vec::new();
        let mut next = Some(first);
        let mut seen = HashSet::new();
        let mut bytes = 0;
        while let Some(url) = next {
            let wrong = |reason| Error::protocol(&url, reason);
            if pages.len() == most {
                return Err(wrong(format!("more than {most} pages")));
            }
            let get = || {
                let request = Request::new(Method::GET, url.clone());
                self.document(request, scope, LARGEST_PAGE)
            };
            let (response, body) = self.retry(get).await?;
            bytes += body.len();
            if bytes > LARGEST_LIST {
                return Err(wrong(format!("more than {LARGEST_LIST} bytes of pages")));
            }
            let page = json::from_slice(
                &body,
                &[
                    "tags",
                    "repositories",
                    "manifests",
                    "mediaType",
                    "digest",
                    "size",
                    "annotations",
                    "artifactType",
                ],
            );
            pages.push(page.map_err(|e| wrong(format!("not the list that was asked for: {e}")))?);
            let following = http::next_page(response.headers(), response.url())
                .map_err(|reason| wrong(Foreign::new(&reason).to_string()))?;
            if following
                .as_ref()
                .is_some_and(|it| *it == url || !seen.insert(it.clone()))
            {
                return Err(wrong(
                    "the list leads to a page that was read before".to_owned(),
                ));
            }
            next = following;
        }
        Ok(pages)
    }
}

impl TagList {
    fn add(&mut self, text: &str) {
        match text.parse() {
            Ok(tag) => self.tags.push(tag),
            Err(_) => {
                self.wrong_count += 1;
                if self.wrong.len() < WRONG_SHOWN {
                    self.wrong.push(Foreign::new(text));
                }
            }
        }
    }
}

/// Tags of a page: the longest that registries serve.
const PAGE: usize = 1000;

const WRONG_SHOWN: usize = 3;

pub(super) const MOST_PAGES: usize = 10_000;

pub(super) const LARGEST_PAGE: usize = 16 << 20;

/// A million tags of 60 characters.
const LARGEST_LIST: usize = 64 << 20;
