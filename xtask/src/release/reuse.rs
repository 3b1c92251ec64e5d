//! Layers that need not be made again, because every registry has them from the release before.
//!
//! All registries are asked at once, with a time limit; one that does not answer in time is left out here, and fails in
//! its own target.

use std::collections::HashMap;

use anyhow::Result;
use futures_util::future::{join_all, try_join_all};
use semver::Version;

use super::registry_state::{PATIENCE, image_config, images};
use crate::oci::{Descriptor, Digest, Tag, TagOrDigest};
use crate::registry::{Error, Repository};

/// A repository that the image may be pushed to, or copied from.
pub struct Candidate {
    pub repository: Repository,
    /// This run pushes to it.
    pub is_target: bool,
}

/// Layers that need not be made again.
#[derive(Default)]
pub struct ReusableLayers {
    /// By diff id.
    pub layers: HashMap<Digest, Descriptor>,
    /// A repository that holds them.
    pub holder: Option<Repository>,
}

/// The layers that the previous releases of all targets have in common. A target whose repository is new or cannot be
/// listed has none; one that does not answer in time is left out.
///
/// If a candidate holds `version` itself, from a run in which others failed, only its layers count: the others are to
/// get the same.
pub async fn layers(candidates: &[Candidate], version: &Version) -> ReusableLayers {
    let ask = candidates.iter().map(|candidate| async move {
        let ask = previous_release(&candidate.repository, version);
        let answer = tokio::time::timeout(PATIENCE, ask).await.ok()?;
        let release = answer.map_or_else(|error| absence(&error), Some)?;
        Some((candidate, release))
    });
    let answers: Vec<_> = join_all(ask).await.into_iter().flatten().collect();
    let same = answers
        .iter()
        .find(|(_, release)| release.version.as_ref() == Some(version));
    let targets = answers.iter().filter(|(it, _)| it.is_target);
    let counted: Vec<_> = same.map_or_else(|| targets.collect(), |same| vec![same]);
    let Some(((holder, first), others)) = counted.split_first() else {
        return ReusableLayers::default();
    };
    let mut layers = first.layers.clone();
    layers.retain(|diff_id, layer| {
        others.iter().all(|(_, release)| {
            let same = release.layers.get(diff_id);
            same.is_some_and(|it| it.digest == layer.digest)
        })
    });
    ReusableLayers {
        layers,
        holder: Some(holder.repository.clone()),
    }
}

/// The newest release in a repository up to a version.
#[derive(Default)]
struct PreviousRelease {
    /// `None` in a repository without releases.
    version: Option<Version>,
    /// By diff id.
    layers: HashMap<Digest, Descriptor>,
}

/// No previous release, or `None` if the registry cannot be reached.
fn absence(error: &anyhow::Error) -> Option<PreviousRelease> {
    let is_silent = matches!(error.downcast_ref(), Some(Error::Unreachable { .. }));
    (!is_silent).then(PreviousRelease::default)
}

async fn previous_release(repository: &Repository, version: &Version) -> Result<PreviousRelease> {
    let tags = repository.tags().await?;
    let Some((version, tag)) = newest(&tags, version) else {
        return Ok(PreviousRelease::default());
    };
    let at = TagOrDigest::Tag(tag.clone());
    let Some(manifest) = repository.get_manifest(&at).await? else {
        return Ok(PreviousRelease::default());
    };
    let mut layers = HashMap::new();
    for (_, image) in images(repository, &manifest).await? {
        let config = image_config(repository, &image.config).await?;
        if config.diff_ids().len() == image.layers.len() {
            layers.extend(config.diff_ids().iter().cloned().zip(image.layers));
        }
    }
    // A registry should have all layers of a manifest, but some lose layers.
    let ask = layers.iter().map(|(diff_id, layer)| async move {
        let is_there = !layer.is_foreign() && repository.has_blob(layer).await?;
        anyhow::Ok((!is_there).then(|| diff_id.clone()))
    });
    for lost in try_join_all(ask).await?.into_iter().flatten() {
        layers.remove(&lost);
    }
    Ok(PreviousRelease {
        version: Some(version),
        layers,
    })
}

/// The highest version that is not above `version`, or the lowest above it, and its tag.
fn newest<'t>(tags: &'t [Tag], version: &Version) -> Option<(Version, &'t Tag)> {
    let versions = tags
        .iter()
        .filter_map(|tag| Some((Version::parse(tag.as_str()).ok()?, tag)));
    let (above, below): (Vec<_>, Vec<_>) = versions.partition(|(it, _)| it > version);
    below.into_iter().max().or_else(|| above.into_iter().min())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_before_is_the_highest_version_up_to_this_one() {
        let newest = |tags: &[&str], version: &str| {
            let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
            newest(&tags, &version.parse().unwrap()).map(|(_, tag)| tag.to_string())
        };
        let tags = ["latest", "1.2", "1.9.0", "1.10.0", "2.0.0-rc.1", "nightly"];
        for (version, before) in [
            ("2.0.0", "2.0.0-rc.1"),
            ("2.0.0-beta", "1.10.0"),
            ("1.10.0", "1.10.0"),
            ("1.9.5", "1.9.0"),
            ("1.0.0", "1.9.0"),
        ] {
            assert_eq!(newest(&tags, version).as_deref(), Some(before), "{version}");
        }
        assert_eq!(newest(&["latest"], "1.0.0"), None);
    }
}
