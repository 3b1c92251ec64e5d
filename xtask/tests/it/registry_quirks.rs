//! The registry client against a registry with bad habits: one test for each.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use hyper::Method;
use xtask::registry::{
    Blob, Credentials, Descriptor, Digest, Error, Manifest, Mount, Options, Repository, index_of,
    media,
};
use xtask::secret::Secret;

use crate::support::client::{layer, login, registry, registry_with, tag};
use crate::support::faulty::{Door, Fault, Faulty, Habits, IDENTITY, PASSWORD, USER};

async fn open() -> (Faulty, Repository) {
    with(Habits::default()).await
}

async fn with_tokens() -> (Faulty, Repository) {
    with(Habits {
        door: Door::Tokens,
        ..Habits::default()
    })
    .await
}

async fn with(habits: Habits) -> (Faulty, Repository) {
    let server = Faulty::start(habits).await;
    let repository = registry(&server.host, login(USER, PASSWORD)).repository("ns/app");
    (server, repository)
}

/// One try only, and a stall timeout that a test can wait for.
fn impatient() -> Options {
    Options {
        retries: 0,
        stall_timeout: Duration::from_millis(400),
        ..Options::default()
    }
}

fn body(
    bytes: &'static [u8],
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::iter(bytes.chunks(3).map(|chunk| Ok(Bytes::from_static(chunk))))
}

async fn read(mut blob: Blob) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

const CONTENT: &[u8] = b"the content of a layer";

/// A repository that holds [`CONTENT`].
async fn holding_content(habits: Habits) -> (Faulty, Repository, Descriptor) {
    let (server, repository) = with(habits).await;
    let blob = layer(CONTENT);
    let key = ("ns/app".to_owned(), blob.digest.clone());
    server
        .state()
        .store
        .blobs
        .insert(key, Bytes::from_static(CONTENT));
    (server, repository, blob)
}

// Signing in

#[tokio::test]
async fn many_requests_share_one_challenge_and_one_token() {
    let (server, repository) = with_tokens().await;
    let at = tag("x");
    for found in join_all((0..20).map(|_| repository.head_manifest(&at))).await {
        assert_eq!(found.unwrap(), None);
    }
    assert_eq!(server.count(Method::GET, "/token"), 1);
    assert_eq!(server.count(Method::HEAD, "/manifests/x"), 21);
}

#[tokio::test]
async fn each_repository_and_action_has_its_own_token_and_a_wider_one_serves() {
    let (server, repository) = with_tokens().await;
    let other = registry(&server.host, login(USER, PASSWORD)).repository("ns/other");
    repository.head_manifest(&tag("x")).await.unwrap();
    repository.may_push().await.unwrap();
    repository
        .mount_blob(&Digest::sha256_of(b""), "ns/base")
        .await
        .unwrap();
    other.may_push().await.unwrap();
    other.head_manifest(&tag("x")).await.unwrap();
    let tokens: Vec<String> = server
        .seen()
        .into_iter()
        .map(|seen| seen.target)
        .filter(|target| target.contains("/token"))
        .collect();
    assert_eq!(
        tokens,
        [
            "/token?service=faulty&scope=repository%3Ans%2Fapp%3Apull",
            "/token?service=faulty&scope=repository%3Ans%2Fapp%3Apull%2Cpush",
            "/token?service=faulty&scope=repository%3Ans%2Fapp%3Apull%2Cpush&scope=repository%3Ans%2Fbase%3Apull",
            "/token?service=faulty&scope=repository%3Ans%2Fother%3Apull%2Cpush",
        ]
    );
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_however_many_ask() {
    for door in [Door::Tokens, Door::Basic] {
        let server = Faulty::start(Habits {
            door,
            ..Habits::default()
        })
        .await;
        let registry = registry(&server.host, login(USER, "wrong"));
        let repositories: Vec<Repository> = (0..20)
            .map(|n| registry.repository(&format!("ns/{n}")))
            .collect();
        for outcome in join_all(repositories.iter().map(Repository::may_push)).await {
            assert!(
                matches!(outcome, Err(Error::Rejected { .. })),
                "{outcome:?}"
            );
        }
        let logins = server
            .seen()
            .iter()
            .filter(|seen| seen.headers.contains_key("authorization"))
            .count();
        assert_eq!(logins, 1);
    }
}

#[tokio::test]
async fn who_may_only_read_is_denied_not_rejected() {
    let (server, _) = with_tokens().await;
    let repository = registry(&server.host, login(USER, PASSWORD)).repository("readonly/app");
    let error = repository.may_push().await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("does `{}/readonly` exist", server.host)),
        "{error}"
    );
    assert_eq!(repository.head_manifest(&tag("x")).await.unwrap(), None);
}

