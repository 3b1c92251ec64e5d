//! Listings that give digests by the page, beside the distribution API: of Docker Hub, Azure's registry and Harbor.
//!
//! They save a request for each tag where nothing is to be done, and nobody vouches for them: whoever writes asks for
//! the tag itself. Which API a registry has is told by its name and by how it asks for a login, which costs nothing.
//! The login goes to the registry's own host, as everywhere; Docker Hub's API is at another, which gets none.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use log::debug;
use reqwest::{Method, Request};
use url::Url;

use super::auth::{Access, Challenge};
use super::error::Error;
use super::listing_api::{Api, Page};
use super::listing_support::Listed;
use super::repository::Repository;
use crate::http;
use crate::oci::{Digest, Tag};

/// A page is read for each so many tags that are wanted, so that a listing never costs more than asking for them.
const TAGS_FOR_A_PAGE: usize = 4;

/// A page at Docker Hub has what each image of each tag is.
const LARGEST_PAGE: usize = 8 << 20;

/// So many listings in a row that are of no use, and the registry is asked for no other.
const MOST_FAILURES: u32 = 3;

impl Repository {
    /// Makes [`Self::listed_digest`] know these tags, if a listing tells of them. Nothing is asked yet.
    pub fn expect(&self, tags: impl IntoIterator<Item = Tag>) {
        let listed = self.listed();
        let mut wanted = listed.wanted.lock().expect("no holder panics");
        wanted.extend(tags);
    }

    /// Whether a listing was read, which the first call does for all tags that are expected.
    pub async fn is_listed(&self) -> bool {
        self.digests(&self.listed()).await.is_some()
    }

    /// What the registry's listing says that `tag` names: not more than a hint. `None` if there is no listing, and
    /// where it does not say.
    pub async fn listed_digest(&self, tag: &Tag) -> Option<Digest> {
        self.digests(&self.listed()).await?.get(tag).cloned()
    }

    fn listed(&self) -> Arc<Listed> {
        self.connection.listing_support.of(&self.path)
    }

    /// The digests, read by the first call for all that come after it.
    async fn digests<'l>(&self, listed: &'l Listed) -> Option<&'l HashMap<Tag, Digest>> {
        let read = || async {
            let wanted = std::mem::take(&mut *listed.wanted.lock().expect("no holder panics"));
            // Boxed, because most images wait for no listing, and each would hold its size.
            Box::pin(self.list_digests(&wanted)).await
        };
        listed.digests.get_or_init(read).await.as_ref()
    }

    async fn list_digests(&self, wanted: &HashSet<Tag>) -> Option<HashMap<Tag, Digest>> {
        let listings = &self.connection.listing_support;
        let pages = wanted.len() / TAGS_FOR_A_PAGE;
        let api = self.listing_api().filter(|_| pages > 0)?;
        let _place = listings.places.acquire().await;
        if listings.failures.load(Ordering::Relaxed) >= MOST_FAILURES {
            return None;
        }
        match self.read_pages(api, wanted, pages).await {
            Ok(found) => {
                listings.failures.store(0, Ordering::Relaxed);
                Some(found)
            }
            Err(error) => {
                listings.failures.fetch_add(1, Ordering::Relaxed);
                debug!("`{}` is asked tag by tag: {error}", self.path);
                None
            }
        }
    }

    /// The API that this registry has, as far as its name and its challenge tell.
    fn listing_api(&self) -> Option<Api> {
        if self.connection.is_docker_hub() {
            return Some(Api::DockerHub);
        }
        if self.connection.asks_as_harbor() {
            return Some(Api::Harbor);
        }
        let Some(Challenge::Bearer { realm, service }) = self.connection.auth.challenge() else {
            return None;
        };
        let host = self.connection.base.authority();
        let is_azure = realm.path() == "/oauth2/token" && service.as_deref() == Some(host);
        is_azure.then_some(Api::Azure)
    }

    /// The digests of the tags that are `wanted`, as far as the first `most` pages tell.
    async fn read_pages(
        &self,
        api: Api,
        wanted: &HashSet<Tag>,
        most: usize,
    ) -> Result<HashMap<Tag, Digest>, Error> {
        // A tag with two digests has moved meanwhile, or worse.
        let mut found: HashMap<Tag, Option<Digest>> = HashMap::new();
        let mut last = None;
        for number in 1..=most {
            let url = api.url(&self.connection.base, &self.path, number, last.as_deref());
            let url = url.ok_or_else(|| {
                Error::protocol(&self.connection.base, "it has no listing of this name")
            })?;
            let page = self.read_page(api, url).await?;
            last = page.tags.last().map(|(name, _)| name.clone());
            for (name, digest) in page.tags {
                let Some(tag) = name.parse().ok().filter(|tag| wanted.contains(tag)) else {
                    continue;
                };
                let known = found.entry(tag).or_insert_with(|| digest.clone());
                *known = known.take().filter(|it| Some(it) == digest.as_ref());
            }
            if page.is_last || found.len() == wanted.len() {
                break;
            }
        }
        let found = found.into_iter();
        Ok(found.filter_map(|(tag, it)| Some((tag, it?))).collect())
    }

    async fn read_page(&self, api: Api, url: Url) -> Result<Page, Error> {
        let request = Request::new(Method::GET, url.clone());
        let access = match api {
            // The registry's own token, for what it calls metadata.
            Api::Azure => Some(Access::List),
            Api::Harbor => Some(Access::Password),
            Api::DockerHub => None,
        };
        let connection = &self.connection;
        let document = match access {
            Some(access) => {
                let scope = self.scope(access);
                connection.document(request, &scope, LARGEST_PAGE).await?
            }
            None => connection.unsigned_document(request, LARGEST_PAGE).await?,
        };
        let (response, body) = document;
        let has_next = matches!(http::next_page(response.headers(), &url), Ok(Some(_)));
        let page = serde_json::from_slice(&body).ok();
        let page = page.and_then(|page| api.page(&page, has_next));
        page.ok_or_else(|| Error::protocol(&url, "not the listing that was asked for"))
    }
}
