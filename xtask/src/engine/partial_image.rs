//! Gets only the new layers and the config of an image from the engine.
//!
//! An export has every layer, but a push skips layers that the registry claims to have. So the engine pushes the image
//! to a [`CaptureRegistry`] here. The engine keeps nothing of it but its notes of where each layer was pushed to.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs;
use std::time::Duration;

use bollard::query_parameters::RemoveImageOptionsBuilder;

use super::address::is_own_tag;
use super::capture_registry::{CaptureRegistry, Selection};
use super::push::counts;
use super::{Engine, Image};
use crate::credentials::Credentials;
use crate::image::PartialImage;
use crate::oci::{Descriptor, Digest};

/// A push that sends nothing for this long is given up.
const IDLE: Duration = Duration::from_secs(30);

/// How an engine keeps layers.
#[derive(Clone, Copy, PartialEq)]
enum ImageStore {
    /// Unpacked; a push compresses them.
    Classic,
    /// Compressed.
    Containerd,
}

impl Engine {
    /// The image without the `reusable` layers, which are named by their diff ids.
    ///
    /// `None` if an export is faster, because the new layers are large or lie deep, or if the engine cannot push to
    /// this process, because it runs on another machine or in a network of its own.
    pub async fn partial_image(
        &self,
        image: &Image,
        reusable: &HashMap<Digest, Descriptor>,
    ) -> Option<PartialImage> {
        // The push needs a name of its own, and removing an image's only name deletes the image.
        let (left, own): (Vec<_>, Vec<_>) = image.names.iter().partition(|it| is_own_tag(it));
        if own.is_empty() {
            return None;
        }
        for name in left {
            self.untag(name).await;
        }
        let store = self.local_image_store().await?;
        let layers = image
            .diff_ids
            .iter()
            .filter(|it| !reusable.contains_key(it));
        let layers: HashSet<Digest> = layers.cloned().collect();
        let count = layers.len();
        let registry = CaptureRegistry::open(Selection {
            root: image.id.clone(),
            largest: match store {
                ImageStore::Classic => {
                    largest(&self.sizes(image).await?, &image.diff_ids, &layers)?
                }
                ImageStore::Containerd => 0,
            },
            layers,
            reusable: reusable.values().map(|it| it.digest.clone()).collect(),
        });
        let registry = registry.ok()?;
        let name = &registry.reference;
        let reference = name.parse().ok()?;
        self.tag(&image.id, &reference).await.ok()?;
        let listener = |line| {
            if let Some((_, size)) = counts(&line) {
                registry.layer_reported(size);
            }
        };
        let push = async {
            tokio::select! {
                biased;
                image = registry.captured() => Some(image),
                () = registry.idle(IDLE) => None,
                // The engine does not reach this process, or gave up.
                _ = self.push_lines(&reference, &Credentials::Anonymous, listener) => None,
            }
        };
        let untag = async {
            registry.first_upload().await;
            // The engine does not need the name any more. If this process dies before, the next run removes it.
            self.untag(name).await;
            std::future::pending::<Infallible>().await
        };
        let pushed = tokio::select! {
            pushed = push => pushed,
            never = untag => match never {},
        };
        self.untag(name).await;
        let is_whole =
            |image: &PartialImage| store == ImageStore::Containerd || image.blobs.len() == count;
        pushed.filter(is_whole)
    }

    /// How the engine keeps layers; `None` if it is not on this machine.
    async fn local_image_store(&self) -> Option<ImageStore> {
        let info = self.docker.info().await.ok()?;
        let host = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
        if !self.host.starts_with("unix://") || info.name? != host.trim_end() {
            return None;
        }
        let status = info.driver_status.unwrap_or_default();
        let is_containerd = |text: &String| text.contains("containerd");
        Some(match status.iter().flatten().any(is_containerd) {
            true => ImageStore::Containerd,
            false => ImageStore::Classic,
        })
    }

    /// Bytes that each step of the build added to the image, the last step first.
    async fn sizes(&self, image: &Image) -> Option<Vec<u64>> {
        let history = self.docker.image_history(image.id.as_str()).await.ok()?;
        let size = |step: bollard::models::ImageHistoryResponseItem| step.size.try_into().ok();
        history.into_iter().map(size).collect()
    }

    async fn untag(&self, name: &str) {
        let options = RemoveImageOptionsBuilder::default().noprune(true).build();
        let _ = self.docker.remove_image(name, Some(options), None).await;
    }
}

/// Bytes of the largest layer that may be wanted, or `None` if so much lies above the lowest one that an export is
/// faster. `sizes` are those of the build's steps, the last step first; a step without a size may have made a layer or
/// not.
fn largest(sizes: &[u64], diff_ids: &[Digest], wanted: &HashSet<Digest>) -> Option<u64> {
    /// The engine compresses at a quarter of the speed at which it exports.
    const EXPORT_SPEED: u64 = 4;
    let lowest = diff_ids.iter().position(|it| wanted.contains(it));
    let depth = lowest.map_or(0, |lowest| diff_ids.len() - lowest);
    let above = || sizes.iter().filter(|&&size| size > 0).take(depth);
    // An image may have no history.
    let is_known = wanted.is_empty() || above().next().is_some();
    let pays = is_known && above().sum::<u64>() * EXPORT_SPEED <= sizes.iter().sum();
    pays.then(|| above().max().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn largest(sizes: &[u64], layers: u8, wanted: &[usize]) -> Option<u64> {
        let diff_ids: Vec<_> = (0..layers).map(|it| Digest::sha256_of(&[it])).collect();
        let wanted = wanted.iter().map(|&it| diff_ids[it].clone()).collect();
        super::largest(sizes, &diff_ids, &wanted)
    }

    #[test]
    fn a_push_pays_when_little_lies_above_the_lowest_wanted_layer() {
        let sizes = [0, 5, 0, 1, 500, 80];
        assert_eq!(largest(&sizes, 4, &[3]), Some(5));
        assert_eq!(largest(&sizes, 4, &[2]), Some(5));
        assert_eq!(largest(&sizes, 4, &[1]), None);
        assert_eq!(largest(&sizes, 4, &[0, 1, 2, 3]), None);
        assert_eq!(largest(&sizes, 4, &[]), Some(0));
        assert_eq!(largest(&[], 4, &[3]), None);
    }

    #[test]
    fn an_empty_layer_makes_the_bound_larger_and_never_smaller() {
        // The topmost of three layers is empty, which the sizes do not show.
        assert_eq!(largest(&[0, 30, 0, 970], 3, &[2]), Some(30));
        assert_eq!(largest(&[0, 30, 0, 970], 3, &[1]), None);
    }
}
