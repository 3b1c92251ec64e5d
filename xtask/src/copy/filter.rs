//! Makes a new index from an old one: chosen platforms, without attestations, also in the indexes that it lists. Pure.
//!
//! What stays keeps its order, its annotations and every unknown field. What is no image, such as a signature or a
//! chart, has no platform to choose by: it stays, unless it is about an image that goes.

use std::collections::{HashMap, HashSet};

use super::error::SourceError;
use super::job::{Attestations, Policy};
use super::tree::{Node, Tree};
use crate::oci::{
    ChildEdit, Content, Descriptor, Digest, Index, Manifest, ManifestError, Platform, edited,
    media_type,
};
use crate::registry::Error;

/// An image without what a policy leaves out.
#[derive(Debug)]
pub(super) struct Filtered {
    pub manifest: Manifest,
    /// The indexes below it that were made anew.
    pub made: HashMap<Digest, Manifest>,
    /// Requested platforms that the source lacks.
    pub missing_platforms: Vec<Platform>,
    pub available_platforms: Vec<Platform>,
    /// Platforms are chosen, but nothing in it has one.
    pub is_no_image: bool,
}

impl Filtered {
    /// The image as it is.
    pub fn unchanged(manifest: Manifest) -> Filtered {
        Filtered {
            manifest,
            made: HashMap::new(),
            missing_platforms: Vec::new(),
            available_platforms: Vec::new(),
            is_no_image: false,
        }
    }
}

impl Policy {
    /// Whether [`filtered`] has to know the manifest: an index that may stay, and what does not say its platform.
    pub(super) fn reads(&self, child: &Descriptor) -> bool {
        let may_stay = child.platform.as_ref().is_none_or(|it| self.wants(it));
        let is_open = child.platform.is_none() && !self.platforms.is_empty();
        let is_index = media_type::is_index(&child.media_type) || child.media_type.is_empty();
        child.attested().is_none() && may_stay && (is_index || is_open)
    }
}

/// Applies `policy` to an image of which everything was read that the policy [`Policy::reads`]; the bytes stay the same
/// if it leaves nothing out. Attestations follow their subject. `own` are the platforms of images that have no entry
/// which tells it.
pub(super) fn filtered(
    tree: &Tree,
    policy: &Policy,
    own: &HashMap<Digest, Platform>,
) -> Result<Filtered, SourceError> {
    let mut filter = Filter {
        policy,
        own,
        decided: HashMap::new(),
        made: HashMap::new(),
        available: Vec::new(),
    };
    let mut root = None;
    for node in tree.nodes() {
        let decision = filter.decide(node).map_err(Error::from)?;
        filter
            .decided
            .insert(node.manifest.digest(), (node, decision));
        root = Some((node, decision));
    }
    let (root, decision) = root.ok_or(SourceError::OnlyAttestations)?;
    let is_no_image = !policy.platforms.is_empty() && !decision.has_images;
    let available = filter.available;
    let is_missing = |wanted: &&Platform| !available.iter().any(|it| wanted.fits(it));
    let missing = policy.platforms.iter().filter(is_missing);
    let missing_platforms: Vec<Platform> = match is_no_image {
        true => Vec::new(),
        false if policy.any_of && decision.stays => Vec::new(),
        false => missing.cloned().collect(),
    };
    if !decision.stays && missing_platforms.is_empty() {
        return Err(SourceError::OnlyAttestations);
    }
    let digest = root.manifest.digest();
    let manifest = filter.made.remove(digest);
    let made = filter.made.into_values();
    Ok(Filtered {
        manifest: manifest.unwrap_or_else(|| root.manifest.clone()),
        made: made.map(|it| (it.digest().clone(), it)).collect(),
        missing_platforms,
        available_platforms: available,
        is_no_image,
    })
}

