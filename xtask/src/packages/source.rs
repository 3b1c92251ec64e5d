//! Where packages come from: one address, in any of the three forms that people have. Its query (an Azure signature)
//! goes to addresses below its own directory and to no other, and is never printed.

use std::fmt;

use url::Url;

use super::error::Error;
use crate::secret::{Secret, public_url};

/// A package feed: a base (`…/`), an explicit index (`….json`) or an Azure container SAS URL.
///
/// `Display` gives the public part of the index's address.
#[derive(Clone, Debug)]
pub struct Source {
    /// The directory that holds the packages: ends with `/`, carries the query.
    base: Secret<Url>,
    /// With its signature.
    pub(super) index: Secret<Url>,
}

impl Source {
    /// Reads an address: a path that ends with `.json` is an index, any other is the directory that holds `index.json`.
    ///
    /// # Errors
    /// [`Error::Source`] unless it is `http` or `https`.
    pub fn new(address: Secret<Url>) -> Result<Self, Error> {
        let address = address.expose();
        if !matches!(address.scheme(), "http" | "https") {
            return Err(Error::Source {
                address: public_url(address),
            });
        }
        let mut base = address.clone();
        base.set_fragment(None);
        let mut index = base.clone();
        let path = address.path();
        if path.ends_with(".json") {
            let directory = path.rfind('/').map_or("/", |slash| &path[..=slash]);
            base.set_path(directory);
        } else {
            base.set_path(&format!("{}/", path.trim_end_matches('/')));
            index.set_path(&format!("{}index.json", base.path()));
        }
        Ok(Source {
            base: Secret::new(base),
            index: Secret::new(index),
        })
    }

    /// The address of a file that the index names by its path; the path cannot climb out of the base.
    pub(super) fn file(&self, path: &str) -> Secret<Url> {
        let mut url = self.base.expose().clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // `extend` percent-encodes, and ignores `.` and `..`.
            segments
                .pop_if_empty()
                .extend(path.split('/').filter(|part| !part.is_empty()));
        }
        Secret::new(url)
    }

    /// An address that the index spells out, if it may be used: `https`, or as plain as the base itself. One that
    /// lies below the base and has no query of its own gets the base's.
    pub(super) fn link(&self, link: &str) -> Option<Secret<Url>> {
        let base = self.base.expose();
        let mut url = Url::parse(link).ok()?;
        if url.scheme() != "https" && url.scheme() != base.scheme() {
            return None;
        }
        let ours = url.origin() == base.origin() && url.path().starts_with(base.path());
        if ours && url.query().is_none() {
            url.set_query(base.query());
        }
        Some(Secret::new(url))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&public_url(self.index.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAS: &str = "https://acc.blob.core.windows.net/packages?sv=2024&sig=ab%2Fcd";

    fn source(address: &str) -> Source {
        Source::new(Secret::new(Url::parse(address).unwrap())).unwrap()
    }

    fn index(address: &str) -> String {
        source(address).index.expose().to_string()
    }

    #[test]
    fn a_base_an_index_and_a_container_each_lead_to_an_index() {
        assert_eq!(index("https://h/a/"), "https://h/a/index.json");
        assert_eq!(index("https://h/a"), "https://h/a/index.json");
        assert_eq!(index("https://h"), "https://h/index.json");
        assert_eq!(index("https://h/a/beta.json#x"), "https://h/a/beta.json");
        assert_eq!(
            index(SAS),
            "https://acc.blob.core.windows.net/packages/index.json?sv=2024&sig=ab%2Fcd"
        );
    }

    #[test]
    fn only_http_addresses_are_sources() {
        for address in ["file:///tmp/index.json", "mailto:someone@example.com"] {
            let error = Source::new(Secret::new(Url::parse(address).unwrap())).unwrap_err();
            assert!(error.is_input(), "{error}");
        }
    }

    #[test]
    fn a_file_gets_the_signature_and_stays_below_the_base() {
        let source = source(SAS);
        for (path, expected) in [
            ("1.0/a b#.zip", "packages/1.0/a%20b%23.zip"),
            ("../../other/x.zip", "packages/other/x.zip"),
            ("https://evil/x.zip", "packages/https:/evil/x.zip"),
        ] {
            let url = source.file(path);
            let expected =
                format!("https://acc.blob.core.windows.net/{expected}?sv=2024&sig=ab%2Fcd");
            assert_eq!(url.expose().as_str(), expected);
        }
    }

    #[test]
    fn the_signature_goes_to_links_below_the_base_only() {
        let source = source(SAS);
        let query = |link: &str| {
            let url = source.link(link)?;
            Some(url.expose().query().map(str::to_owned))
        };
        let host = "https://acc.blob.core.windows.net";
        let signed = Some(Some("sv=2024&sig=ab%2Fcd".to_owned()));
        assert_eq!(query(&format!("{host}/packages/x.zip")), signed);
        assert_eq!(query(&format!("{host}/other/x.zip")), Some(None));
        assert_eq!(query("https://cdn.example.com/packages/x.zip"), Some(None));
        assert_eq!(
            query("http://acc.blob.core.windows.net/packages/x.zip"),
            None
        );
        assert_eq!(query("not a link"), None);
    }

    #[test]
    fn neither_display_nor_debug_shows_the_signature() {
        let source = source(SAS);
        let shown = format!("{source} {source:?} {:?}", source.file("x.zip"));
        assert!(!shown.contains("sig") && !shown.contains("2024"), "{shown}");
        assert!(shown.starts_with("https://acc.blob.core.windows.net/packages/index.json "));
    }
}
