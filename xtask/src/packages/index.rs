//! The package index: which versions there are. Only what is semver is a version.

use serde::Deserialize;

use super::error::{Error, list};
use super::get::{Failure, STALL, TRIES, get};
use super::package::{Asset, Package, is_for, runtime};
use super::source::Source;
use crate::http;

/// The product's index, as far as a release needs it: unknown fields are ignored.
// No Debug: the links of an index may be signed.
#[derive(Deserialize)]
pub struct Index {
    pub versions: Vec<Version>,
}

/// What the index says of one version.
#[derive(Deserialize)]
pub struct Version {
    pub version: String,
    pub(super) assets: Vec<Asset>,
}

/// The largest index that is read, in bytes. The product's is 33 KB; this bounds memory.
const LARGEST: usize = 16 << 20;

/// Fetches and reads the index; `client` is from [`http::client`].
///
/// # Errors
/// [`Error::Network`] after a few tries, [`Error::Unreachable`], [`Error::NotJson`], [`Error::Shape`].
pub async fn fetch_index(client: &reqwest::Client, source: &Source) -> Result<Index, Error> {
    let fetch = async |_| {
        let mut response = get(client, &source.index, 0).await?;
        Ok(http::document(&mut response, STALL, LARGEST).await?)
    };
    let policy = http::transient(TRIES - 1, http::FIRST_WAIT, Failure::is_transient);
    let fetched = http::retry(policy, fetch).await;
    let bytes = fetched.map_err(|failure| {
        let (index, reason) = (source.to_string(), failure.to_string());
        match failure.is_transient() {
            true => Error::Network { index, reason },
            false => Error::Unreachable { index, reason },
        }
    })?;
    parse(source, &bytes)
}

impl Index {
    /// The newest version by semver's order; entries that are not semver are not versions.
    pub fn newest(&self) -> Option<&str> {
        self.newest_first().first().copied()
    }

    /// The one package of `version` for each of `platforms` (`linux/amd64`).
    ///
    /// # Errors
    /// [`Error::NoPackage`]; [`Error::Shape`] for a name or digest that
    /// cannot be one.
    pub fn select(
        &self,
        source: &Source,
        version: &semver::Version,
        platforms: &[impl AsRef<str>],
    ) -> Result<Vec<Package>, Error> {
        let found = self
            .versions
            .iter()
            .find(|known| semver(&known.version).as_ref() == Some(version))
            .ok_or_else(|| {
                let newest = list(self.newest_first().into_iter().take(5));
                Error::NoPackage(format!(
                    "version `{version}` is not in the package index `{source}`; hint: the newest there: {newest}"
                ))
            })?;
        platforms
            .iter()
            .map(|platform| found.package(source, platform.as_ref()))
            .collect()
    }

    fn newest_first(&self) -> Vec<&str> {
        let mut versions: Vec<_> = self
            .versions
            .iter()
            .filter_map(|known| Some((semver(&known.version)?, known.version.as_str())))
            .collect();
        versions.sort_by(|a, b| b.cmp(a));
        versions.into_iter().map(|(_, name)| name).collect()
    }
}

impl Version {
    fn package(&self, source: &Source, platform: &str) -> Result<Package, Error> {
        let wanted = runtime(platform);
        let zips: Vec<&Asset> = self
            .assets
            .iter()
            .filter(|asset| asset.name.ends_with(".zip"))
            .collect();
        let fitting: Vec<&Asset> = zips
            .iter()
            .copied()
            .filter(|asset| is_for(&asset.name, &wanted))
            .collect();
        let version = &self.version;
        match fitting[..] {
            [asset] => asset.package(source),
            [] => Err(Error::NoPackage(format!(
                "version `{version}` has no package for `{platform}` (a .zip named with `{wanted}`); hint: it has {}",
                list(names(&zips))
            ))),
            _ => Err(Error::ambiguous(version, platform, names(&fitting))),
        }
    }
}

fn names<'a>(assets: &[&'a Asset]) -> impl Iterator<Item = &'a str> {
    assets.iter().map(|asset| asset.name.as_str())
}

fn parse(source: &Source, bytes: &[u8]) -> Result<Index, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (index, reason) = (source.to_string(), error.to_string());
        // A struct may be written as a list in serde's eyes, which would be told in its words.
        let reason = match serde_json::from_slice::<serde_json::Value>(bytes) {
            Ok(value) if !value.is_object() => "it is no object".to_owned(),
            _ => reason,
        };
        if error.is_data() {
            Error::Shape { index, reason }
        } else {
            Error::NotJson { index, reason }
        }
    })
}