#[tokio::test]
async fn an_identity_token_signs_in() {
    let (server, _) = with_tokens().await;
    let identity = Credentials::IdentityToken(Secret::new(IDENTITY.to_owned()));
    registry(&server.host, identity)
        .repository("ns/app")
        .may_push()
        .await
        .unwrap();
    assert_eq!(server.count(Method::POST, "/token"), 1);
}

#[tokio::test]
async fn a_token_that_died_is_replaced() {
    let (server, repository) = with_tokens().await;
    repository.head_manifest(&tag("x")).await.unwrap();
    server.fault(Method::HEAD, "manifests", Fault::Expire);
    assert_eq!(repository.head_manifest(&tag("x")).await.unwrap(), None);
    assert_eq!(server.count(Method::GET, "/token"), 2);
}

#[tokio::test]
async fn a_token_that_died_before_the_commit_repeats_the_commit_only() {
    let (server, repository) = with_tokens().await;
    server.fault(Method::PUT, "uploads", Fault::Expire);
    repository
        .upload_blob(&layer(CONTENT), None, body(CONTENT))
        .await
        .unwrap();
    assert_eq!(server.count(Method::PATCH, "uploads"), 1);
    assert_eq!(server.count(Method::PUT, "uploads"), 2);
}

#[tokio::test]
async fn a_token_that_died_under_the_body_asks_for_the_upload_again() {
    let (server, repository) = with_tokens().await;
    server.fault(Method::PATCH, "uploads", Fault::Expire);
    let error = repository
        .upload_blob(&layer(CONTENT), None, body(CONTENT))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::UploadLost(_)) && error.is_transient(),
        "{error}"
    );
    repository
        .upload_blob(&layer(CONTENT), None, body(CONTENT))
        .await
        .unwrap();
}

// Bad days

