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

use crate::registry::{
    Content, Descriptor, Digest, Error, Image, Manifest, Repository, Tag, TagOrDigest,
};

/// How long the answers of one registry may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A config larger than this, in bytes, is none.
const LARGEST_CONFIG: u64 = 8 << 20;

/// The manifest under `tag`, if it is of exactly the images that the engine knows by `ids`.
///
/// An image's id is the digest of its config, or on engines with containerd's image store that of its manifest.
pub async fn held(repository: &Repository, tag: &Tag, ids: &BTreeSet<String>) -> Option<Manifest> {
    let ask = async {
        let at = TagOrDigest::Tag(tag.clone());
        let manifest = repository.get_manifest(&at).await.ok()??;
        if ids.len() == 1 && ids.contains(manifest.digest().as_str()) {
            return Some(manifest);
        }
        let images = images(repository, &manifest).await.ok()?;
        let held = images.iter().map(|(digest, image)| {
            let digests = [digest, &image.config.digest];
            digests.map(ToString::to_string)
        });
        let held: Vec<_> = held.collect();
        let is_known = |names: &[String; 2]| names.iter().any(|name| ids.contains(name));
        (held.len() == ids.len() && held.iter().all(is_known)).then_some(manifest)
    };
    tokio::time::timeout(PATIENCE, ask).await.ok().flatten()
}

/// Layers that need not be made.
#[derive(Default)]
pub struct Known {
    /// By diff id.
    pub layers: HashMap<Digest, Descriptor>,
    /// One of the repositories that hold them.
    pub holder: Option<Repository>,
}

/// The layers that each of `repositories` holds under the same digest, as its newest version up to `version` tells. A
/// layer of which one registry says nothing is not among them, be it that the repository is not there yet or may not be
/// listed, unless that registry does not answer in time.
pub async fn layers(repositories: &[&Repository], version: &Version) -> Known {
    let ask = repositories.iter().map(|repository| async move {
        let layers = tokio::time::timeout(PATIENCE, layers_of(repository, version)).await;
        let layers = layers.ok()?.map_or_else(|error| nothing(&error), Some)?;
        Some((*repository, layers))
    });
    let answers: Vec<_> = join_all(ask).await.into_iter().flatten().collect();
    let Some(((holder, first), others)) = answers.split_first() else {
        return Known::default();
    };
    let mut layers = first.clone();
    layers.retain(|diff_id, layer| {
        others.iter().all(|(_, layers)| {
            let same = layers.get(diff_id);
            same.is_some_and(|it| it.digest == layer.digest)
        })
    });
    Known {
        layers,
        holder: Some((*holder).clone()),
    }
}

/// What an error says of a registry's layers: nothing, or not even that.
fn nothing(error: &anyhow::Error) -> Option<HashMap<Digest, Descriptor>> {
    let is_silent = matches!(error.downcast_ref(), Some(Error::Unreachable { .. }));
    (!is_silent).then(HashMap::new)
}

async fn layers_of(
    repository: &Repository,
    version: &Version,
) -> Result<HashMap<Digest, Descriptor>> {
    let tags = repository.tags().await?;
    let Some(tag) = newest(&tags, version) else {
        return Ok(HashMap::new());
    };
    let at = TagOrDigest::Tag(tag.clone());
    let Some(manifest) = repository.get_manifest(&at).await? else {
        return Ok(HashMap::new());
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
        let is_there = layer.urls.is_none() && repository.has_blob(&layer.digest).await?;
        anyhow::Ok((!is_there).then(|| diff_id.clone()))
    });
    for lost in try_join_all(ask).await?.into_iter().flatten() {
        layers.remove(&lost);
    }
    Ok(layers)
}

/// The tag of the highest version that is not above `version`, or of the lowest above it.
fn newest<'t>(tags: &'t [Tag], version: &Version) -> Option<&'t Tag> {
    let versions = tags
        .iter()
        .filter_map(|tag| Some((Version::parse(tag.as_str()).ok()?, tag)));
    let (above, below): (Vec<_>, Vec<_>) = versions.partition(|(it, _)| it > version);
    let best = below.into_iter().max().or_else(|| above.into_iter().min());
    best.map(|(_, tag)| tag)
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
        diff_ids: Vec<Digest>,
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
    Ok(config.rootfs.diff_ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_before_is_the_highest_version_up_to_this_one() {
        let newest = |tags: &[&str], version: &str| {
            let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
            newest(&tags, &version.parse().unwrap()).map(ToString::to_string)
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
