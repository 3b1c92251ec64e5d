//! The registry client on a registry's bad days, its manifests and its lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fakes::registry::{Behavior, FakeRegistry, Fault, Rule};
use futures_util::stream::StreamExt as _;
use hyper::Method;
use xtask::credentials::Credentials;
use xtask::oci::{Manifest, index_of, media_type};
use xtask::registry::{Error, Options, Stall};

use crate::support::client::{CONTENT, body, layer, open, quick, registry_with, serving, tag};

/// One try only, and stall limits that a test can wait for.
fn impatient(request: u64, blob: u64) -> Options {
    Options {
        retries: 0,
        stall: Stall {
            request: Duration::from_millis(request),
            blob: Duration::from_millis(blob),
        },
        ..quick()
    }
}

#[tokio::test]
async fn a_rate_limit_pauses_the_host() {
    let (server, _) = open().await;
    let limit = Fault::Respond(429, &[("retry-after", "1")], "slow down");
    server.fault(Method::PUT, "manifests", limit);
    let options = impatient(60_000, 60_000);
    let host = registry_with(&server.host, Credentials::Anonymous, options);
    let [one, other] = ["one", "other"].map(|path| host.repository(path));
    let at = tag("x");
    let limited = one.put_manifest(&at, &index_of(&[])).await;
    assert!(matches!(limited, Err(Error::RateLimited(_))), "{limited:?}");
    let (head, tags) = tokio::join!(other.head_manifest(&at), one.head_manifest(&at));
    head.and(tags).unwrap();
    let seen = server.requests();
    for later in &seen[1..] {
        assert!(later.at - seen[0].at >= Duration::from_secs(1), "{later:?}");
    }
    assert_eq!(server.count(Method::HEAD, "manifests"), 2);
}

