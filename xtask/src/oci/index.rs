//! Makes an index from the manifests that it lists. The same children in the same order give the same bytes.

use serde_json::json;

use super::manifest::{Descriptor, Manifest};
use super::media_type;

/// An index of `children`, in their order.
///
/// A Docker manifest list if every child has a Docker media type (registries that predate OCI accept those), and an OCI
/// index otherwise.
pub fn index_of(children: &[Descriptor]) -> Manifest {
    let docker = |child: &Descriptor| {
        matches!(
            &*child.media_type,
            media_type::DOCKER_MANIFEST | media_type::DOCKER_LIST
        )
    };
    let media_type = if !children.is_empty() && children.iter().all(docker) {
        media_type::DOCKER_LIST
    } else {
        media_type::OCI_INDEX
    };
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": children });
    Manifest::new(media_type, format!("{index:#}").into())
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Content;
    use super::*;

    fn child(media_type: &str, platform: &str) -> Descriptor {
        let mut child = Manifest::new(media_type, platform.to_owned().into()).descriptor();
        child.platform = Some(platform.parse().unwrap());
        child
    }

    #[test]
    fn the_children_come_back_in_their_order() {
        let children = [
            child(media_type::OCI_MANIFEST, "linux/arm64"),
            child(media_type::OCI_MANIFEST, "linux/amd64"),
        ];
        let index = index_of(&children);
        let Content::Index(view) = index.content().unwrap() else {
            panic!("an index");
        };
        assert_eq!(view.manifests, children);
        assert_eq!(index_of(&children).digest(), index.digest());
    }

    #[test]
    fn the_children_choose_the_kind() {
        let docker = child(media_type::DOCKER_MANIFEST, "linux/amd64");
        let oci = child(media_type::OCI_MANIFEST, "linux/arm64");
        let kind = |children: &[Descriptor]| index_of(children).media_type().to_owned();
        assert_eq!(kind(std::slice::from_ref(&docker)), media_type::DOCKER_LIST);
        assert_eq!(kind(std::slice::from_ref(&oci)), media_type::OCI_INDEX);
        assert_eq!(kind(&[docker, oci]), media_type::OCI_INDEX);
        assert_eq!(kind(&[]), media_type::OCI_INDEX);
    }
}
