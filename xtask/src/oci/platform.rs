//! The platform of an image: `linux/arm64/v8` for people, an object in an index.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::json::null_is_default;
use crate::foreign::Foreign;

/// OCI image index, `platform`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    #[serde(default, deserialize_with = "null_is_default")]
    pub architecture: String,
    #[serde(default, deserialize_with = "null_is_default")]
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
    "`{}` is not a platform; hint: `os/architecture` or `os/architecture/variant`, such as `linux/arm64`",
    Foreign::new(.0)
)]
pub struct PlatformError(String);

impl Platform {
    /// Whether `other` is what this asks for, however both are spelled. What this leaves open is not compared: a part
    /// that is empty or `None`.
    pub fn fits(&self, other: &Platform) -> bool {
        let (asked, there) = (self.normalized(), other.normalized());
        (self.os.is_empty() || asked.os == there.os)
            && (self.os_version.is_none() || self.os_version == other.os_version)
            && (self.architecture.is_empty() || asked.architecture == there.architecture)
            && (self.variant.is_none() || asked.variant == there.variant)
    }

    /// How far below this `other` is, if what is made for `other` runs on this: 0 for the same variant, `None` for
    /// another architecture or a higher variant, as containerd chooses from an index.
    pub fn distance(&self, other: &Platform) -> Option<u32> {
        let (own, other) = (self.normalized(), other.normalized());
        if (own.os, own.architecture) != (other.os, other.architecture) {
            return None;
        }
        let number = |variant: &str| variant.strip_prefix('v')?.parse::<u32>().ok();
        match (number(&own.variant), number(&other.variant)) {
            (Some(own), Some(other)) => own.checked_sub(other),
            _ => (own.variant == other.variant).then_some(0),
        }
    }

    /// Whether it is of what runs nowhere, as BuildKit writes it.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// Whether it names a system and an architecture, which the manifests of what is no image leave empty.
    pub fn is_named(&self) -> bool {
        !self.os.is_empty() && !self.architecture.is_empty()
    }

    /// One spelling for each platform, with the variant that is meant where none is written: what containerd takes for
    /// equal is equal (<https://github.com/containerd/platforms/blob/main/database.go>).
    fn normalized(&self) -> Normalized {
        let os = match &*self.os.to_lowercase() {
            "macos" => "darwin".to_owned(),
            os => os.to_owned(),
        };
        let variant = self.variant.as_deref().unwrap_or_default().to_lowercase();
        let architecture = self.architecture.to_lowercase();
        let (architecture, variant) = match (&*architecture, &*variant) {
            ("i386", _) => ("386", ""),
            ("amd64" | "x86_64" | "x86-64", "" | "v1") => ("amd64", "v1"),
            ("amd64" | "x86_64" | "x86-64", variant) => ("amd64", variant),
            ("arm64" | "aarch64", "" | "8" | "v8") => ("arm64", "v8"),
            ("arm64" | "aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7" | "v7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            (architecture, variant) => (architecture, variant),
        };
        Normalized {
            os,
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        }
    }
}

/// A platform in one spelling.
struct Normalized {
    os: String,
    architecture: String,
    variant: String,
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
        f.write_str(&self.os)?;
        if self.is_named() {
            f.write_str("/")?;
        }
        f.write_str(&self.architecture)?;
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
    fn what_runs_on_a_platform_is_of_its_variant_or_a_lower_one() {
        let distance = |own: &str, other: &str| {
            let [own, other]: [Platform; 2] = [own, other].map(|it| it.parse().unwrap());
            own.distance(&other)
        };
        assert_eq!(distance("linux/amd64", "linux/amd64/v1"), Some(0));
        assert_eq!(distance("linux/amd64", "linux/amd64/v3"), None);
        assert_eq!(distance("linux/amd64/v3", "linux/amd64"), Some(2));
        assert_eq!(distance("linux/arm", "linux/arm/v6"), Some(1));
        assert_eq!(distance("linux/arm64", "linux/arm64/v8"), Some(0));
        assert_eq!(distance("linux/arm64", "linux/amd64"), None);
        assert_eq!(distance("linux/mips/a", "linux/mips/b"), None);
    }

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
        assert!(!fits("linux/arm/v6", "linux/arm/v7") && !fits("linux/arm/v6", "linux/arm"));
        assert!(fits("linux/amd64", "linux/amd64/v3") && !fits("linux/amd64/v3", "linux/amd64"));
    }

    #[test]
    fn one_platform_has_several_spellings() {
        for (asked, written) in [
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/arm64/8", "linux/aarch64"),
            ("linux/arm/v7", "linux/arm"),
            ("linux/arm/7", "linux/armhf"),
            ("linux/arm/v6", "linux/armel"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/x86_64", "Linux/AMD64/v1"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            let [asked, written]: [Platform; 2] = [asked, written].map(|it| it.parse().unwrap());
            assert!(
                asked.fits(&written) && written.fits(&asked),
                "{asked} {written}"
            );
        }
    }

    #[test]
    fn null_is_what_is_not_there() {
        let platform: Platform = serde_json::from_str(r#"{"os":null,"variant":null}"#).unwrap();
        assert!(platform == Platform::default() && !platform.is_named());
    }
}
