//! The platform of an image: `linux/arm64/v8` for people, an object in an index.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// OCI image index, `platform`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    pub architecture: String,
    pub os: String,
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_features: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Only in Docker's manifest lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
}

/// Text that is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a platform; hint: `os/architecture` or `os/architecture/variant`, such as `linux/arm64`"
)]
pub struct PlatformError(String);

impl Platform {
    /// Whether `other` is what this asks for; the variant is compared only if this has one.
    pub fn fits(&self, other: &Platform) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_none() || self.variant == other.variant)
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let is_valid = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            [os, architecture, ref variant @ ..]
                if variant.len() <= 1 && parts.iter().all(is_valid) =>
            {
                Ok(Platform {
                    architecture: architecture.to_owned(),
                    os: os.to_owned(),
                    variant: variant.first().map(ToString::to_string),
                    ..Platform::default()
                })
            }
            _ => Err(PlatformError(text.to_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_reads_back_as_it_was_written() {
        for text in ["linux/amd64", "linux/arm/v7", "unknown/unknown"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["linux", "", "linux/", "a/b/c/d", "linux/amd 64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn windows_keeps_its_version() {
        let json = r#"{"architecture":"amd64","os":"windows","os.version":"10.0.17763.1"}"#;
        let platform: Platform = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&platform).unwrap(), json);
    }

    #[test]
    fn a_variant_counts_only_when_asked_for() {
        let fits = |a: &str, b: &str| {
            let [a, b]: [Platform; 2] = [a, b].map(|it| it.parse().unwrap());
            a.fits(&b)
        };
        assert!(fits("linux/arm", "linux/arm/v7") && fits("linux/arm/v7", "linux/arm/v7"));
        assert!(!fits("linux/arm/v6", "linux/arm/v7") && !fits("linux/arm/v7", "linux/arm"));
    }
}