#[tokio::test]
async fn a_limit_of_hours_is_not_waited_out() {
    let (server, repository) = open().await;
    server.fault(
        Method::HEAD,
        "manifests",
        Fault::Respond(429, &[("retry-after", "21600")], ""),
    );
    let error = repository.head_manifest(&tag("x")).await.unwrap_err();
    assert!(
        matches!(&error, Error::RateLimited(response)
            if response.retry_after == Some(Duration::from_secs(21_600))),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_registry_that_stumbles_is_asked_again_but_not_for_ever() {
    let (server, repository) = open().await;
    server.fault(
        Method::GET,
        "manifests/x",
        Fault::Respond(503, &[], "<html>"),
    );
    server.fault(Method::GET, "manifests/x", Fault::Disconnect);
    assert_eq!(repository.get_manifest(&tag("x")).await.unwrap(), None);
    assert_eq!(server.count(Method::GET, "manifests/x"), 3);

    for _ in 0..9 {
        server.fault(Method::GET, "manifests/y", Fault::Respond(502, &[], ""));
    }
    let error = repository.get_manifest(&tag("y")).await.unwrap_err();
    assert_eq!((error.status(), error.is_transient()), (Some(502), true));
    assert_eq!(server.count(Method::GET, "manifests/y"), 3);
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_given_up() {
    let (server, _) = open().await;
    server.fault(Method::HEAD, "manifests", Fault::Silence);
    let options = impatient(50, 60_000);
    let repository = registry_with(&server.host, Credentials::Anonymous, options).repository("a");
    let error = repository.head_manifest(&tag("x")).await.unwrap_err();
    assert!(
        error.to_string().ends_with("no progress for 50ms"),
        "{error}"
    );
}

#[tokio::test]
async fn a_blob_may_pause_for_longer_than_a_small_request() {
    let (server, _) = open().await;
    server.fault(Method::PATCH, "uploads", Fault::Silence);
    let options = impatient(60_000, 50);
    let repository = registry_with(&server.host, Credentials::Anonymous, options).repository("a");
    let blob = layer(CONTENT);
    let upload = repository.upload_blob(&blob, None, body(CONTENT));
    let error = upload.await.unwrap_err().to_string();
    assert!(error.contains("no progress for 50ms"), "{error}");
}

#[tokio::test]
async fn a_slow_upload_is_not_a_dead_one() {
    let (server, _) = open().await;
    // Where the machine took longer for the rest than half of the limit, a failure means nothing.
    for limit in (0..8).map(|doubled| 50 << doubled) {
        let options = impatient(60_000, limit);
        let host = registry_with(&server.host, Credentials::Anonymous, options);
        let (repository, layer) = (host.repository("a"), layer(CONTENT));
        let pause = Duration::from_millis(limit / 4);
        let pauses = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&pauses);
        let slow = body(CONTENT).then(move |chunk| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(pause).await;
                chunk
            }
        });
        let start = Instant::now();
        let uploaded = repository.upload_blob(&layer, None, slow).await;
        let rest = start.elapsed() - pause * pauses.load(Ordering::Relaxed).saturating_sub(1);
        if uploaded.is_ok() || rest < pause * 2 {
            return uploaded.unwrap();
        }
    }
    panic!("the machine was too busy");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_a_final_answer() {
    let (server, repository) = open().await;
    server.fault(
        Method::PUT,
        "manifests",
        Fault::Respond(413, &[], "<html>nginx</html>"),
    );
    let error = repository
        .put_manifest(&tag("x"), &index_of(&[]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge(_)) && !error.is_transient(),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_digest_that_is_not_stated_is_computed() {
    let (_server, repository) = serving(Behavior {
        hides_digests: true,
        ..Behavior::default()
    })
    .await;
    let manifest = index_of(&[]);
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
    let manifest = index_of(&[]);
    repository.put_manifest(&tag("x"), &manifest).await.unwrap();
    repository.head_manifest(&tag("x")).await.unwrap();
    assert_eq!(server.count(Method::GET, ""), 0);
}

#[tokio::test]
async fn a_manifest_that_does_not_have_its_digest_is_not_handed_out() {
    let (server, repository) = open().await;
    let manifest = index_of(&[]);
    repository.put_manifest(&tag("x"), &manifest).await.unwrap();
    server.fault(Method::GET, "manifests", Fault::Corrupt);
    assert_eq!(
        repository.get_manifest(&tag("x")).await.unwrap(),
        Some(manifest.clone())
    );
    for _ in 0..3 {
        server.fault(Method::GET, "manifests", Fault::Corrupt);
    }
    let error = repository
        .get_manifest(&manifest.digest().clone().into())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
}

#[tokio::test]
async fn tags_are_listed_to_the_last_page() {
    let (server, repository) = serving(Behavior {
        page: Some(2),
        ..Behavior::default()
    })
    .await;
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        repository
            .put_manifest(&tag(name), &index_of(&[]))
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
async fn a_full_page_without_a_link_is_not_taken_for_the_whole_list() {
    let page = |from: usize, to: usize| -> &'static str {
        let tags: Vec<String> = (from..to)
            .map(|number| format!("\"t{number:04}\""))
            .collect();
        Box::leak(format!("{{\"tags\": [{}]}}", tags.join(", ")).into_boxed_str())
    };
    // The rest follows; the next question is answered by the same page, or refused.
    let (full, rest) = (Fault::Respond(200, &[], page(0, 1000)), page(1000, 1007));
    for (second, expected) in [
        (Fault::Respond(200, &[], rest), 1007),
        (full.clone(), 1000),
        (Fault::Respond(400, &[], ""), 1000),
    ] {
        let server = FakeRegistry::start(Behavior::default()).await;
        let client = registry_with(&server.host, Credentials::Anonymous, Options::default());
        let repository = client.repository("ns/app");
        server.fault(Method::GET, "tags/list", full.clone());
        server.fault(Method::GET, "tags/list", second);
        assert_eq!(repository.tags().await.unwrap().len(), expected);
        let asked = server.requests();
        assert!(asked[1].target.ends_with("n=1000&last=t0999"));
    }

    // Where the rest has a link again, that is not an end.
    let server = FakeRegistry::start(Behavior::default()).await;
    let client = registry_with(&server.host, Credentials::Anonymous, Options::default());
    let next = &[(
        "link",
        "</v2/ns/app/tags/list?n=1000&last=t1006>; rel=\"next\"",
    )];
    for answer in [
        full,
        Fault::Respond(200, next, rest),
        Fault::Respond(404, &[], ""),
    ] {
        server.fault(Method::GET, "tags/list", answer);
    }
    let listed = client.repository("ns/app").tags().await;
    assert!(listed.is_err(), "{listed:?}");
}

#[tokio::test]
async fn an_answer_without_what_was_asked_for_is_no_empty_list() {
    for said in [
        "{}",
        r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#,
        "[]",
        "null",
        "<html>",
    ] {
        let server = FakeRegistry::start(Behavior::default()).await;
        let client = registry_with(&server.host, Credentials::Anonymous, Options::default());
        let repository = client.repository("ns/app");
        let rule = |path| Rule::new(Fault::Respond(200, &[], said)).path(path);
        let paths = ["tags/list", "/referrers/", "_catalog"];
        paths.into_iter().for_each(|path| server.rule(rule(path)));
        let digest = index_of(&[]).digest().clone();
        let errors = [
            repository.tags().await.err(),
            repository.referrers_by_api(&digest).await.err(),
            client.catalog(None).await.err(),
        ];
        for error in errors {
            let error = error
                .unwrap_or_else(|| panic!("{said} was taken"))
                .to_string();
            assert!(error.contains("not the list that was asked for"), "{error}");
        }
    }
}

#[tokio::test]
async fn referrers_are_found_with_the_api_and_without() {
    for lists_referrers in [true, false] {
        let (server, repository) = serving(Behavior {
            lists_referrers,
            ..Behavior::default()
        })
        .await;
        let subject = index_of(&[]);
        let signature = serde_json::json!({"schemaVersion": 2, "config": layer(b"{}"), "layers": [],
            "subject": subject.descriptor()});
        let signature = Manifest::new(media_type::OCI_MANIFEST, signature.to_string().into());
        repository
            .put_manifest(&signature.digest().clone().into(), &signature)
            .await
            .unwrap();
        if !lists_referrers {
            assert_eq!(repository.referrers(subject.digest()).await.unwrap(), []);
            let fallback = format!("sha256-{}", subject.digest().hex());
            let index = index_of(&[signature.descriptor()]);
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
    // As GitHub.
    server.fault(Method::DELETE, "uploads", Fault::Respond(405, &[], ""));
    server.fault(Method::GET, "uploads", Fault::Respond(405, &[], ""));
    repository.check_push_access().await.unwrap();
    assert_eq!(server.count(Method::DELETE, "uploads"), 1);
}
