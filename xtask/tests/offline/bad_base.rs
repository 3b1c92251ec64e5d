//! Images that cannot be a base: a clear sentence, and nothing pushed.

use fakes::registry::{AuthMode, Behavior, PASSWORD, USER};
use hyper::Method;
use serde_json::{Value, json};
use xtask::oci::{Descriptor, Digest, Manifest, media_type};

use crate::release_bases::{Fixture, PUSH, base, config, image, layer};
use crate::support::dead_address;
use crate::support::images::{self, OCI_CONFIG, OCI_LAYER, Sample, platform};

/// Each a base at a tag of its own, and what is said of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_cannot_be_one_is_refused_in_a_sentence() {
    let mut fixture = Fixture::new(Behavior::default()).await;
    let server = &fixture.bases;
    let both = |make: &dyn Fn(&str) -> Sample| {
        let (amd64, arm64) = (make("amd64"), make("arm64"));
        images::index(
            media_type::OCI_INDEX,
            &[
                (&amd64, platform("linux/amd64")),
                (&arm64, platform("linux/arm64")),
            ],
        )
    };
    let of_layers = |layers: &[Descriptor]| {
        let diff_ids = vec![Digest::sha256_of(b""); layers.len()];
        let config = config("amd64", &diff_ids, &json!({}));
        let digest = Digest::sha256_of(&config);
        let described = Descriptor::new(OCI_CONFIG, digest.clone(), config.len() as u64);
        let text = json!({ "schemaVersion": 2, "config": described, "layers": layers });
        Sample {
            blobs: vec![(digest, config)],
            manifests: vec![Manifest::new(
                media_type::OCI_MANIFEST,
                text.to_string().into(),
            )],
        }
    };
    let of_layer = |media_type: &str, digest: &str| {
        of_layers(&[Descriptor::new(media_type, digest.parse().unwrap(), 7)])
    };
    let place = |tag: &str, sample: &Sample| sample.place(server, "public/base", tag);
    let zeros = "0".repeat(64);
    let sha256 = format!("sha256:{zeros}");
    place("platform", &of_layer(OCI_LAYER, &sha256));
    let riscv = image("riscv64", &json!({}));
    let riscv = images::index(
        media_type::OCI_INDEX,
        &[(&riscv, platform("linux/riscv64"))],
    );
    place("riscv", &riscv);
    let newer = image("amd64", &json!({}));
    let newer = [(&newer, platform("linux/amd64/v3"))];
    place("newer", &images::index(media_type::OCI_INDEX, &newer));
    place("empty", &images::index(media_type::OCI_INDEX, &[]));
    place(
        "sha512",
        &of_layer(OCI_LAYER, &format!("sha512:{zeros}{zeros}")),
    );
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    place("foreign", &of_layer(foreign, &sha256));
    place(
        "unknown",
        &of_layer("application/vnd.example.layer", &sha256),
    );
    place("missing", &of_layer(OCI_LAYER, &sha256));
    let onbuild = json!({ "OnBuild": ["RUN true"] });
    place("onbuild", &both(&|it| image(it, &onbuild)));
    let deep = |architecture: &str| {
        let (bytes, diff_id) = layer(&[("etc/motd", "hi")]);
        let layers = vec![(OCI_LAYER, bytes); 127];
        let config = config(architecture, &vec![diff_id; 127], &json!({}));
        images::manifest(media_type::OCI_MANIFEST, (OCI_CONFIG, config), &layers)
    };
    place("deep", &both(&deep));
    // Of two layers: what the config says of them.
    let said = |diff_ids: Value| {
        both(&|architecture| {
            let sample = image(architecture, &json!({}));
            let blobs = sample.blobs.iter().map(|(_, bytes)| bytes.clone());
            let packed = blobs.filter(|bytes| bytes.starts_with(&[0x1f, 0x8b]));
            let packed: Vec<_> = packed.map(|bytes| (OCI_LAYER, bytes)).collect();
            let config = json!({ "os": "linux", "architecture": architecture, "rootfs": { "type": "layers", "diff_ids": diff_ids } });
            images::manifest(
                media_type::OCI_MANIFEST,
                (OCI_CONFIG, config.to_string().into()),
                &packed,
            )
        })
    };
    place("no-ids", &said(json!([])));
    place("null-ids", &said(Value::Null));
    place("one-more", &said(json!([sha256, sha256, sha256])));
    place("wrong", &said(json!([sha256, sha256])));
    place("artifact", &images::attestation("a"));
    let mut large: Value = serde_json::from_slice(of_layers(&[]).root().bytes()).unwrap();
    large["config"]["size"] = json!((8 << 20) + 1);
    let large = Manifest::new(media_type::OCI_MANIFEST, large.to_string().into());
    place(
        "large",
        &Sample {
            blobs: Vec::new(),
            manifests: vec![large],
        },
    );
    let damaged = both(&|it| image(it, &json!({ "Labels": { "a": "b" } })));
    damaged.place(server, "public/damaged", "1");
    for (digest, bytes) in &damaged.blobs {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut bytes = bytes.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            server.put_blob("public/damaged", digest.as_str(), bytes.into());
        }
    }
    let dead = dead_address();
    let host = fixture.bases.host.clone();
    for (base, code, parts) in [
        (
            "platform",
            2,
            &["has no image for `linux/arm64`", "it has `linux/amd64`"][..],
        ),
        (
            "riscv",
            2,
            &["has no image for `linux/amd64`", "it has `linux/riscv64`"],
        ),
        // It may not run on every processor that is `linux/amd64`.
        ("newer", 2, &["it has `linux/amd64/v3`"]),
        ("empty", 2, &["it has no image that names a platform"]),
        ("none", 2, &["there is no such image"]),
        ("sha512", 2, &["is not a sha256 digest"]),
        (
            "foreign",
            2,
            &["is not in its registry", "hint: `--builder engine`"],
        ),
        (
            "unknown",
            2,
            &["is of the unknown type `application/vnd.example.layer`"],
        ),
        ("onbuild", 2, &["`ONBUILD`", "hint: `--builder engine`"]),
        ("deep", 2, &["layers, and Docker unpacks at most 125"]),
        ("no-ids", 2, &["2 layers and its config 0"]),
        ("null-ids", 2, &["2 layers and its config 0"]),
        ("one-more", 2, &["2 layers and its config 3"]),
        (
            "wrong",
            2,
            &[" unpacks to sha256:", "no engine can pull it"],
        ),
        ("artifact", 2, &["it is no image: its config is `"]),
        ("large", 2, &["its config is larger than 8 MiB"]),
    ] {
        fixture
            .workspace
            .set("DOCKER_BASE_IMAGE", &format!("{host}/public/base:{base}"));
        let named = format!("/public/base:{base}`");
        fixture
            .run(&PUSH, code, &[&[&*named][..], parts].concat())
            .await;
    }
    for (base, parts) in [
        (
            format!("{host}/public/damaged:1"),
            ["sent content with the digest", "instead of"],
        ),
        (
            format!("{dead}/public/base:1"),
            ["cannot be reached", &dead],
        ),
    ] {
        fixture.workspace.set("DOCKER_BASE_IMAGE", &base);
        fixture.run(&PUSH, 1, &parts).await;
    }
    for registry in &fixture.registries {
        assert_eq!(registry.count(Method::PUT, ""), 0);
        assert_eq!(registry.count(Method::PATCH, ""), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_needs_a_login_says_where_it_is_looked_for() {
    let mut fixture = Fixture::new(Behavior {
        auth: AuthMode::Basic,
        ..Behavior::default()
    })
    .await;
    base().place(&fixture.bases, "public/base", "1");
    let host = fixture.bases.host.clone();
    let missing = format!("hint: does it exist? If it is private, `docker login {host}`");
    fixture.run(&PUSH, 2, &["/public/base:1`", &missing]).await;
    // Before anything is downloaded.
    assert!(!fixture.workspace.path().join("output/packages").exists());
    fixture
        .run_as_it_is(&["check"], 2, &["base image", "/public/base:1", &missing])
        .await;
    let config = |user: &str| {
        json!({ "auths": { &host: { "username": user, "password": PASSWORD } } }).to_string()
    };
    fixture
        .workspace
        .write("login/config.json", &config("wrong"));
    let directory = fixture.workspace.path().join("login");
    fixture
        .workspace
        .set("DOCKER_CONFIG", directory.to_str().unwrap());
    let wrong = format!("is Docker's login for `{host}` right?");
    fixture.run(&PUSH, 2, &["/public/base:1`", &wrong]).await;
    for registry in &fixture.registries {
        assert_eq!(registry.count(Method::PUT, ""), 0);
    }
    fixture.workspace.write("login/config.json", &config(USER));
    let login = format!("Docker's login for `{host}`");
    fixture
        .run_as_it_is(&["check"], 0, &["/public/base:1", &login, "sha256:"])
        .await;
    fixture.run(&PUSH, 0, &[]).await;
}
