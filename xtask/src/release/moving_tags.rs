//! The moving tags of a registry: `1.2`, `1` and `latest` never go back to an older version, unless `--tags` names
//! them.
//!
//! The registry's own list of tags says whether a newer version is there. Where it may not be listed, the version in
//! the labels of the image that the tag names says it; where that says nothing either, the tag stays as it is.

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;
use semver::Version;

use super::registry_state::{image_config, images, resolve_tag};
use super::run_state::Published;
use super::tagging;
use crate::exit::sentence;
use crate::oci::{Digest, Manifest, Tag, TagOrDigest};
use crate::registry::Repository;
use crate::report::TagBefore;

/// Points each of `moving` at `manifest`, which is `version`, and records in `published` what was done and what each
/// tag named before, also when one of them fails; returns a sentence about the tags that stay at a newer version.
///
/// With `is_by_hand` somebody has named these tags: whatever they name, they are set.
pub async fn set(
    repository: &Repository,
    moving: &[Tag],
    version: &Version,
    manifest: &Manifest,
    is_by_hand: bool,
    published: &mut Published,
) -> Result<Option<String>> {
    let ask = moving.iter().map(|tag| resolve_tag(repository, tag));
    let now = try_join_all(ask).await?;
    let before = moving.iter().zip(&now).map(|(tag, digest)| TagBefore {
        tag: tag.clone(),
        digest: digest.clone(),
    });
    published.before = before.collect();
    let is_equal = |digest: &Option<Digest>| digest.as_ref() == Some(manifest.digest());
    let versions = match is_by_hand || now.iter().all(is_equal) {
        true => Versions::NotAsked,
        false => match repository.tags().await {
            Ok(tags) => Versions::Listed(tags.iter().filter_map(version_of).collect()),
            Err(error) => Versions::Unlisted(sentence(&error.into())),
        },
    };
    let mut kept: Vec<(String, Vec<&Tag>)> = Vec::new();
    for (tag, digest) in moving.iter().zip(&now) {
        if is_equal(digest) {
            published.tags.push(tag.clone());
            continue;
        }
        if let Some(named) = digest
            && let Some(newer) = newer(repository, tag, named, version, &versions).await?
        {
            match kept.iter_mut().find(|(place, _)| *place == newer) {
                Some((_, tags)) => tags.push(tag),
                None => kept.push((newer, vec![tag])),
            }
            continue;
        }
        tagging::put(repository, tag, manifest).await?;
        published.set.push(tag.clone());
        published.tags.push(tag.clone());
    }
    let kept = kept
        .iter()
        .map(|(place, tags)| format!("{} kept {place}", super::plan::join(tags)));
    let kept: Vec<String> = kept.collect();
    Ok((!kept.is_empty()).then(|| kept.join(", ")))
}

/// What a registry has said of its versions.
enum Versions {
    NotAsked,
    Listed(Vec<Version>),
    Unlisted(String),
}

/// Where `tag`, which names `named`, is to stay because something newer than `version` is there: `at 1.2.4`.
async fn newer(
    repository: &Repository,
    tag: &Tag,
    named: &Digest,
    version: &Version,
    versions: &Versions,
) -> Result<Option<String>> {
    match versions {
        Versions::NotAsked => Ok(None),
        Versions::Listed(versions) => {
            let Some(newest) = newest_of_line(tag, versions).filter(|it| *it > version) else {
                return Ok(None);
            };
            let at = resolve_tag(repository, &newest.to_string().parse()?).await?;
            Ok(Some(match at.as_ref() == Some(named) {
                true => format!("at {newest}"),
                false => format!("as it is, because {newest} is there"),
            }))
        }
        Versions::Unlisted(why) => match labelled(repository, named).await {
            Ok(Some(labelled)) if labelled <= *version => Ok(None),
            Ok(Some(labelled)) => Ok(Some(format!("at {labelled}"))),
            Ok(None) | Err(_) => bail!(
                "`{tag}` is left as it is: whether a newer version is there cannot be told, as the tags cannot be \
                 listed: {why}\nhint: `--tags {tag}` sets it whatever it names"
            ),
        },
    }
}

/// The newest of `versions` that `tag` may name: `1.2` names 1.2.x, `1` names 1.x.y, anything else any version.
fn newest_of_line<'v>(tag: &Tag, versions: &'v [Version]) -> Option<&'v Version> {
    let parts: Option<Vec<u64>> = tag.as_str().split('.').map(|it| it.parse().ok()).collect();
    let is_of_line = |version: &&Version| match parts.as_deref() {
        Some([major]) => version.major == *major,
        Some([major, minor]) => (version.major, version.minor) == (*major, *minor),
        _ => true,
    };
    versions.iter().filter(is_of_line).max()
}

/// The stable version that is this tag. A prerelease has no moving tags, so it keeps none from an older version.
fn version_of(tag: &Tag) -> Option<Version> {
    let version = Version::parse(tag.as_str()).ok()?;
    version.pre.is_empty().then_some(version)
}

/// The version in the labels of an image, or of the first in an index.
async fn labelled(repository: &Repository, digest: &Digest) -> Result<Option<Version>> {
    let at = TagOrDigest::Digest(digest.clone());
    let manifest = repository.get_manifest(&at).await?;
    let images = images(repository, &manifest.context("it is gone")?).await?;
    let Some((_, image)) = images.first() else {
        return Ok(None);
    };
    let config = image_config(repository, &image.config).await?;
    let version = config.label("org.opencontainers.image.version");
    Ok(version.and_then(|it| Version::parse(it).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_moving_tag_has_the_versions_of_its_line() {
        let tags = [
            "1.2.3",
            "1.2.10",
            "1.3.0",
            "1.10.1",
            "2.0.0-rc.1",
            "01.9.0",
            "1.9",
            "10",
            "latest",
            "1.99.0-linux-amd64",
            "1.2.99999999999999999999",
        ];
        let tags = tags.map(|tag| tag.parse::<Tag>().unwrap());
        let versions: Vec<Version> = tags.iter().filter_map(version_of).collect();
        for (tag, newest) in [
            ("1.2", Some("1.2.10")),
            ("1", Some("1.10.1")),
            ("latest", Some("1.10.1")),
            ("2", None),
            ("1.1", None),
        ] {
            let found = newest_of_line(&tag.parse().unwrap(), &versions);
            assert_eq!(found.map(ToString::to_string).as_deref(), newest, "{tag}");
        }
    }
}
