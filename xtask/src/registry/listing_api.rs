//! The APIs that list tags with their digests: their addresses, and what their pages say. No address that a page names
//! is followed.

use serde_json::Value;
use url::Url;

use crate::oci::Digest;

/// The longest page that all three serve.
const PAGE: usize = 100;

const DOCKER_HUB_API: &str = "https://hub.docker.com/";

/// Whose listing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    DockerHub,
    Azure,
    Harbor,
}

/// What a page says: tags, each with a digest if it has a right one, and whether more follows.
pub(super) struct Page {
    pub tags: Vec<(String, Option<Digest>)>,
    pub is_last: bool,
}

impl Api {
    /// The address of a page; `last` is the last tag of the page before.
    pub fn url(self, base: &Url, path: &str, number: usize, last: Option<&str>) -> Option<Url> {
        let mut url = base.clone();
        match self {
            Api::DockerHub => {
                path.split_once('/')
                    .filter(|(_, name)| !name.contains('/'))?;
                url = Url::parse(DOCKER_HUB_API).ok()?;
                url.set_path(&format!("/v2/repositories/{path}/tags"));
                url.set_query(Some(&format!("page_size={PAGE}&page={number}")));
            }
            Api::Azure => {
                url.set_path(&format!("/acr/v1/{path}/_tags"));
                url.query_pairs_mut()
                    .append_pair("n", &PAGE.to_string())
                    .extend_pairs(last.map(|last| ("last", last)));
            }
            Api::Harbor => {
                let (project, name) = path.split_once('/')?;
                // Encoded twice, because the proxy before it decodes once.
                let name = name.replace('/', "%252F");
                url.set_path(&format!(
                    "/api/v2.0/projects/{project}/repositories/{name}/artifacts"
                ));
                let query = format!("with_tag=true&page_size={PAGE}&page={number}");
                url.set_query(Some(&query));
            }
        }
        Some(url)
    }

    /// What a page says; `None` if it is none. `has_next`: its header `Link` names another.
    pub fn page(self, page: &Value, has_next: bool) -> Option<Page> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let digest = |entry: &Value| entry["digest"].as_str()?.parse().ok();
        let named = |entry: &Value| Some((text(&entry["name"])?, digest(entry)));
        Some(match self {
            // Of an index, `digest` is its own, and `images` has those of its images.
            Api::DockerHub => Page {
                tags: page["results"]
                    .as_array()?
                    .iter()
                    .filter_map(named)
                    .collect(),
                is_last: !page["next"].is_string(),
            },
            Api::Azure => Page {
                tags: page["tags"].as_array()?.iter().filter_map(named).collect(),
                is_last: !has_next,
            },
            Api::Harbor => {
                let artifacts = page.as_array()?;
                let tags = artifacts.iter().flat_map(|artifact| {
                    let tags = artifact["tags"].as_array().into_iter().flatten();
                    tags.filter_map(move |tag| Some((text(&tag["name"])?, digest(artifact))))
                });
                Page {
                    tags: tags.collect(),
                    is_last: artifacts.len() < PAGE,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn url(api: Api, path: &str, number: usize, last: Option<&str>) -> Option<String> {
        let base = Url::parse("https://r.io/").unwrap();
        api.url(&base, path, number, last).map(String::from)
    }

    #[test]
    fn the_addresses_of_pages() {
        for (api, path, last, expected) in [
            (
                Api::DockerHub,
                "library/nginx",
                None,
                "https://hub.docker.com/v2/repositories/library/nginx/tags?page_size=100&page=2",
            ),
            (
                Api::Azure,
                "team/app",
                Some("v+1"),
                "https://r.io/acr/v1/team/app/_tags?n=100&last=v%2B1",
            ),
            (
                Api::Harbor,
                "team/apps/one/web",
                None,
                "https://r.io/api/v2.0/projects/team/repositories/apps%252Fone%252Fweb/artifacts?with_tag=true&page_size=100&page=2",
            ),
        ] {
            assert_eq!(url(api, path, 2, last).as_deref(), Some(expected));
        }
        for (api, path) in [
            (Api::DockerHub, "nginx"),
            (Api::DockerHub, "a/b/c"),
            (Api::Harbor, "app"),
        ] {
            assert_eq!(url(api, path, 1, None), None, "{path}");
        }
    }

    #[test]
    fn the_digest_at_docker_hub_is_that_of_the_index() {
        let (index, image) = (Digest::sha256_of(b"index"), Digest::sha256_of(b"image"));
        let images = json!([{"architecture": "amd64", "os": "linux", "digest": image}]);
        let page = json!({"count": 3, "next": "https://elsewhere.io/", "previous": null, "results": [
            {"name": "1", "digest": index, "images": images},
            {"name": "2", "images": images},
            {"name": "3", "digest": "sha256:short", "images": []},
            {"digest": index},
        ]});
        let page = Api::DockerHub.page(&page, false).unwrap();
        let tags = [("1", Some(index)), ("2", None), ("3", None)];
        assert_eq!(page.tags, tags.map(|(name, it)| (name.to_owned(), it)));
        assert!(!page.is_last);
    }

    #[test]
    fn what_is_no_page_is_none() {
        for api in [Api::DockerHub, Api::Azure, Api::Harbor] {
            for page in [
                json!({"message": "object not found"}),
                json!(null),
                json!("x"),
            ] {
                assert!(api.page(&page, false).is_none(), "{api:?} {page}");
            }
        }
        let odd = json!([1, {"digest": 2, "tags": [{"name": 3}, {"name": "v1"}]}, {"tags": {}}]);
        let odd = Api::Harbor.page(&odd, false).unwrap();
        assert_eq!(odd.tags, [("v1".to_owned(), None)]);
        assert!(odd.is_last);
    }
}
