//! The tags of a repository. A list is complete, to its last page, or an error.

use std::collections::HashSet;

use log::warn;
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
            /// `null` where the repository has lost its last tag; without it, this is no list.
            #[serde(deserialize_with = "Option::deserialize")]
            tags: Option<Vec<Option<String>>>,
        }
        let mut first = self.url(format_args!("tags/list"));
        // The longest page that registries serve.
        first.set_query(Some("n=1000"));
        let mut list = TagList::default();
        let scope = self.scope(Access::Pull);
        let end = |page: &Page| last_of(page.tags.as_deref());
        let pages = self.connection.pages(first, &scope, MOST_PAGES, end);
        for page in pages.await? {
            for text in page.tags.unwrap_or_default() {
                list.add(&text.unwrap_or_default());
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
    /// Follows the `Link` of each response to the next. A page without one that has as many names as `first` asks for
    /// may be cut there (`crane registry serve` does that): then the rest is asked for by the last name. `end` is how
    /// many names a page has, and the last.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        first: Url,
        scope: &Scope,
        most: usize,
        end: impl Fn(&T) -> Option<(usize, String)>,
    ) -> Result<Vec<T>, Error> {
        let full = first.query_pairs().find(|(name, _)| name == "n");
        let full: Option<usize> = full.and_then(|(_, count)| count.parse().ok());
        let mut pages = Vec::new();
        let mut next = Some(first.clone());
        let mut asked_after: Option<String> = None;
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
            let got = self.retry(get).await;
            let is_refused = |error: &Error| matches!(error.status(), Some(400 | 404 | 405 | 501));
            if asked_after.is_some() && got.as_ref().is_err_and(is_refused) {
                warn!(
                    "`{}` has listed as many names of `{}` as a page has, and refuses to tell whether there are more",
                    self.base.authority(),
                    first.path()
                );
                break;
            }
            let (response, body) = got?;
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
            let page = page.map_err(|e| wrong(format!("not the list that was asked for: {e}")))?;
            let mut following = http::next_page(response.headers(), response.url())
                .map_err(|reason| wrong(Foreign::new(&reason).to_string()))?;
            if following.is_some() {
                asked_after = None;
            } else {
                let last = end(&page).filter(|(count, _)| Some(*count) == full);
                let last = last.map(|(_, last)| last);
                // The same page once more: it does not know the question.
                if last.is_some() && last == asked_after {
                    break;
                }
                following = last.as_ref().map(|last| {
                    let mut url = first.clone();
                    url.query_pairs_mut().append_pair("last", last);
                    url
                });
                asked_after = last;
            }
            pages.push(page);
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

/// How many names there are, and the last.
pub(super) fn last_of(names: Option<&[Option<String>]>) -> Option<(usize, String)> {
    let names = names?;
    Some((names.len(), names.last()?.clone()?))
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

const WRONG_SHOWN: usize = 3;

pub(super) const MOST_PAGES: usize = 10_000;

pub(super) const LARGEST_PAGE: usize = 16 << 20;

/// A million tags of 60 characters.
const LARGEST_LIST: usize = 64 << 20;