struct Filter<'f> {
    policy: &'f Policy,
    own: &'f HashMap<Digest, Platform>,
    decided: HashMap<&'f Digest, (&'f Node, Decision)>,
    /// By the digest of the index that it replaces.
    made: HashMap<Digest, Manifest>,
    /// The platforms of all images.
    available: Vec<Platform>,
}

/// What becomes of a manifest.
#[derive(Clone, Copy)]
struct Decision {
    stays: bool,
    /// It is an image, or lists one.
    has_images: bool,
}

impl Filter<'_> {
    /// Decides about a manifest, after everything below it.
    fn decide(&mut self, node: &Node) -> Result<Decision, ManifestError> {
        match (&node.content, self.own.get(node.manifest.digest())) {
            (Content::Index(index), _) => self.decide_index(&node.manifest, index),
            (Content::Image(_), Some(platform)) => Ok(self.image(platform)),
            (Content::Image(_), None) | (Content::Artifact(_), _) => Ok(Decision {
                stays: true,
                has_images: false,
            }),
        }
    }

    fn image(&mut self, platform: &Platform) -> Decision {
        if !self.available.contains(platform) {
            self.available.push(platform.clone());
        }
        Decision {
            stays: self.policy.wants(platform),
            has_images: true,
        }
    }

    fn decide_index(
        &mut self,
        manifest: &Manifest,
        index: &Index,
    ) -> Result<Decision, ManifestError> {
        let children = &index.manifests;
        let mut decisions: Vec<Decision> = Vec::new();
        for child in children {
            let decided = self
                .decided
                .get(&child.digest)
                .map(|(_, decision)| *decision);
            decisions.push(match (decided, &child.platform) {
                _ if child.attested().is_some() => Decision {
                    stays: false,
                    has_images: false,
                },
                (Some(decision), _) => decision,
                (None, Some(platform)) if !platform.is_unknown() => self.image(platform),
                (None, _) => Decision {
                    stays: true,
                    has_images: false,
                },
            });
        }
        let has_images = decisions.iter().any(|it| it.has_images);
        let of_images = |stays: bool| {
            let all = children.iter().zip(&decisions);
            let those = all.filter(move |(_, it)| it.has_images && it.stays == stays);
            those.map(|(child, _)| &child.digest)
        };
        let kept: HashSet<&Digest> = of_images(true).collect();
        let gone: HashSet<&Digest> = of_images(false).filter(|it| !kept.contains(it)).collect();
        let stays = children.iter().zip(&decisions).map(|(child, decision)| {
            if let Some(subject) = child.attested() {
                let is_about_kept = kept.iter().any(|it| it.as_str() == subject);
                self.policy.attestations != Attestations::Strip
                    && (self.policy.platforms.is_empty() || !has_images || is_about_kept)
            } else {
                decision.stays && self.about(child).is_none_or(|it| !gone.contains(it))
            }
        });
        let stays: Vec<bool> = stays.collect();
        let decision = Decision {
            stays: children.is_empty() || stays.contains(&true) && has_images != kept.is_empty(),
            has_images,
        };
        let made = |child: &Descriptor| self.made.get(&child.digest);
        let edits = children
            .iter()
            .zip(stays)
            .map(|(child, stays)| match made(child) {
                _ if !stays => ChildEdit::Drop,
                Some(made) => ChildEdit::Replace(made.clone()),
                None => ChildEdit::Keep,
            });
        let edits: Vec<ChildEdit> = edits.collect();
        if decision.stays && !edits.iter().all(|it| matches!(it, ChildEdit::Keep)) {
            let made = edited(manifest, &edits)?;
            self.made.insert(manifest.digest().clone(), made);
        }
        Ok(decision)
    }

    /// The manifest that a child without a platform names as its subject.
    fn about(&self, child: &Descriptor) -> Option<&Digest> {
        let (node, _) = self.decided.get(&child.digest)?;
        node.content.subject().map(|it| &it.digest)
    }
}