fn semver(version: &str) -> Option<semver::Version> {
    semver::Version::parse(version.strip_prefix('v').unwrap_or(version)).ok()
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::secret::Secret;

    const REAL: &[u8] = include_bytes!("../../tests/data/package-index.json");

    fn source() -> Source {
        let url = Url::parse("https://server.dl.hagicode.com/?sig=hush").unwrap();
        Source::new(Secret::new(url)).unwrap()
    }

    fn index(assets: serde_json::Value) -> Index {
        let json = serde_json::json!({"versions": [{"version": "1.2.3", "assets": assets}]});
        parse(&source(), json.to_string().as_bytes()).ok().unwrap()
    }

    #[test]
    fn what_is_no_index_is_told_in_a_readers_words() {
        let told = parse(&source(), b"[]").map(drop).unwrap_err().to_string();
        assert!(told.contains("it is no object; hint: "), "{told}");
    }

    fn asset(name: &str) -> serde_json::Value {
        serde_json::json!({"name": name, "path": format!("1.2.3/{name}"), "size": 5})
    }

    fn select(index: &Index, version: &str, platform: &str) -> Result<Vec<Package>, Error> {
        index.select(&source(), &version.parse().unwrap(), &[platform])
    }

    #[test]
    fn the_products_own_index_gives_both_platforms_primary_source_first() {
        let index = parse(&source(), REAL).ok().unwrap();
        assert_eq!(index.newest(), Some("0.1.0-beta.78"));
        let version = "0.1.0-beta.78".parse().unwrap();
        let packages = index
            .select(&source(), &version, &["linux/amd64", "linux/arm64"])
            .unwrap();
        let names: Vec<_> = packages
            .iter()
            .map(|package| package.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "hagicode-0.1.0-beta.78-linux-x64-nort.zip",
                "hagicode-0.1.0-beta.78-linux-arm64-nort.zip"
            ]
        );
        assert_eq!((packages[0].size, &packages[0].digest), (64302326, &None));
        let sources: Vec<_> = packages[0]
            .sources
            .iter()
            .map(|url| url.expose().as_str())
            .collect();
        let file = "0.1.0-beta.78/hagicode-0.1.0-beta.78-linux-x64-nort.zip";
        assert_eq!(
            sources,
            [
                format!("https://server.dl.hagicode.com/{file}?sig=hush"),
                format!("https://dl-server.hagicode.com/{file}"),
            ]
        );
    }

    #[test]
    fn newest_is_by_semver_and_not_by_position_or_alphabet() {
        let json = r#"{"versions": [
            {"version": "1.0.0-beta.9", "assets": []}, {"version": "1.0.0-beta.10", "assets": []},
            {"version": "nightly", "assets": []}, {"version": "v0.9.0", "assets": []}]}"#;
        let index = parse(&source(), json.as_bytes()).ok().unwrap();
        assert_eq!(index.newest(), Some("1.0.0-beta.10"));
    }

    #[test]
    fn a_missing_version_lists_the_newest() {
        let index = parse(&source(), REAL).ok().unwrap();
        let error = select(&index, "9.9.9", "linux/amd64").unwrap_err();
        assert!(error.is_input());
        let text = error.to_string();
        assert!(text.contains("`9.9.9`") && text.contains("the newest there: `0.1.0-beta.78`, `0"));
        assert!(!text.contains("hush"), "{text}");
    }

    #[test]
    fn a_missing_platform_lists_the_zips_there_are() {
        let index = index(serde_json::json!([
            asset("a-linux-x64.zip"),
            asset("a-linux-arm.tar.gz")
        ]));
        let text = select(&index, "1.2.3", "linux/arm/v7")
            .unwrap_err()
            .to_string();
        assert_eq!(
            text,
            "version `1.2.3` has no package for `linux/arm/v7` (a .zip named with `linux-arm`); \
             hint: it has `a-linux-x64.zip`"
        );
    }

    #[test]
    fn arm_is_not_arm64() {
        let index = index(serde_json::json!([
            asset("a-linux-arm64.zip"),
            asset("a-linux-arm.zip")
        ]));
        for (platform, name) in [
            ("linux/arm64", "a-linux-arm64.zip"),
            ("linux/arm/v7", "a-linux-arm.zip"),
        ] {
            assert_eq!(select(&index, "1.2.3", platform).unwrap()[0].name, name);
        }
    }

    #[test]
    fn two_packages_for_one_platform_are_an_error_that_names_both() {
        let index = index(serde_json::json!([
            asset("a-linux-x64.zip"),
            asset("b-linux-x64.zip")
        ]));
        let text = select(&index, "1.2.3", "linux/amd64")
            .unwrap_err()
            .to_string();
        assert!(
            text.ends_with("`a-linux-x64.zip`, `b-linux-x64.zip`"),
            "{text}"
        );
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in [
            "../linux-x64.zip",
            "/etc/linux-x64.zip",
            "..\\linux-x64.zip",
            ".linux-x64.zip",
        ] {
            let index = index(serde_json::json!([asset(name)]));
            let error = select(&index, "1.2.3", "linux/amd64").unwrap_err();
            assert!(matches!(error, Error::Shape { .. }), "{error}");
        }
    }

    #[test]
    fn a_digest_is_sixty_four_hex_digits_or_absent() {
        let with = |sha256: &str| {
            let mut asset = asset("a-linux-x64.zip");
            asset["sha256"] = sha256.into();
            let index = index(serde_json::json!([asset]));
            select(&index, "1.2.3", "linux/amd64").map(|packages| packages[0].digest.clone())
        };
        assert_eq!(with("").unwrap(), None);
        assert_eq!(
            with(&"AB".repeat(32)).unwrap(),
            Some(format!("sha256:{}", "ab".repeat(32)).parse().unwrap())
        );
        assert!(with("abc").is_err());
    }

    #[test]
    fn a_page_is_not_json_and_json_is_not_yet_an_index() {
        let page = parse(&source(), b"<!DOCTYPE html>").err().unwrap();
        assert!(matches!(page, Error::NotJson { .. }), "{page}");
        let list = parse(&source(), br#"{"versions": [{"version": 1}]}"#)
            .err()
            .unwrap();
        assert!(matches!(list, Error::Shape { .. }), "{list}");
    }
}
