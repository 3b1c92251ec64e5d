//! Which tags a version gets. Pure.

use semver::Version;

use crate::oci::{Platform, ReferenceError, Tag};

/// The tags of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Names this version and no other.
    pub immutable: Tag,
    /// Move from release to release; none for a prerelease.
    pub moving: Vec<Tag>,
    /// One for each platform, in their order: what the engine calls its image, and pushes where there are several; the
    /// index then refers to it by digest.
    pub platforms: Vec<Tag>,
}

impl Tags {
    /// # Errors
    /// The version is too long for a tag, alone or with a platform after it.
    pub fn of(version: &Version, platforms: &[Platform]) -> Result<Self, ReferenceError> {
        let moving = match version.pre.is_empty() {
            true => vec![
                format!("{}.{}", version.major, version.minor),
                version.major.to_string(),
                "latest".to_owned(),
            ],
            false => Vec::new(),
        };
        let of_platform = |platform: &Platform| {
            let suffix = platform.to_string().replace('/', "-");
            format!("{version}-{suffix}").parse()
        };
        Ok(Tags {
            immutable: version.to_string().parse()?,
            moving: moving
                .iter()
                .map(|tag| tag.parse())
                .collect::<Result<_, _>>()?,
            platforms: platforms
                .iter()
                .map(of_platform)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Whether the tag is a full version, which is never moved.
pub fn is_version(tag: &Tag) -> bool {
    Version::parse(tag.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(version: &str) -> Vec<String> {
        let tags = Tags::of(&version.parse().unwrap(), &[]).unwrap();
        std::iter::once(&tags.immutable)
            .chain(&tags.moving)
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_stable_version_moves_the_shorter_tags_and_latest() {
        assert_eq!(tags("1.2.3"), ["1.2.3", "1.2", "1", "latest"]);
    }

    #[test]
    fn a_prerelease_has_only_its_own() {
        assert_eq!(tags("1.2.3-beta.4"), ["1.2.3-beta.4"]);
    }

    #[test]
    fn a_version_that_is_too_long_for_a_tag_is_an_error() {
        let platforms = ["linux/arm64".parse().unwrap()];
        let tags = |length: usize| {
            let version = format!("1.2.3-{}", "x".repeat(length - 6));
            Tags::of(&version.parse().unwrap(), &platforms)
        };
        assert_eq!(tags(116).unwrap().platforms[0].as_str().len(), 128);
        for length in [117, 128, 129] {
            let error = tags(length).unwrap_err().to_string();
            assert!(error.contains("up to 128"), "{error}");
        }
    }
}
