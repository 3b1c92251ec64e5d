//! A registry's answers are proven, never believed: what it says it has stored, what it says it lacks, and how long it
//! takes to say so.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fakes::http::{Body, Server, serve, whole};
use fakes::registry::{Behavior, Fault};
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::{Method, Response};
use xtask::credentials::Credentials;
use xtask::oci::index_of;
use xtask::registry::{Error, Mount, Options, Repository, Stall};

use crate::support::client::{CONTENT, body, layer, open, quick, registry_with, serving, tag};

/// Puts an empty index at `x`, once.
async fn put_once(host: &str) -> Error {
    let put = once(host);
    let put = put.put_manifest(&tag("x"), &index_of(&[])).await;
    put.expect_err("nothing was stored")
}

fn once(host: &str) -> Repository {
    let options = Options {
        retries: 0,
        stall: Stall {
            request: Duration::from_millis(100),
            blob: Duration::from_secs(60),
        },
        ..quick()
    };
    registry_with(host, Credentials::Anonymous, options).repository("ns/app")
}

#[tokio::test]
async fn a_manifest_that_was_not_stored_is_not_in_place_whatever_the_registry_answers() {
    let (server, _) = open().await;
    for status in [200, 201, 202, 204] {
        let lie = Fault::Respond(status, &[], "");
        server.fault(Method::PUT, "manifests", lie);
        let error = put_once(&server.host).await;
        assert!(matches!(error, Error::Unproven { .. }), "{error}");
        assert!(error.is_transient());
    }
    assert_eq!(server.manifests().len(), 0);
}

#[tokio::test]
async fn a_manifest_is_read_back_unless_201_names_its_digest() {
    for (status, heads) in [(None, 0), (Some(200), 1), (Some(201), 1), (Some(202), 1)] {
        let (server, repository) = open().await;
        if let Some(status) = status {
            server.fault(Method::PUT, "manifests", Fault::WrongStatus(status));
        }
        let manifest = index_of(&[]);
        let put = repository.put_manifest(&tag("x"), &manifest).await;
        assert_eq!(&put.unwrap(), manifest.digest());
        assert_eq!(server.count(Method::HEAD, "manifests/x"), heads);
        assert_eq!(server.count(Method::PUT, ""), 1);
    }
}

#[tokio::test]
async fn a_tag_that_names_something_else_after_the_put_was_not_set() {
    let (server, repository) = open().await;
    let old = index_of(&[layer(b"old")]);
    repository.put_manifest(&tag("x"), &old).await.unwrap();
    server.fault(Method::PUT, "manifests", Fault::Respond(200, &[], ""));
    let error = put_once(&server.host).await;
    assert!(matches!(error, Error::Unproven { .. }), "{error}");
}

#[tokio::test]
async fn a_redirect_does_not_turn_a_put_into_a_get() {
    let (server, _) = open().await;
    for status in [301, 302, 303, 307, 308] {
        let away = Fault::Respond(status, &[("location", "/login")], "");
        server.fault(Method::PUT, "manifests", away);
        let page = Fault::Respond(
            200,
            &[("content-type", "text/html")],
            "<html>sign in</html>",
        );
        server.fault(Method::PUT, "/login", page);
        put_once(&server.host).await;
    }
    assert_eq!(server.count(Method::GET, "/login"), 0);
    assert_eq!(server.manifests().len(), 0);
}

#[tokio::test]
async fn a_put_that_is_sent_on_arrives_whole() {
    let (server, repository) = open().await;
    let manifest = index_of(&[]);
    let there = Fault::Respond(307, &[("location", "/v2/ns/app/manifests/y")], "");
    server.fault(Method::PUT, "manifests/x", there);
    repository.put_manifest(&tag("x"), &manifest).await.unwrap();
    assert_eq!(server.tagged("y"), manifest.bytes());
}

