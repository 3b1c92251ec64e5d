//! Clients of test registries, and things to put there.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use fakes::registry::{Behavior, FakeRegistry, PASSWORD, USER};
use futures_util::{Stream, stream};
use xtask::credentials::Credentials;
use xtask::oci::{Descriptor, Digest, TagOrDigest};
use xtask::registry::{Options, Registry, Repository};
use xtask::secret::Secret;

/// A fake registry that behaves so, and the repository `ns/app` of it, signed in.
pub async fn serving(behavior: Behavior) -> (FakeRegistry, Repository) {
    let server = FakeRegistry::start(behavior).await;
    let repository = registry(&server.host, login(USER, PASSWORD)).repository("ns/app");
    (server, repository)
}

/// The same, as it is by default.
pub async fn open() -> (FakeRegistry, Repository) {
    serving(Behavior::default()).await
}

pub fn registry(host: &str, credentials: Credentials) -> Registry {
    registry_with(host, credentials, quick())
}

/// The usual options, but waits between tries that are not worth waiting for.
pub fn quick() -> Options {
    Options {
        first_wait: Duration::from_millis(4),
        ..Options::default()
    }
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

/// A small blob.
pub const CONTENT: &[u8] = b"the content of a layer";

/// `bytes` as the body of an upload, in a few pieces.
pub fn body(bytes: &'static [u8]) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::iter(bytes.chunks(3).map(|chunk| Ok(Bytes::from_static(chunk))))
}
