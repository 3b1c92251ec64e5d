//! Clients of test registries, and things to put there.

use xtask::registry::{Credentials, Descriptor, Digest, Options, Registry, TagOrDigest};
use xtask::secret::Secret;

pub fn registry(host: &str, credentials: Credentials) -> Registry {
    registry_with(host, credentials, Options::default())
}

pub fn registry_with(host: &str, credentials: Credentials, options: Options) -> Registry {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Registry::new(host, credentials, options).expect("a client")
}

pub fn login(username: &str, password: &str) -> Credentials {
    Credentials::Basic {
        username: username.to_owned(),
        password: Secret::new(password.to_owned()),
    }
}

pub fn tag(text: &str) -> TagOrDigest {
    TagOrDigest::Tag(text.parse().expect("a tag"))
}

/// The descriptor of a layer with these bytes.
pub fn layer(bytes: &[u8]) -> Descriptor {
    let media_type = "application/vnd.oci.image.layer.v1.tar";
    Descriptor::new(media_type, Digest::sha256_of(bytes), bytes.len() as u64)
}