/// For people.
pub(super) fn list(platforms: &[Platform]) -> String {
    let platforms: Vec<String> = platforms.iter().map(Platform::to_string).collect();
    platforms.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A manifest with this config type and these further keys.
    fn manifest(config: &str, seed: &str, more: &Value) -> Manifest {
        let config = Descriptor::new(config, Digest::sha256_of(seed.as_bytes()), 1);
        let mut json = json!({"schemaVersion": 2, "config": config, "layers": []});
        let object = json.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        Manifest::new(media_type::OCI_MANIFEST, json.to_string().into())
    }

    fn image(seed: &str) -> Manifest {
        manifest(media_type::OCI_CONFIG, seed, &json!({}))
    }

    fn index(children: &[(&Manifest, Value)]) -> Manifest {
        let entries = children.iter().map(|(child, more)| {
            let mut entry = serde_json::to_value(child.descriptor()).unwrap();
            let keys = entry.as_object_mut().unwrap();
            keys.extend(more.as_object().unwrap().clone());
            entry
        });
        let document = json!({"schemaVersion": 2, "x-unknown": [1], "manifests": entries.collect::<Vec<_>>(),
            "annotations": {"kept": "yes"}});
        Manifest::new(media_type::OCI_INDEX, document.to_string().into())
    }

    fn of(platform: &str) -> Value {
        json!({"platform": platform.parse::<Platform>().unwrap()})
    }

    fn attests(image: &Manifest) -> Value {
        json!({"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image.digest()}})
    }

    fn policy(platforms: &[&str], attestations: Attestations) -> Policy {
        let platforms = platforms.iter().map(|it| it.parse().unwrap()).collect();
        Policy {
            platforms,
            attestations,
            ..Policy::default()
        }
    }

    /// The last of `all` under this policy; images without a platform in their entry are for s390x.
    async fn apply(all: &[&Manifest], policy: &Policy) -> Result<Filtered, SourceError> {
        let fetch = |child: Descriptor| async move {
            let found = all.iter().find(|it| *it.digest() == child.digest);
            Ok::<_, SourceError>(
                found
                    .filter(|_| policy.reads(&child))
                    .map(|it| (*it).clone()),
            )
        };
        let tree = Tree::read((*all.last().unwrap()).clone(), fetch).await?;
        let images = tree.nodes().filter(|node| match &node.content {
            Content::Image(image) => image.is_runnable() && !policy.platforms.is_empty(),
            Content::Index(_) | Content::Artifact(_) => false,
        });
        let s390x: Platform = "linux/s390x".parse().unwrap();
        let own = images.map(|node| (node.manifest.digest().clone(), s390x.clone()));
        filtered(&tree, policy, &own.collect())
    }

    fn children(index: &Manifest) -> Vec<Digest> {
        let Content::Index(index) = index.content().unwrap() else {
            panic!("an index")
        };
        index.manifests.into_iter().map(|it| it.digest).collect()
    }

    fn digests(all: &[&Manifest]) -> Vec<Digest> {
        all.iter().map(|it| it.digest().clone()).collect()
    }

    #[tokio::test]
    async fn chosen_platforms_stay_with_what_is_about_them_and_everything_unknown() {
        let (amd64, arm64, s390x) = (image("a"), image("b"), image("c"));
        let attestation = manifest("application/vnd.oci.empty.v1+json", "d", &json!({}));
        let signs = |image: &Manifest| {
            let about = json!({"artifactType": "x/signature", "subject": image.descriptor()});
            manifest("application/vnd.oci.empty.v1+json", "e", &about)
        };
        let (signature, other) = (signs(&amd64), signs(&arm64));
        let root = index(&[
            (&amd64, of("linux/amd64")),
            (&arm64, of("linux/arm64/v8")),
            (&attestation, attests(&amd64)),
            (&s390x, json!({})),
            (&signature, json!({})),
            (&other, json!({})),
        ]);
        let all = [&amd64, &arm64, &s390x, &signature, &other, &root];
        let keep = |platform| policy(&[platform], Attestations::Keep);

        let kept = apply(&all, &keep("linux/amd64")).await.unwrap().manifest;
        assert_eq!(
            children(&kept),
            digests(&[&amd64, &attestation, &signature])
        );
        let document: Value = serde_json::from_slice(kept.bytes()).unwrap();
        let unknown = (&document["annotations"]["kept"], &document["x-unknown"][0]);
        assert_eq!(unknown, (&json!("yes"), &json!(1)));
        let kept = apply(&all, &keep("linux/arm64")).await.unwrap().manifest;
        assert_eq!(children(&kept), digests(&[&arm64, &other]));
        let kept = apply(&all, &keep("linux/s390x")).await.unwrap().manifest;
        assert_eq!(children(&kept), digests(&[&s390x]));

        let missing = apply(&all, &keep("linux/riscv64")).await.unwrap();
        assert_eq!(list(&missing.missing_platforms), "linux/riscv64");
        let available = list(&missing.available_platforms);
        assert_eq!(available, "linux/s390x, linux/amd64, linux/arm64/v8");
    }

    #[tokio::test]
    async fn stripping_removes_only_the_attestations_on_every_level() {
        let (amd64, attestation) = (image("a"), image("b"));
        let pair = [(&amd64, of("linux/amd64")), (&attestation, attests(&amd64))];
        let inner = index(&pair);
        let only = index(&pair[1..]);
        let root = index(&[(&inner, json!({"data": "e30="})), (&only, json!({}))]);
        let all = [&amd64, &attestation, &inner, &only, &root];
        let strip = policy(&[], Attestations::Strip);

        let filtered = apply(&all, &strip).await.unwrap();
        let [made] = &filtered.made.values().collect::<Vec<_>>()[..] else {
            panic!("one index below it")
        };
        assert_eq!(children(made), digests(&[&amd64]));
        assert_eq!(children(&filtered.manifest), digests(&[made]));
        let entry =
            &serde_json::from_slice::<Value>(filtered.manifest.bytes()).unwrap()["manifests"][0];
        assert_eq!(
            (entry["size"].as_u64(), entry.get("data")),
            (Some(made.bytes().len() as u64), None)
        );

        let error = apply(&[&attestation, &only], &strip).await.unwrap_err();
        assert!(matches!(error, SourceError::OnlyAttestations), "{error}");
        let empty = index(&[]);
        assert_eq!(apply(&[&empty], &strip).await.unwrap().manifest, empty);
    }

    #[tokio::test]
    async fn platforms_are_chosen_in_an_index_of_an_index() {
        let (amd64, arm64) = (image("a"), image("b"));
        let inner = index(&[(&amd64, of("linux/amd64")), (&arm64, of("linux/arm64"))]);
        let gone = index(&[(&arm64, of("linux/arm64"))]);
        let root = index(&[(&inner, json!({})), (&gone, json!({}))]);
        let all = [&amd64, &arm64, &inner, &gone, &root];
        let filtered = apply(&all, &policy(&["linux/amd64"], Attestations::Auto))
            .await
            .unwrap();
        let [made] = &filtered.made.values().collect::<Vec<_>>()[..] else {
            panic!("one index below it")
        };
        assert_eq!(children(made), digests(&[&amd64]));
        assert_eq!(children(&filtered.manifest), digests(&[made]));
    }

    #[tokio::test]
    async fn what_is_no_image_stays_whole() {
        let chart = manifest("application/vnd.cncf.helm.config.v1+json", "a", &json!({}));
        let referrers = index(&[(&chart, json!({}))]);
        for all in [&[&chart][..], &[&chart, &referrers]] {
            let filtered = apply(all, &policy(&["linux/amd64"], Attestations::Auto))
                .await
                .unwrap();
            assert!(filtered.is_no_image && filtered.missing_platforms.is_empty());
            assert_eq!(filtered.manifest, **all.last().unwrap());
        }
    }
}