#[tokio::test]
async fn a_blob_that_was_not_stored_is_not_there_whatever_the_registry_answers() {
    let (server, repository) = open().await;
    let blob = layer(CONTENT);
    for status in [200, 201, 202, 204] {
        let lie = Fault::Respond(status, &[], "");
        server.fault(Method::PUT, "uploads", lie);
        let registry = once(&server.host);
        let upload = registry.upload_bytes(&blob.digest, None, CONTENT.into());
        let error = upload.await.unwrap_err();
        assert!(matches!(error, Error::Unproven { .. }), "{error}");
    }
    for status in [200, 201, 202] {
        server.fault(Method::PUT, "uploads", Fault::WrongStatus(status));
        repository
            .upload_blob(&blob, None, body(CONTENT))
            .await
            .unwrap();
        assert_eq!(server.blobs().len(), 1);
    }
}

#[tokio::test]
async fn a_mount_that_fails_in_any_way_is_an_upload() {
    for status in [
        400, 401, 403, 404, 405, 409, 413, 416, 418, 422, 500, 501, 502, 503,
    ] {
        let behavior = Behavior {
            mount: Some(status),
            ..Behavior::default()
        };
        let (server, repository) = serving(behavior).await;
        let mount = repository.mount_blob(&layer(CONTENT).digest, "other").await;
        assert!(matches!(mount, Ok(Mount::Declined(None))), "{status}");
        assert_eq!(server.count(Method::POST, "mount="), 1, "{status}");
    }
    let (server, repository) = open().await;
    server.fault(Method::POST, "mount=", Fault::Respond(201, &[], ""));
    let mount = repository.mount_blob(&layer(CONTENT).digest, "other").await;
    assert!(
        matches!(mount, Ok(Mount::Declined(None))),
        "201 without the blob"
    );
}

#[tokio::test]
async fn where_head_is_not_served_get_is_asked_and_that_is_remembered() {
    for status in [400, 403, 404, 405, 501] {
        let (server, repository) = open().await;
        let manifest = index_of(&[]);
        repository.put_manifest(&tag("x"), &manifest).await.unwrap();
        for _ in 0..9 {
            server.fault(Method::HEAD, "manifests", Fault::Respond(status, &[], ""));
        }
        for _ in 0..3 {
            let head = repository.head_manifest(&tag("x")).await.unwrap();
            assert_eq!(head, Some(manifest.descriptor()), "{status}");
        }
        assert_eq!(
            repository.head_manifest(&tag("absent")).await.unwrap(),
            None
        );
        assert_eq!(server.count(Method::HEAD, "manifests"), 1, "{status}");
    }
}

#[tokio::test]
async fn a_head_that_has_told_the_truth_is_believed() {
    let (server, repository) = open().await;
    for _ in 0..20 {
        assert_eq!(repository.head_manifest(&tag("x")).await.unwrap(), None);
    }
    assert_eq!(server.count(Method::HEAD, "manifests"), 20);
    assert_eq!(server.count(Method::GET, "manifests"), 4);
}

