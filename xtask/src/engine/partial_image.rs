//! Takes from the engine what is not elsewhere yet of an image: a few layers and the config.
//!
//! An export has to be whole, and a push only has what the registry says it lacks: so the engine pushes the image to a
//! [`CaptureRegistry`] here. It refuses to know where the other layers are. Invariant: the engine keeps nothing of it but its notes of where each layer was
//! pushed to.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs;
use std::time::Duration;

use bollard::query_parameters::RemoveImageOptionsBuilder;

use super::address::is_own_tag;
use super::capture_registry::{CaptureRegistry, Wanted};
use super::push::counts;
use super::{Engine, Image};
use crate::image::PartialImage;
use crate::oci::{Descriptor, Digest};

/// A push of which nothing comes for this long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How an engine keeps layers.
#[derive(Clone, Copy, PartialEq)]
enum ImageStore {
    /// Unpacked: a push compresses them.
    Classic,
    /// As they are pushed.
    Containerd,
}

impl Engine {
    /// The image without the layers that are `known` by their diff ids to be elsewhere, compressed as described.
    ///
    /// `None` when an export is the way: the other layers are large or lie deep, or the engine cannot push to this
    /// process because it runs on another machine, or in a network of its own.
    pub async fn part(
        &self,
        image: &Image,
        known: &HashMap<Digest, Descriptor>,
    ) -> Option<PartialImage> {
        // The push needs a name of its own, and to take away an image's only name is to delete the image.
        let (left, own): (Vec<_>, Vec<_>) = image.names.iter().partition(|it| is_own_tag(it));
        if own.is_empty() {
            return None;
        }
        for name in left {
            self.untag(name).await;
        }
        let store = self.store_here().await?;
        let layers = image.diff_ids.iter().filter(|it| !known.contains_key(it));
        let layers: HashSet<Digest> = layers.cloned().collect();
        let count = layers.len();
        let capture_registry = CaptureRegistry::open(Wanted {
            root: image.id.0.parse().ok()?,
            largest: match store {
                ImageStore::Classic => {
                    largest(&self.sizes(image).await?, &image.diff_ids, &layers)?
                }
                ImageStore::Containerd => 0,
            },
            layers,
            held: known.values().map(|it| it.digest.clone()).collect(),
        });
        let capture_registry = capture_registry.ok()?;
        let name = &capture_registry.reference;
        self.tag(&image.id, name).await.ok()?;
        let listener = |line| {
            if let Some((_, content)) = counts(&line) {
                capture_registry.reads(content);
            }
        };
        let push = async {
            tokio::select! {
                biased;
                part = capture_registry.ended() => Some(part),
                () = capture_registry.silent(PATIENCE) => None,
                // It does not reach this process, or gave up.
                _ = self.pushing(name, None, listener) => None,
            }
        };
        let forget = async {
            capture_registry.begun().await;
            // From here on the engine goes by the image. What is left when this process ends before is found the next time.
            self.untag(name).await;
            std::future::pending::<Infallible>().await
        };
        let pushed = tokio::select! {
            pushed = push => pushed,
            never = forget => match never {},
        };
        self.untag(name).await;
        let is_whole =
            |part: &PartialImage| store == ImageStore::Containerd || part.blobs.len() == count;
        pushed.filter(is_whole)
    }

    /// How the engine keeps layers, if it runs on this machine.
    async fn store_here(&self) -> Option<ImageStore> {
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

    /// How much each step of the build added to the image, in bytes, the last one first.
    async fn sizes(&self, image: &Image) -> Option<Vec<u64>> {
        let history = self.docker.image_history(&image.id.0).await.ok()?;
        let size = |step: bollard::models::ImageHistoryResponseItem| step.size.try_into().ok();
        history.into_iter().map(size).collect()
    }

    async fn untag(&self, name: &str) {
        let options = RemoveImageOptionsBuilder::default().noprune(true).build();
        let _ = self.docker.remove_image(name, Some(options), None).await;
    }
}

/// The content of the largest layer that may be wanted, in bytes, or `None` when so much lies above the lowest one that
/// an export is faster. `sizes` are those of the build's steps, the last one first; a step without a size may have made a
/// layer or not.
fn largest(sizes: &[u64], diff_ids: &[Digest], wanted: &HashSet<Digest>) -> Option<u64> {
    /// The engine compresses on the way, at a quarter of the pace at which it exports.
    const PAYS: u64 = 4;
    let lowest = diff_ids.iter().position(|it| wanted.contains(it));
    let depth = lowest.map_or(0, |lowest| diff_ids.len() - lowest);
    let above = || sizes.iter().filter(|&&size| size > 0).take(depth);
    // An image may be without a history.
    let is_told = wanted.is_empty() || above().next().is_some();
    let pays = is_told && above().sum::<u64>() * PAYS <= sizes.iter().sum();
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
    fn a_part_pays_when_little_lies_above_the_lowest_layer_that_is_wanted() {
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
        // The topmost of three layers is empty, which the sizes do not tell.
        assert_eq!(largest(&[0, 30, 0, 970], 3, &[2]), Some(30));
        assert_eq!(largest(&[0, 30, 0, 970], 3, &[1]), None);
    }
}
