//! The media types of manifests and configs, and the kind of each.

pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// In the drafts of OCI 1.1, and still in registries.
pub const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// The `Accept` header of every manifest request: exactly the types of [`is_manifest`].
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.artifact.manifest.v1+json";

/// A manifest that lists other manifests.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

/// A manifest of one image or artifact.
pub fn is_image(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// A config of an image, not of an artifact.
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

/// A layer that is a file system: a tar archive, compressed or not.
pub fn is_layer(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd"
    )
}

/// A layer of an image, also one that only some engines read, such as an encrypted one.
pub fn is_of_image(media_type: &str) -> bool {
    let prefixes = [
        "application/vnd.oci.image.layer.",
        "application/vnd.docker.image.rootfs.",
    ];
    prefixes.iter().any(|it| media_type.starts_with(it))
}

/// A manifest or index; anything else is a blob.
pub fn is_manifest(media_type: &str) -> bool {
    is_index(media_type) || is_image(media_type) || media_type == OCI_ARTIFACT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_understood() {
        let asked: Vec<&str> = ACCEPT.split(", ").collect();
        assert_eq!(
            asked,
            [
                OCI_INDEX,
                OCI_MANIFEST,
                DOCKER_LIST,
                DOCKER_MANIFEST,
                OCI_ARTIFACT
            ]
        );
        assert!(asked.iter().all(|media_type| is_manifest(media_type)));
        assert!(!is_manifest(OCI_CONFIG));
    }
}
