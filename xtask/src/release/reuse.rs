//! What the registries hold already: the very image, or layers of it from the release before.
//!
//! Every registry is asked at once and within a limit; one that does not answer in time says nothing here, and fails as
//! its own target.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::future::{join_all, try_join_all};
use semver::Version;
use serde::Deserialize;

use crate::oci::{Content, Descriptor, Digest, Image, Manifest, Tag, TagOrDigest};
use crate::registry::{Error, Repository};

/// How long the answers of one registry may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A config larger than this, in bytes, is none.
const LARGEST_CONFIG: u64 = 8 << 20;

/// The manifest under `tag`, if it is of exactly the images that the engine knows by `ids`, and nothing of it is lost.
///
/// An image's id is the digest of its config, or on engines with containerd's image store that of its manifest.
pub async fn held(repository: &Repository, tag: &Tag, ids: &BTreeSet<String>) -> Option<Manifest> {
    let ask = async {
        let at = TagOrDigest::Tag(tag.clone());
        let manifest = repository.get_manifest(&at).await.ok()??;
        let images = images(repository, &manifest).await.ok()?;
        let held = images.iter().map(|(digest, image)| {
            let digests = [digest, &image.config.digest];
            digests.map(ToString::to_string)
        });
        let held: Vec<_> = held.collect();
        let is_known = |names: &[String; 2]| names.iter().any(|name| ids.contains(name));
        let is_one = ids.len() == 1 && ids.contains(manifest.digest().as_str());
        if !is_one && (held.len() != ids.len() || !held.iter().all(is_known)) {
            return None;
        }
        let blobs = images
            .into_iter()
            .flat_map(|(_, image)| image.layers.into_iter().chain([image.config]))
            .filter(|blob| !blob.is_foreign());
        let ask = blobs.map(|blob| async move { repository.has_blob(&blob.digest).await });
        let answers = try_join_all(ask).await.ok()?;
        answers.into_iter().all(|has_it| has_it).then_some(manifest)
    };
    tokio::time::timeout(PATIENCE, ask).await.ok().flatten()
}

/// A repository that the image may come to, or come from.
pub struct Candidate {
    pub repository: Repository,
    /// The image goes there in this run.
    pub is_target: bool,
}

/// Layers that need not be made.
#[derive(Default)]
pub struct ReusableLayers {
    /// By diff id.
    pub layers: HashMap<Digest, Descriptor>,
    /// One of the repositories that hold them.
    pub holder: Option<Repository>,
}

/// The layers that each target holds under the same digest, as its newest version up to `version` tells. A layer of
/// which one target says nothing is not among them, be it that the repository is not there yet or may not be listed,
/// unless that registry does not answer in time.
///
/// If a candidate holds `version` itself, from a run in which others failed, its layers alone count: the others are to
/// get the same.
pub async fn layers(candidates: &[Candidate], version: &Version) -> ReusableLayers {
    let ask = candidates.iter().map(|candidate| async move {
        let held = tokio::time::timeout(PATIENCE, held_by(&candidate.repository, version)).await;
        let held = held.ok()?.map_or_else(|error| nothing(&error), Some)?;
        Some((candidate, held))
    });
    let answers: Vec<_> = join_all(ask).await.into_iter().flatten().collect();
    let same = answers
        .iter()
        .find(|(_, held)| held.version.as_ref() == Some(version));
    let targets = answers.iter().filter(|(it, _)| it.is_target);
    let counted: Vec<_> = same.map_or_else(|| targets.collect(), |same| vec![same]);
    let Some(((holder, first), others)) = counted.split_first() else {
        return ReusableLayers::default();
    };
    let mut layers = first.layers.clone();
    layers.retain(|diff_id, layer| {
        others.iter().all(|(_, held)| {
            let same = held.layers.get(diff_id);
            same.is_some_and(|it| it.digest == layer.digest)
        })
    });
    ReusableLayers {
        layers,
        holder: Some(holder.repository.clone()),
    }
}

/// What a repository holds of a version.
#[derive(Default)]
struct Held {
    version: Option<Version>,
    /// By diff id.
    layers: HashMap<Digest, Descriptor>,
}

/// What an error says of what a registry holds: nothing, or not even that.
fn nothing(error: &anyhow::Error) -> Option<Held> {
    let is_silent = matches!(error.downcast_ref(), Some(Error::Unreachable { .. }));
    (!is_silent).then(Held::default)
}

async fn held_by(repository: &Repository, version: &Version) -> Result<Held> {
    let tags = repository.tags().await?;
    let Some((version, tag)) = newest(&tags, version) else {
        return Ok(Held::default());
    };
    let at = TagOrDigest::Tag(tag.clone());
    let Some(manifest) = repository.get_manifest(&at).await? else {
        return Ok(Held::default());
    };
    let mut layers = HashMap::new();
    for (_, image) in images(repository, &manifest).await? {
        let diff_ids = diff_ids(repository, &image.config).await?;
        if diff_ids.len() == image.layers.len() {
            layers.extend(diff_ids.into_iter().zip(image.layers));
        }
    }
    // A manifest vouches for its layers, but there are registries that lost some.
    let ask = layers.iter().map(|(diff_id, layer)| async move {
        let is_there = !layer.is_foreign() && repository.has_blob(&layer.digest).await?;
        anyhow::Ok((!is_there).then(|| diff_id.clone()))
    });
    for lost in try_join_all(ask).await?.into_iter().flatten() {
        layers.remove(&lost);
    }
    Ok(Held {
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

/// The image that `manifest` is, or the images that it lists, each with its manifest's digest; without attestations.
async fn images(repository: &Repository, manifest: &Manifest) -> Result<Vec<(Digest, Image)>> {
    let index = match manifest.content()? {
        Content::Image(image) => return Ok(vec![(manifest.digest().clone(), image)]),
        Content::Index(index) => index,
    };
    let is_image = |child: &&Descriptor| {
        let platform = child.platform.as_ref();
        platform.is_none_or(|platform| platform.os != "unknown")
    };
    let ask = index.manifests.iter().filter(is_image).map(|child| async {
        let at = TagOrDigest::Digest(child.digest.clone());
        let manifest = repository.get_manifest(&at).await?;
        match manifest.context("it lists what is not there")?.content()? {
            Content::Image(image) => Ok((child.digest.clone(), image)),
            Content::Index(_) => bail!("an index within an index"),
        }
    });
    try_join_all(ask).await
}

async fn diff_ids(repository: &Repository, config: &Descriptor) -> Result<Vec<Digest>> {
    #[derive(Deserialize)]
    struct Config {
        rootfs: RootFs,
    }
    #[derive(Deserialize)]
    struct RootFs {
        /// Go writes an empty list as `null`.
        diff_ids: Option<Vec<Digest>>,
    }
    if config.size > LARGEST_CONFIG {
        bail!("no config is of {} bytes", config.size);
    }
    let mut blob = repository
        .get_blob(config)
        .await?
        .context("there is no config")?;
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    let config: Config = serde_json::from_slice(&bytes)?;
    Ok(config.rootfs.diff_ids.unwrap_or_default())
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
