//! Makes a new index from an old one: chosen platforms, without attestations. Pure.
//!
//! What stays keeps its order, its annotations and every unknown field.

use serde_json::Value;

use super::job::{Attestations, Policy};
use crate::oci::{Content, Descriptor, Manifest, ManifestError, Platform};

/// An index without what a policy leaves out.
#[derive(Debug)]
pub(super) struct Filtered {
    pub manifest: Manifest,
    /// Requested platforms that the source lacks.
    pub missing_platforms: Vec<Platform>,
    pub available_platforms: Vec<Platform>,
}

/// Applies `policy`; the bytes stay the same if it leaves nothing out. Attestations follow their subject.
///
/// The manifest of a single image lists no platforms: `own` is its platform.
pub(super) fn filtered(
    manifest: &Manifest,
    policy: &Policy,
    own: Option<Platform>,
) -> Result<Filtered, ManifestError> {
    let children = match manifest.content()? {
        Content::Index(index) => index.manifests,
        Content::Image(_) => Vec::new(),
    };
    let wants = |platform: &Platform| {
        policy.platforms.is_empty() || policy.platforms.iter().any(|it| it.fits(platform))
    };
    let stays = |child: &Descriptor| match (subject(child), &child.platform) {
        (Some(subject), _) => {
            let is_image = |it: &Descriptor| {
                it.digest.as_str() == subject && it.platform.as_ref().is_some_and(wants)
            };
            policy.attestations != Attestations::Strip
                && (policy.platforms.is_empty() || children.iter().any(is_image))
        }
        (None, Some(platform)) => wants(platform),
        (None, None) => policy.platforms.is_empty(),
    };
    let kept: Vec<bool> = children.iter().map(stays).collect();
    let images = children.iter().filter(|child| subject(child).is_none());
    let platforms = images.filter_map(|image| image.platform.clone());
    let available_platforms: Vec<Platform> = platforms.chain(own).collect();
    let is_missing = |wanted: &&Platform| !available_platforms.iter().any(|it| wanted.fits(it));
    let missing_platforms = policy.platforms.iter().filter(is_missing).cloned();
    Ok(Filtered {
        manifest: match kept.contains(&false) {
            true => reduced(manifest, &kept),
            false => manifest.clone(),
        },
        missing_platforms: missing_platforms.collect(),
        available_platforms,
    })
}

/// The index with the children that are `kept`.
fn reduced(manifest: &Manifest, kept: &[bool]) -> Manifest {
    let mut document: Value =
        serde_json::from_slice(manifest.bytes()).expect("`content` parsed it");
    if let Some(Value::Array(children)) = document.get_mut("manifests") {
        let mut kept = kept.iter();
        children.retain(|_| *kept.next().unwrap_or(&true));
    }
    Manifest::new(manifest.media_type(), format!("{document:#}").into())
}

/// Whether `manifest` is an index that lists attestations.
pub(super) fn has_attestations(manifest: &Manifest) -> bool {
    matches!(manifest.content(), Ok(Content::Index(index)) if index.manifests.iter().any(|it| subject(it).is_some()))
}

/// The digest of the image that this child attests, if it is an attestation.
///
/// <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>
fn subject(child: &Descriptor) -> Option<&str> {
    let annotations = child.annotations.as_ref()?;
    let is_attestation = annotations
        .get("vnd.docker.reference.type")
        .is_some_and(|it| it == "attestation-manifest");
    is_attestation.then(|| {
        annotations
            .get("vnd.docker.reference.digest")
            .map_or("", String::as_str)
    })
}

/// For people.
pub(super) fn list(platforms: &[Platform]) -> String {
    let platforms: Vec<String> = platforms.iter().map(Platform::to_string).collect();
    platforms.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn digest(fill: char) -> String {
        format!("sha256:{}", fill.to_string().repeat(64))
    }

    /// amd64 with an attestation, arm64/v8, an entry without a platform.
    fn index() -> Manifest {
        let entry = |fill: char, platform: Value| {
            let media_type = "application/vnd.oci.image.manifest.v1+json";
            json!({"mediaType": media_type, "digest": digest(fill), "size": 7, "platform": platform})
        };
        let mut attestation = entry('c', json!({"os": "unknown", "architecture": "unknown"}));
        attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest('a')});
        let mut bare = entry('d', Value::Null);
        bare.as_object_mut().unwrap().remove("platform");
        let document = json!({
            "schemaVersion": 2,
            "x-unknown": [1],
            "manifests": [
                entry('a', json!({"os": "linux", "architecture": "amd64"})),
                entry('b', json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
                attestation,
                bare,
            ],
            "annotations": {"kept": "yes"},
        });
        Manifest::new(OCI_INDEX, serde_json::to_vec(&document).unwrap().into())
    }

    fn fills(manifest: &Manifest) -> String {
        let Content::Index(index) = manifest.content().unwrap() else {
            panic!("an index")
        };
        index
            .manifests
            .iter()
            .map(|it| it.digest.to_string().chars().last().unwrap())
            .collect()
    }

    fn policy(platforms: &[&str], attestations: Attestations) -> Policy {
        let platforms = platforms.iter().map(|it| it.parse().unwrap()).collect();
        Policy {
            platforms,
            lenient: false,
            attestations,
        }
    }

    #[test]
    fn an_empty_policy_keeps_the_bytes() {
        let filtered = filtered(&index(), &policy(&[], Attestations::Auto), None).unwrap();
        assert_eq!(filtered.manifest, index());
    }

    #[test]
    fn chosen_platforms_stay_with_their_attestations_and_everything_unknown() {
        let kept = filtered(
            &index(),
            &policy(&["linux/amd64"], Attestations::Keep),
            None,
        )
        .unwrap()
        .manifest;
        assert_eq!(fills(&kept), "ac");
        let document: Value = serde_json::from_slice(kept.bytes()).unwrap();
        assert_eq!(
            (&document["annotations"]["kept"], &document["x-unknown"][0]),
            (&json!("yes"), &json!(1))
        );
        let kept = filtered(
            &index(),
            &policy(&["linux/arm64"], Attestations::Keep),
            None,
        )
        .unwrap()
        .manifest;
        assert_eq!(fills(&kept), "b");
    }

    #[test]
    fn stripping_removes_only_the_attestations() {
        let kept = filtered(&index(), &policy(&[], Attestations::Strip), None)
            .unwrap()
            .manifest;
        assert_eq!(fills(&kept), "abd");
        assert!(has_attestations(&index()) && !has_attestations(&kept));
    }

    #[test]
    fn a_platform_that_is_not_there_is_named_with_those_that_are() {
        let filtered = filtered(
            &index(),
            &policy(&["linux/amd64", "linux/s390x"], Attestations::Keep),
            None,
        )
        .unwrap();
        assert_eq!(filtered.missing_platforms, ["linux/s390x".parse().unwrap()]);
        let available = list(&filtered.available_platforms);
        assert_eq!(available, "linux/amd64, linux/arm64/v8");
    }
}
