//! A package, out of an asset that the index lists. It has a plain file name and at least one source, whatever the
//! index says.

use std::collections::BTreeSet;

use serde::Deserialize;
use url::Url;

use super::error::Error;
use super::source::Source;
use crate::oci::{Digest, DigestError};
use crate::secret::Secret;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asset {
    pub name: String,
    path: String,
    size: u64,
    sha256: Option<String>,
    direct_url: Option<String>,
    #[serde(default)]
    download_sources: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    url: String,
    #[serde(default)]
    primary: bool,
}

/// One package to download.
#[derive(Clone, Debug)]
pub struct Package {
    /// A plain file name.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Where the index gives it.
    pub digest: Option<Digest>,
    /// To be tried in this order.
    pub sources: Vec<Secret<Url>>,
}

impl Asset {
    /// The asset as a package; its platform is the caller's choice.
    pub fn package(&self, source: &Source) -> Result<Package, Error> {
        let shape = |reason: &str| Error::Shape {
            index: source.to_string(),
            reason: format!("asset `{}` {reason}", self.name.escape_debug()),
        };
        // The name becomes a file's name here: it must not lead elsewhere.
        let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | ':');
        if self.name.starts_with('.') || !self.name.chars().all(plain) {
            return Err(shape("has a name that is not a plain file name"));
        }
        let given = self.sha256.as_deref().filter(|hex| !hex.is_empty());
        let digest = given.map(|hex| format!("sha256:{}", hex.to_ascii_lowercase()).parse());
        Ok(Package {
            name: self.name.clone(),
            size: self.size,
            digest: digest.transpose().map_err(|_: DigestError| {
                shape("has a `sha256` that is not 64 hexadecimal digits")
            })?,
            sources: self.sources(source),
        })
    }

    /// Primary sources, the other ones, the direct link, the path below the base; each once.
    fn sources(&self, source: &Source) -> Vec<Secret<Url>> {
        let primary = self.download_sources.iter().filter(|link| link.primary);
        let others = self.download_sources.iter().filter(|link| !link.primary);
        let listed = primary.chain(others).map(|link| link.url.as_str());
        let links = listed.chain(self.direct_url.as_deref());
        let mut seen = BTreeSet::new();
        links
            .filter_map(|link| source.link(link))
            .chain([source.file(&self.path)])
            .filter(|url| seen.insert(url.expose().clone()))
            .collect()
    }
}

/// What package names call a platform: .NET's runtime identifiers.
pub(super) fn runtime(platform: &str) -> String {
    let (os, architecture) = platform.split_once('/').unwrap_or(("linux", platform));
    let architecture = match architecture {
        "amd64" => "x64",
        "386" => "x86",
        "arm/v7" => "arm",
        "arm64/v8" => "arm64",
        other => other,
    };
    format!("{os}-{architecture}")
}

/// Whether `name` holds the words of `runtime` one after the other. Whole words: `linux-arm` is not in `linux-arm64`.
pub(super) fn is_for(name: &str, runtime: &str) -> bool {
    let name: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let runtime: Vec<&str> = runtime.split('-').collect();
    name.windows(runtime.len()).any(|words| words == runtime)
}