#[tokio::test]
async fn a_blob_is_found_where_head_is_not_served_and_not_in_a_page() {
    let (server, repository) = open().await;
    let blob = layer(CONTENT);
    server.fault(Method::HEAD, "blobs", Fault::Respond(405, &[], ""));
    assert!(!repository.has_blob(&blob).await.unwrap());
    server.put_blob("ns/app", blob.digest.as_str(), CONTENT.into());
    server.fault(Method::HEAD, "blobs", Fault::Respond(405, &[], ""));
    assert!(repository.has_blob(&blob).await.unwrap());
    let page = Fault::Respond(200, &[("content-type", "text/html; charset=utf-8")], "");
    server.fault(Method::HEAD, "blobs", page);
    let error = repository.has_blob(&blob).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn a_blob_of_another_size_is_not_there_and_what_a_storage_refuses_says_nothing() {
    let (server, repository) = open().await;
    let blob = layer(CONTENT);
    server.put_blob("ns/app", blob.digest.as_str(), CONTENT.into());
    let half = Fault::Respond(200, &[("content-length", "3")], "");
    server.fault(Method::HEAD, "blobs", half);
    assert!(!repository.has_blob(&blob).await.unwrap());
    for status in [401, 403] {
        let storage = serve(move |_| {
            let response = Response::builder().status(status).body(whole(Bytes::new()));
            async move { Ok(response.expect("a response")) }
        });
        let storage = storage.await;
        let there = format!("http://{}/signed", storage.host());
        server.fault(Method::HEAD, "blobs", Fault::Redirect(307, there));
        assert!(!repository.has_blob(&blob).await.unwrap());
    }
    assert!(repository.has_blob(&blob).await.unwrap());
}

#[tokio::test]
async fn a_document_that_comes_compressed_is_told() {
    let (server, repository) = open().await;
    let gzip = Fault::Respond(200, &[("content-encoding", "gzip")], "\u{1f}");
    server.fault(Method::GET, "tags/list", gzip);
    let error = repository.tags().await.unwrap_err().to_string();
    assert!(error.contains("compresses it (`gzip`)"), "{error}");
    let asked = &server.requests()[0].headers["accept-encoding"];
    assert_eq!(asked, "identity");
}

#[tokio::test]
async fn a_list_is_read_as_go_reads_it() {
    let (server, repository) = open().await;
    let list = Fault::Respond(200, &[], r#"{"Name":"a","Tags":["1",null],"tags2":0}"#);
    server.fault(Method::GET, "tags/list", list);
    let list = repository.list().await.unwrap();
    assert_eq!((list.tags.len(), list.wrong_count), (1, 1));
}

/// A server whose every response has `status` and a body that drips for ever.
async fn dripping(status: u16) -> Server {
    let body = || -> Body {
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((
                Ok::<_, io::Error>(Frame::data(Bytes::from_static(b" "))),
                (),
            ))
        });
        StreamBody::new(drip).boxed_unsync()
    };
    serve(move |_| {
        let response = Response::builder().status(status).body(body());
        async move { Ok(response.expect("a response")) }
    })
    .await
}

async fn get_once(server: &Server) -> Error {
    let registry = once(server.host());
    let got = registry.get_manifest(&tag("x")).await;
    got.expect_err("it does not end")
}

#[tokio::test]
async fn a_document_that_drips_is_given_up_and_an_error_is_told_without_its_text() {
    let server = dripping(200).await;
    let error = get_once(&server).await;
    assert!(error.to_string().contains(": only "), "{error}");
    let server = dripping(503).await;
    let error = get_once(&server).await;
    assert_eq!(error.status(), Some(503));
}

#[tokio::test]
async fn a_byte_for_each_request_is_no_progress() {
    let (server, repository) = open().await;
    let content = fakes::noise("blob", 1 << 20);
    let blob = layer(&content);
    server.put_blob("ns/app", blob.digest.as_str(), content);
    for _ in 0..50 {
        server.fault(Method::GET, "blobs", Fault::Truncate(1));
    }
    let mut reading = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    let error = loop {
        match reading.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it has not ended"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(server.count(Method::GET, "blobs"), 3);
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let page = [" ".repeat(15 << 20), r#"{"tags":["v1"]}"#.to_owned()].concat();
    let (page, asked) = (Bytes::from(page), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&asked);
    let server = serve(move |_| {
        let next = counted.fetch_add(1, Ordering::Relaxed);
        let link = format!("</v2/ns/app/tags/list?last={next}>; rel=next");
        let response = Response::builder().header("link", link);
        let response = response.body(whole(page.clone()));
        async move { Ok(response.expect("a response")) }
    })
    .await;
    let registry = registry_with(server.host(), Credentials::Anonymous, quick());
    let error = registry.repository("ns/app").tags().await.unwrap_err();
    assert!(error.to_string().contains("bytes of pages"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 5);
}
