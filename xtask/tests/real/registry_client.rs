//! The registry client against a real registry, distribution 2.8.

use bytes::Bytes;
use futures_util::stream;
use xtask::credentials::Credentials;
use xtask::oci::{Descriptor, Digest, Manifest, Platform, index_of, media_type};
use xtask::registry::{Error, Mount, Repository};

use crate::servers::distribution::Distribution;
use crate::support::client::{layer, login, registry, tag};
use crate::support::dead_address;

const PASSWORD: &str = "p>>>p~~~?$";

#[tokio::test]
async fn a_login_with_an_odd_password_may_push() {
    let server = Distribution::with_user("robot$x", PASSWORD);
    let good = registry(&server.host, login("robot$x", PASSWORD));
    good.repository("a/b")
        .check_push_access()
        .await
        .expect("may push");
}

#[tokio::test]
async fn a_wrong_password_is_rejected_and_nobody_is_denied() {
    let server = Distribution::with_user("user", PASSWORD);
    let wrong = registry(&server.host, login("user", "other password"));
    let error = wrong
        .repository("a/b")
        .check_push_access()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("other password"));

    let nobody = registry(&server.host, Credentials::Anonymous);
    let error = nobody
        .repository("a/b")
        .check_push_access()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_index_is_put_found_and_read_back() {
    let server = Distribution::with_user("user", PASSWORD);
    let repository = registry(&server.host, login("user", PASSWORD)).repository("a/b");
    assert_eq!(repository.head_manifest(&tag("1.0")).await.unwrap(), None);
    assert_eq!(repository.get_manifest(&tag("1.0")).await.unwrap(), None);

    let manifest = index_of(&[]);
    let digest = repository
        .put_manifest(&tag("1.0"), &manifest)
        .await
        .unwrap();
    assert_eq!(&digest, manifest.digest());
    for at in [tag("1.0"), digest.into()] {
        let head = repository
            .head_manifest(&at)
            .await
            .unwrap()
            .expect("it is there");
        assert_eq!(head, manifest.descriptor());
        let back = repository
            .get_manifest(&at)
            .await
            .unwrap()
            .expect("it is there");
        assert_eq!(back, manifest);
    }
}

#[tokio::test]
async fn a_manifest_whose_children_are_absent_is_refused_as_that() {
    let server = Distribution::open();
    let repository = registry(&server.host, Credentials::Anonymous).repository("a");
    let child = Descriptor {
        platform: Some("linux/amd64".parse::<Platform>().unwrap()),
        ..Descriptor::new(media_type::OCI_MANIFEST, Digest::sha256_of(b"nothing"), 7)
    };
    let error = repository
        .put_manifest(&tag("x"), &index_of(&[child]))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ChildMissing(_)), "{error}");
    assert_eq!(error.status(), Some(400));
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_unreachable() {
    let address = dead_address();
    let error = registry(&address, Credentials::Anonymous)
        .repository("a")
        .check_push_access()
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. }) && error.is_transient(),
        "{error}"
    );
    assert!(error.to_string().contains(&address), "{error}");
}

#[tokio::test]
async fn handles_work_from_many_tasks() {
    let server = Distribution::with_user("user", PASSWORD);
    let repository = registry(&server.host, login("user", PASSWORD)).repository("a");
    let manifest = index_of(&[]);
    let put = |n: u32| {
        let (repository, manifest): (Repository, Manifest) = (repository.clone(), manifest.clone());
        tokio::spawn(async move {
            repository
                .put_manifest(&tag(&format!("t{n}")), &manifest)
                .await
        })
    };
    for task in (0..20).map(put).collect::<Vec<_>>() {
        assert_eq!(&task.await.unwrap().unwrap(), manifest.digest());
    }
}

#[tokio::test]
async fn a_blob_is_streamed_there_and_back() {
    let server = Distribution::with_user("user", PASSWORD);
    let repository = registry(&server.host, login("user", PASSWORD)).repository("a");
    let chunks: Vec<Bytes> = (0..80u8).map(|n| vec![n; 65_537].into()).collect();
    let blob = layer(&chunks.concat());
    assert!(!repository.has_blob(&blob).await.unwrap());
    assert!(repository.get_blob(&blob).await.unwrap().is_none());

    let body = stream::iter(chunks.clone().into_iter().map(Ok));
    repository.upload_blob(&blob, None, body).await.unwrap();
    assert!(repository.has_blob(&blob).await.unwrap());
    let mut reader = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    let mut back = Vec::new();
    while let Some(chunk) = reader.chunk().await.unwrap() {
        back.extend_from_slice(&chunk);
    }
    assert!(back == chunks.concat());
}

#[tokio::test]
async fn an_image_is_assembled_mounted_and_listed() {
    let server = Distribution::open();
    let registry = registry(&server.host, Credentials::Anonymous);
    let (first, second) = (
        registry.repository("a/first"),
        registry.repository("b/second"),
    );
    let (config, nothing) = (layer(b"{}"), layer(b""));
    first
        .upload_bytes(&config.digest, None, "{}".into())
        .await
        .unwrap();
    first
        .upload_bytes(&nothing.digest, None, Bytes::new())
        .await
        .unwrap();
    for blob in [&config, &nothing] {
        let mounted = second.mount_blob(&blob.digest, "a/first").await.unwrap();
        assert!(matches!(mounted, Mount::Done));
    }
    // A blob that the other repository does not hold: distribution opens an upload instead.
    let unknown = layer(b"more");
    let Mount::Declined(Some(session)) =
        second.mount_blob(&unknown.digest, "a/first").await.unwrap()
    else {
        panic!("an upload");
    };
    second
        .upload_bytes(&unknown.digest, Some(session), "more".into())
        .await
        .unwrap();

    let image = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": config, "layers": [nothing, unknown]});
    let image = Manifest::new(media_type::OCI_MANIFEST, image.to_string().into());
    for name in ["1.0", "latest"] {
        second.put_manifest(&tag(name), &image).await.unwrap();
    }
    let mut tags = second.tags().await.unwrap();
    tags.sort();
    assert_eq!(tags, ["1.0", "latest"].map(|name| name.parse().unwrap()));
    assert_eq!(second.referrers(image.digest()).await.unwrap(), []);
    let absent = registry.repository("nobody").tags().await.unwrap_err();
    assert!(matches!(absent, Error::NotFound(_)), "{absent}");
}
