//! Which tags a version gets. Pure.

use semver::Version;

use crate::oci::{Platform, Tag};

/// The tags of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Names this version and no other.
    pub immutable: Tag,
    /// Move from release to release; none for a prerelease.
    pub moving: Vec<Tag>,
}

impl Tags {
    pub fn of(version: &Version) -> Self {
        let tag = |text: String| -> Tag {
            text.parse()
                .expect("a version without build metadata is a tag")
        };
        let moving = if version.pre.is_empty() {
            vec![
                tag(format!("{}.{}", version.major, version.minor)),
                tag(version.major.to_string()),
                tag("latest".to_owned()),
            ]
        } else {
            Vec::new()
        };
        Tags {
            immutable: tag(version.to_string()),
            moving,
        }
    }

    /// The tag under which the engine pushes one platform of several; the index then refers to it by digest.
    pub fn of_platform(version: &Version, platform: &Platform) -> Tag {
        let suffix = platform.to_string().replace('/', "-");
        format!("{version}-{suffix}")
            .parse()
            .expect("a version and a platform make a tag")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(version: &str) -> Vec<String> {
        let tags = Tags::of(&version.parse().unwrap());
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
}
