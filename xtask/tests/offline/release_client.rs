//! What a release asks of a registry goes through one client.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use fakes::noise;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};
use hyper::Method;
use serde_json::json;
use xtask::oci::{Digest, media_type};

use crate::support::images::{OCI_CONFIG, manifest};
use crate::support::workspace::Workspace;

/// Writes a layout of an image with one layer, which is large enough to be streamed.
fn layout(directory: &Path) {
    let mut layer = tar::Builder::new(Vec::new());
    let content = noise("layer", 3_000_000);
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    layer.append_data(&mut header, "app", &content[..]).unwrap();
    let layer = Bytes::from(layer.into_inner().unwrap());
    let config = json!({"os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [Digest::sha256_of(&layer)]}});
    let image = manifest(
        media_type::OCI_MANIFEST,
        (OCI_CONFIG, config.to_string().into()),
        &[("application/vnd.oci.image.layer.v1.tar", layer)],
    );
    let root = image.root();
    let blobs = image.blobs.iter().map(|(digest, bytes)| (digest, bytes));
    let folder = directory.join("blobs/sha256");
    fs::create_dir_all(&folder).unwrap();
    for (digest, bytes) in blobs.chain([(root.digest(), root.bytes())]) {
        fs::write(folder.join(digest.hex()), bytes).unwrap();
    }
    let index = json!({"schemaVersion": 2, "manifests": [root.descriptor()]});
    fs::write(directory.join("index.json"), index.to_string()).unwrap();
    fs::write(
        directory.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
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
    layout(&workspace.path().join("layout"));
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
