//! The registry client moving blobs: one test for each way that it goes wrong.

use bytes::Bytes;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, Host, PASSWORD, USER};
use futures_util::stream::{self, StreamExt as _};
use hyper::Method;
use xtask::oci::Descriptor;
use xtask::registry::{Blob, Error, Mount, Repository};

use crate::support::client::{CONTENT, body, layer, login, open, registry, serving};

async fn read(mut blob: Blob) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A repository that holds [`CONTENT`].
async fn holding_content(behavior: Behavior) -> (FakeRegistry, Repository, Descriptor) {
    let (server, repository) = serving(behavior).await;
    let blob = layer(CONTENT);
    let content = Bytes::from_static(CONTENT);
    server.put_blob("ns/app", blob.digest.as_str(), content);
    (server, repository, blob)
}

#[tokio::test]
async fn blobs_on_another_host_are_read_and_written_without_credentials() {
    let behavior = Behavior {
        auth: AuthMode::Tokens,
        stores_elsewhere: true,
        ..Behavior::default()
    };
    let (server, repository, blob) = holding_content(behavior).await;
    let found = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!(read(found).await.unwrap(), CONTENT);
    repository
        .upload_blob(&layer(b"other"), None, body(b"other"))
        .await
        .unwrap();
    let seen = server.requests();
    let elsewhere: Vec<_> = seen
        .iter()
        .filter(|seen| seen.host == Host::Storage)
        .collect();
    assert_eq!(
        elsewhere
            .iter()
            .map(|seen| &seen.method)
            .collect::<Vec<_>>(),
        [Method::GET, Method::PATCH, Method::PUT]
    );
    for seen in elsewhere {
        assert!(
            !seen.headers.contains_key("authorization") && !seen.headers.contains_key("referer"),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_ended_from_a_fresh_url() {
    let behavior = Behavior {
        stores_elsewhere: true,
        ..Behavior::default()
    };
    let (server, repository, blob) = holding_content(behavior).await;
    server.fault(Method::GET, "sig=", Fault::Truncate(4));
    server.fault(Method::GET, "sig=", Fault::Truncate(5));
    let found = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!(read(found).await.unwrap(), CONTENT);
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .map(|seen| (seen.host, seen.headers.get("range").cloned()))
        .collect();
    let range = |text: &'static str| Some(hyper::header::HeaderValue::from_static(text));
    assert_eq!(
        ranges,
        [
            (Host::Registry, None),
            (Host::Storage, None),
            (Host::Registry, range("bytes=4-")),
            (Host::Storage, range("bytes=4-")),
            (Host::Registry, range("bytes=9-")),
            (Host::Storage, range("bytes=9-")),
        ]
    );
}

#[tokio::test]
async fn a_registry_without_ranges_sends_bytes_again_that_are_dropped() {
    let behavior = Behavior {
        ignores_ranges: true,
        ..Behavior::default()
    };
    let (server, repository, blob) = holding_content(behavior).await;
    server.fault(Method::GET, "blobs", Fault::Truncate(4));
    let found = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!(read(found).await.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_download_that_makes_no_headway_ends() {
    let (server, repository, blob) = holding_content(Behavior::default()).await;
    for _ in 0..9 {
        server.fault(Method::GET, "blobs", Fault::Truncate(0));
    }
    let found = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    let error = read(found).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn content_that_is_not_the_blob_is_an_error() {
    let (server, repository, blob) = holding_content(Behavior::default()).await;
    server.fault(Method::GET, "blobs", Fault::Corrupt);
    let garbled = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    assert!(matches!(
        read(garbled).await,
        Err(Error::DigestMismatch { .. })
    ));

    let shorter = Descriptor {
        size: blob.size - 1,
        ..blob.clone()
    };
    let longer = repository
        .get_blob(&shorter)
        .await
        .unwrap()
        .expect("it is there");
    assert!(matches!(read(longer).await, Err(Error::Protocol { .. })));
}

#[tokio::test]
async fn an_upload_is_one_plain_patch_and_a_commit_that_keeps_the_query() {
    for absolute_locations in [false, true] {
        let (server, repository) = serving(Behavior {
            absolute_locations,
            ..Behavior::default()
        })
        .await;
        let blob = layer(CONTENT);
        repository
            .upload_blob(&blob, None, body(CONTENT))
            .await
            .unwrap();
        let seen = server.requests();
        let methods: Vec<_> = seen.iter().map(|seen| &seen.method).collect();
        assert_eq!(methods, [Method::POST, Method::PATCH, Method::PUT]);
        assert_eq!(
            seen[1].headers["content-length"],
            CONTENT.len().to_string().as_str()
        );
        assert!(!seen[1].headers.contains_key("content-range"));
        let (offset, hex) = (CONTENT.len(), blob.digest.hex());
        let query = format!("?_state=a%2Fb%3D{offset}&digest=sha256%3A{hex}");
        assert!(seen[2].target.ends_with(&query), "{}", seen[2].target);
    }
}

#[tokio::test]
async fn a_small_blob_is_uploaded_with_its_commit() {
    let (server, repository) = open().await;
    let blob = layer(CONTENT);
    repository
        .upload_bytes(&blob.digest, None, Bytes::from_static(CONTENT))
        .await
        .unwrap();
    assert!(repository.has_blob(&blob).await.unwrap());
    assert_eq!(server.count(Method::PATCH, ""), 0);
}

#[tokio::test]
async fn a_commit_that_failed_although_the_blob_is_there_has_not_failed() {
    for fault in [
        Fault::WrongStatus(404),
        Fault::WrongStatus(500),
        Fault::Disconnect,
    ] {
        let (server, repository) = open().await;
        server.fault(Method::PUT, "uploads", fault);
        repository
            .upload_blob(&layer(CONTENT), None, body(CONTENT))
            .await
            .unwrap();
        assert_eq!(server.count(Method::PUT, "uploads"), 1);
        assert_eq!(server.count(Method::HEAD, "blobs"), 1);
    }
}

#[tokio::test]
async fn a_session_that_is_gone_asks_for_the_upload_again() {
    let (server, repository) = open().await;
    let gone = r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#;
    for _ in 0..3 {
        server.fault(Method::PUT, "uploads", Fault::Respond(404, &[], gone));
    }
    let error = repository
        .upload_blob(&layer(CONTENT), None, body(CONTENT))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::UploadLost(_)) && error.is_transient(),
        "{error}"
    );
}

#[tokio::test]
async fn bytes_that_are_not_the_blob_are_not_accepted() {
    let (_server, repository) = open().await;
    let error = repository
        .upload_blob(&layer(b"content"), None, body(b"c0ntent"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::UploadLost(_)), "{error}");
}

#[tokio::test]
async fn a_source_that_fails_is_not_the_registrys_fault() {
    let (_server, repository) = open().await;
    let broken = body(CONTENT).chain(stream::iter([Err(std::io::Error::other("disk on fire"))]));
    let blob = Descriptor {
        size: 100,
        ..layer(CONTENT)
    };
    let error = repository
        .upload_blob(&blob, None, broken)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Source(reason) if reason == "disk on fire"),
        "{error}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn a_mount_that_is_declined_goes_on_as_an_upload() {
    for (status, sessions) in [
        (202, true),
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (405, false),
    ] {
        let behavior = Behavior {
            auth: AuthMode::Tokens,
            mount: Some(status),
            ..Behavior::default()
        };
        let (server, repository, blob) = holding_content(behavior).await;
        let target = registry(&server.host, login(USER, PASSWORD)).repository("ns/target");
        drop(repository);
        let Mount::Declined(session) = target.mount_blob(&blob.digest, "ns/app").await.unwrap()
        else {
            panic!("{status} is not a mount");
        };
        assert_eq!(session.is_some(), sessions, "{status}");
        target
            .upload_blob(&blob, session, body(CONTENT))
            .await
            .unwrap();
        let plain_uploads =
            server.count(Method::POST, "/blobs/uploads/") - server.count(Method::POST, "?mount=");
        assert_eq!(plain_uploads, usize::from(!sessions));
    }
}

#[tokio::test]
async fn a_mount_that_is_granted_uploads_nothing() {
    let (server, _, blob) = holding_content(Behavior {
        auth: AuthMode::Tokens,
        ..Behavior::default()
    })
    .await;
    let target = registry(&server.host, login(USER, PASSWORD)).repository("ns/target");
    assert!(matches!(
        target.mount_blob(&blob.digest, "ns/app").await.unwrap(),
        Mount::Done
    ));
    assert!(target.has_blob(&blob).await.unwrap());
}

#[tokio::test]
async fn a_rest_that_cannot_be_had_alone_is_read_from_the_beginning() {
    let wrong: &'static [_] = &[("content-range", "bytes 7-8")];
    for (status, headers) in [(416, &[][..]), (400, &[]), (206, &[]), (206, wrong)] {
        let (server, repository, blob) = holding_content(Behavior::default()).await;
        server.fault(Method::GET, "blobs", Fault::Truncate(4));
        server.fault(Method::GET, "blobs", Fault::Respond(status, headers, "x"));
        let found = repository.get_blob(&blob).await.unwrap();
        let found = read(found.expect("it is there")).await;
        assert_eq!(found.unwrap(), CONTENT, "{status} {headers:?}");
    }
}