#[tokio::test]
async fn a_rate_limit_pauses_the_host() {
    let (server, repository) = open().await;
    let limit = Fault::Answer(429, &[("retry-after", "1")], "slow down");
    server.fault(Method::PUT, "manifests", limit);
    let manifest = index_of(&[], None);
    let at = tag("x");
    let other = async {
        while server.count(Method::PUT, "manifests") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The answer has arrived when the client asks no more; half of the pause is ample for that.
        tokio::time::sleep(Duration::from_millis(500)).await;
        repository.head_manifest(&at).await
    };
    let (put, head) = tokio::join!(repository.put_manifest(&at, &manifest), other);
    put.unwrap();
    head.unwrap();
    let seen = server.seen();
    for later in &seen[1..] {
        assert!(later.at - seen[0].at >= Duration::from_secs(1), "{later:?}");
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn a_limit_of_hours_is_not_waited_out() {
    let (server, repository) = open().await;
    server.fault(
        Method::HEAD,
        "manifests",
        Fault::Answer(429, &[("retry-after", "21600")], ""),
    );
    let error = repository.head_manifest(&tag("x")).await.unwrap_err();
    assert!(
        matches!(error, Error::RateLimited { retry_after: Some(wait), .. } if wait.as_secs() == 21_600),
        "{error}"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_registry_that_stumbles_is_asked_again_but_not_for_ever() {
    let (server, repository) = open().await;
    server.fault(
        Method::GET,
        "manifests/x",
        Fault::Answer(503, &[], "<html>"),
    );
    server.fault(Method::GET, "manifests/x", Fault::Hangup);
    assert_eq!(repository.get_manifest(&tag("x")).await.unwrap(), None);
    assert_eq!(server.count(Method::GET, "manifests/x"), 3);

    for _ in 0..9 {
        server.fault(Method::GET, "manifests/y", Fault::Answer(502, &[], ""));
    }
    let error = repository.get_manifest(&tag("y")).await.unwrap_err();
    assert_eq!((error.status(), error.is_transient()), (Some(502), true));
    assert_eq!(server.count(Method::GET, "manifests/y"), 3);
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_given_up() {
    let (server, _) = open().await;
    server.fault(Method::HEAD, "manifests", Fault::Silence);
    let repository =
        registry_with(&server.host, Credentials::Anonymous, impatient()).repository("a");
    let error = repository.head_manifest(&tag("x")).await.unwrap_err();
    assert!(
        error.to_string().ends_with("no progress for 400ms"),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_upload_is_not_a_dead_one() {
    let (server, _) = open().await;
    let repository =
        registry_with(&server.host, Credentials::Anonymous, impatient()).repository("a");
    let slow = body(CONTENT).then(|chunk| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        chunk
    });
    repository
        .upload_blob(&layer(CONTENT), None, slow)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_body_that_is_too_large_is_a_final_answer() {
    let (server, repository) = open().await;
    server.fault(
        Method::PUT,
        "manifests",
        Fault::Answer(413, &[], "<html>nginx</html>"),
    );
    let error = repository
        .put_manifest(&tag("x"), &index_of(&[], None))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge(_)) && !error.is_transient(),
        "{error}"
    );
    assert_eq!(server.seen().len(), 1);
}

// Manifests

#[tokio::test]
async fn a_digest_that_is_not_stated_is_computed() {
    let (_server, repository) = with(Habits {
        hides_digests: true,
        ..Habits::default()
    })
    .await;
    let manifest = index_of(&[], None);
    assert_eq!(
        &repository.put_manifest(&tag("x"), &manifest).await.unwrap(),
        manifest.digest()
    );
    let head = repository.head_manifest(&tag("x")).await.unwrap();
    assert_eq!(head, Some(manifest.descriptor()));
}

#[tokio::test]
async fn a_manifest_is_asked_for_by_head_alone_when_that_tells_all() {
    let (server, repository) = open().await;
    let manifest = index_of(&[], None);
    repository.put_manifest(&tag("x"), &manifest).await.unwrap();
    repository.head_manifest(&tag("x")).await.unwrap();
    assert_eq!(server.count(Method::GET, ""), 0);
}

#[tokio::test]
async fn a_manifest_that_does_not_have_its_digest_is_not_handed_out() {
    let (server, repository) = open().await;
    let manifest = index_of(&[], None);
    repository.put_manifest(&tag("x"), &manifest).await.unwrap();
    server.fault(Method::GET, "manifests", Fault::Garble);
    assert_eq!(
        repository.get_manifest(&tag("x")).await.unwrap(),
        Some(manifest.clone())
    );
    for _ in 0..3 {
        server.fault(Method::GET, "manifests", Fault::Garble);
    }
    let error = repository
        .get_manifest(&manifest.digest().clone().into())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
}

// Blobs

#[tokio::test]
async fn blobs_on_another_host_are_read_and_written_without_credentials() {
    let habits = Habits {
        door: Door::Tokens,
        stores_elsewhere: true,
        ..Habits::default()
    };
    let (server, repository, blob) = holding_content(habits).await;
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
    let seen = server.seen();
    let elsewhere: Vec<_> = seen.iter().filter(|seen| seen.host == "storage").collect();
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
    let habits = Habits {
        stores_elsewhere: true,
        ..Habits::default()
    };
    let (server, repository, blob) = holding_content(habits).await;
    server.fault(Method::GET, "sig=", Fault::Cut(4));
    server.fault(Method::GET, "sig=", Fault::Cut(5));
    let found = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!(read(found).await.unwrap(), CONTENT);
    let ranges: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| (seen.host, seen.headers.get("range").cloned()))
        .collect();
    let range = |text: &'static str| Some(hyper::header::HeaderValue::from_static(text));
    assert_eq!(
        ranges,
        [
            ("registry", None),
            ("storage", None),
            ("registry", range("bytes=4-")),
            ("storage", range("bytes=4-")),
            ("registry", range("bytes=9-")),
            ("storage", range("bytes=9-")),
        ]
    );
}

#[tokio::test]
async fn a_registry_without_ranges_sends_bytes_again_that_are_dropped() {
    let habits = Habits {
        ignores_ranges: true,
        ..Habits::default()
    };
    let (server, repository, blob) = holding_content(habits).await;
    server.fault(Method::GET, "blobs", Fault::Cut(4));
    let found = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!(read(found).await.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_download_that_makes_no_headway_ends() {
    let (server, repository, blob) = holding_content(Habits::default()).await;
    for _ in 0..9 {
        server.fault(Method::GET, "blobs", Fault::Cut(0));
    }
    let found = repository
        .get_blob(&blob)
        .await
        .unwrap()
        .expect("it is there");
    let error = read(found).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn content_that_is_not_the_blob_is_an_error() {
    let (server, repository, blob) = holding_content(Habits::default()).await;
    server.fault(Method::GET, "blobs", Fault::Garble);
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

// Uploads

#[tokio::test]
async fn an_upload_is_one_plain_patch_and_a_commit_that_keeps_the_query() {
    for absolute_locations in [false, true] {
        let (server, repository) = with(Habits {
            absolute_locations,
            ..Habits::default()
        })
        .await;
        let blob = layer(CONTENT);
        repository
            .upload_blob(&blob, None, body(CONTENT))
            .await
            .unwrap();
        let seen = server.seen();
        let methods: Vec<_> = seen.iter().map(|seen| &seen.method).collect();
        assert_eq!(methods, [Method::POST, Method::PATCH, Method::PUT]);
        assert_eq!(
            seen[1].headers["content-length"],
            CONTENT.len().to_string().as_str()
        );
        assert!(!seen[1].headers.contains_key("content-range"));
        let query = format!("?_state=a%2Fb%3D&digest=sha256%3A{}", blob.digest.hex());
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
    assert!(repository.has_blob(&blob.digest).await.unwrap());
    assert_eq!(server.count(Method::PATCH, ""), 0);
}

#[tokio::test]
async fn a_commit_that_failed_although_the_blob_is_there_has_not_failed() {
    for fault in [Fault::Lie(404), Fault::Lie(500), Fault::Hangup] {
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
        server.fault(Method::PUT, "uploads", Fault::Answer(404, &[], gone));
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
        let habits = Habits {
            door: Door::Tokens,
            mount: Some(status),
            ..Habits::default()
        };
        let (server, repository, blob) = holding_content(habits).await;
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
    let (server, _, blob) = holding_content(Habits {
        door: Door::Tokens,
        ..Habits::default()
    })
    .await;
    let target = registry(&server.host, login(USER, PASSWORD)).repository("ns/target");
    assert!(matches!(
        target.mount_blob(&blob.digest, "ns/app").await.unwrap(),
        Mount::Done
    ));
    assert!(target.has_blob(&blob.digest).await.unwrap());
}

// Lists

#[tokio::test]
async fn tags_are_listed_to_the_last_page() {
    let (server, repository) = with(Habits {
        page: Some(2),
        ..Habits::default()
    })
    .await;
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        repository
            .put_manifest(&tag(name), &index_of(&[], None))
            .await
            .unwrap();
    }
    let tags: Vec<String> = repository
        .tags()
        .await
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(tags, names);
    assert_eq!(server.count(Method::GET, "tags/list"), 3);
}

#[tokio::test]
async fn referrers_are_found_with_the_api_and_without() {
    for lists_referrers in [true, false] {
        let (server, repository) = with(Habits {
            lists_referrers,
            ..Habits::default()
        })
        .await;
        let subject = index_of(&[], None);
        let signature = serde_json::json!({"schemaVersion": 2, "config": layer(b"{}"), "layers": [],
            "subject": subject.descriptor()});
        let signature = Manifest::new(media::OCI_MANIFEST, signature.to_string().into());
        repository
            .put_manifest(&signature.digest().clone().into(), &signature)
            .await
            .unwrap();
        if !lists_referrers {
            assert_eq!(repository.referrers(subject.digest()).await.unwrap(), []);
            let fallback = format!("sha256-{}", subject.digest().hex());
            let index = index_of(&[signature.descriptor()], None);
            repository
                .put_manifest(&tag(&fallback), &index)
                .await
                .unwrap();
        }
        let found = repository.referrers(subject.digest()).await.unwrap();
        assert_eq!(found, [signature.descriptor()]);
        assert!(server.count(Method::GET, "/referrers/") > 0);
    }
}

#[tokio::test]
async fn an_upload_that_cannot_be_cancelled_was_still_allowed() {
    let (server, repository) = open().await;
    repository.may_push().await.unwrap();
    assert_eq!(server.count(Method::DELETE, "uploads"), 1);
}
