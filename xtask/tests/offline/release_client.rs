//! What a release asks of a registry goes through one client.

use bytes::Bytes;
use fakes::noise;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use hyper::Method;
use serde_json::json;
use xtask::oci::{Digest, media_type};

use crate::support::images::{OCI_CONFIG, Sample, manifest};
use crate::support::workspace::Workspace;

/// An image with one layer, which is large enough to be streamed.
fn image() -> Sample {
    let content = noise("layer", 3_000_000);
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    let mut layer = tar::Builder::new(Vec::new());
    layer.append_data(&mut header, "app", &content[..]).unwrap();
    let layer = Bytes::from(layer.into_inner().unwrap());
    let config = json!({"os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256_of(&layer)]}});
    manifest(
        media_type::OCI_MANIFEST,
        (OCI_CONFIG, config.to_string().into()),
        &[("application/vnd.oci.image.layer.v1.tar", layer)],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_fetches_one_token_for_all_that_it_asks() {
    let server = FakeRegistry::start(Behavior {
        auth: AuthMode::Tokens,
        ..Behavior::default()
    })
    .await;
    let workspace = Workspace::new(
        &["linux/amd64"],
        &[("dockerhub", "DOCKER", &server.host, "team")],
    )
    .with("DOCKER_USERNAME", USER)
    .with("DOCKER_PASSWORD", PASSWORD);
    image().write(&workspace.path().join("layout"));
    let arguments = [
        "docker-push",
        "--image",
        "oci:layout",
        "--release-version",
        "1.2.3",
    ];
    workspace.run(&arguments).await.expect(0, &[]);
    assert_eq!(server.count(Method::PATCH, "uploads"), 1);
    assert_eq!(server.count(Method::GET, "/token"), 1);
}
