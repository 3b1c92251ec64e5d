//! What repositories a registry holds, where it tells: by `_catalog`, which most registries keep for administrators or
//! do not have, or by Harbor's own API, which tells each user the repositories of a project.
//!
//! A list is complete, to its last page, or an error. What is in it may be anything.

use std::collections::BTreeSet;

use reqwest::header::HeaderMap;
use reqwest::{Method, Request};
use serde::Deserialize;
use url::Url;

use super::auth::{Access, Scope};
use super::client::Registry;
use super::connection::Connection;
use super::error::Error;
use super::listing::{LARGEST_PAGE, MOST_PAGES, last_of};
use crate::oci::json;

impl Registry {
    /// What the registry calls its repositories, each once; at a Harbor, only those of `project` if one is named.
    pub async fn catalog(&self, project: Option<&str>) -> Result<BTreeSet<String>, Error> {
        let connection = self.connection();
        let is_harbor = connection.is_harbor().await;
        let scope = match is_harbor {
            true => Scope {
                repository: String::new(),
                access: Access::Password,
            },
            false => Scope::catalog(),
        };
        match project {
            Some(project) if is_harbor => of_harbor(connection, project, &scope).await,
            _ => {
                let url = |count| url(connection, "/v2/_catalog", &format!("n={count}"));
                match all(connection, url(1000), &scope).await {
                    // Fewer than that are allowed.
                    Err(error) if error.status() == Some(400) => {
                        all(connection, url(100), &scope).await
                    }
                    listed => listed,
                }
            }
        }
    }
}

/// Distribution specification 2, "Listing Repositories": pages lead to each other. ACR and ECR do it in the same way.
async fn all(
    connection: &Connection,
    first: Url,
    scope: &Scope,
) -> Result<BTreeSet<String>, Error> {
    #[derive(Deserialize)]
    struct Page {
        /// `null` where there is none; without it, this is no list.
        #[serde(deserialize_with = "Option::deserialize")]
        repositories: Option<Vec<Option<String>>>,
    }
    let end = |page: &Page| last_of(page.repositories.as_deref());
    let pages = connection.pages(first, scope, MOST_PAGES, end).await?;
    let names = pages.into_iter().filter_map(|it| it.repositories).flatten();
    Ok(names.map(Option::unwrap_or_default).collect())
}

/// The longest page that Harbor serves.
const PAGE: usize = 100;

/// Harbor's API 2.0, `listRepositories`: pages have numbers, `X-Total-Count` says how many repositories there are, and
/// their names begin with the project's.
async fn of_harbor(
    connection: &Connection,
    project: &str,
    scope: &Scope,
) -> Result<BTreeSet<String>, Error> {
    #[derive(Deserialize)]
    struct Entry {
        name: Option<String>,
    }
    let path = format!("/api/v2.0/projects/{project}/repositories");
    let mut names = BTreeSet::new();
    for number in 1..=MOST_PAGES {
        // In an order that a push in between does not change.
        let query = format!("page={number}&page_size={PAGE}&sort=name");
        let url = url(connection, &path, &query);
        let get = || {
            let request = Request::new(Method::GET, url.clone());
            connection.document(request, scope, LARGEST_PAGE)
        };
        let (response, body) = connection.retry(get).await?;
        let wrong = |reason| Error::protocol(&url, reason);
        let entries: Vec<Entry> = json::from_slice(&body, &["name"])
            .map_err(|error| wrong(format!("not the list that was asked for: {error}")))?;
        let count = entries.len();
        names.extend(entries.into_iter().map(|it| it.name.unwrap_or_default()));
        let total = total(response.headers());
        let is_end = match total {
            Some(total) => count == 0 || names.len() >= total,
            None => count < PAGE,
        };
        if !is_end {
            continue;
        }
        return match total {
            Some(total) if names.len() < total => {
                let listed = names.len();
                Err(wrong(format!(
                    "the list ends after {listed} of {total} repositories"
                )))
            }
            _ => Ok(names),
        };
    }
    Err(Error::protocol(
        &url(connection, &path, ""),
        format!("more than {MOST_PAGES} pages"),
    ))
}

fn total(headers: &HeaderMap) -> Option<usize> {
    headers.get("x-total-count")?.to_str().ok()?.parse().ok()
}

fn url(connection: &Connection, path: &str, query: &str) -> Url {
    let mut url = connection.base.clone();
    url.set_path(path);
    url.set_query(Some(query));
    url
}
