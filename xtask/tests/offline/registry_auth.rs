//! The registry client signing in: one test for each way that registries differ in it.

use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, IDENTITY, PASSWORD, USER};
use futures_util::future::join_all;
use hyper::Method;
use xtask::credentials::Credentials;
use xtask::oci::Digest;
use xtask::registry::{Error, Mount, Repository};
use xtask::secret::Secret;

use crate::support::client::{CONTENT, body, layer, login, registry, serving, tag};

async fn with_tokens() -> (FakeRegistry, Repository) {
    serving(Behavior {
        auth: AuthMode::Tokens,
        ..Behavior::default()
    })
    .await
}

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
    repository.check_push_access().await.unwrap();
    repository
        .mount_blob(&Digest::sha256_of(b""), "ns/base")
        .await
        .unwrap();
    other.check_push_access().await.unwrap();
    other.head_manifest(&tag("x")).await.unwrap();
    let tokens: Vec<String> = server
        .requests()
        .into_iter()
        .map(|seen| seen.target)
        .filter(|target| target.contains("/token"))
        .collect();
    assert_eq!(
        tokens,
        [
            "/token?service=fake-registry&scope=repository%3Ans%2Fapp%3Apull",
            "/token?service=fake-registry&scope=repository%3Ans%2Fapp%3Apull%2Cpush",
            "/token?service=fake-registry&scope=repository%3Ans%2Fapp%3Apull%2Cpush&scope=repository%3Ans%2Fbase%3Apull",
            "/token?service=fake-registry&scope=repository%3Ans%2Fother%3Apull%2Cpush",
        ]
    );
}

#[tokio::test]
async fn a_token_is_asked_for_what_the_challenge_calls_the_repository() {
    let server = FakeRegistry::start(Behavior {
        auth: AuthMode::TokensOfProject,
        ..Behavior::default()
    })
    .await;
    let repository = registry(&server.host, login(USER, PASSWORD)).repository("app");
    repository.head_manifest(&tag("x")).await.unwrap();
    repository.check_push_access().await.unwrap();
    assert_eq!(server.count(Method::GET, "/token"), 2);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_however_many_ask() {
    for auth in [AuthMode::Tokens, AuthMode::Basic] {
        let server = FakeRegistry::start(Behavior {
            auth,
            ..Behavior::default()
        })
        .await;
        let registry = registry(&server.host, login(USER, "wrong"));
        let repositories: Vec<Repository> = (0..20)
            .map(|n| registry.repository(&format!("ns/{n}")))
            .collect();
        for outcome in join_all(repositories.iter().map(Repository::check_push_access)).await {
            assert!(
                matches!(outcome, Err(Error::Rejected { .. })),
                "{outcome:?}"
            );
        }
        let logins = server
            .requests()
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
    let error = repository.check_push_access().await.unwrap_err();
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
async fn many_denials_at_once_do_not_chase_each_others_tokens() {
    let (server, _) = with_tokens().await;
    let repository = registry(&server.host, login(USER, PASSWORD)).repository("readonly/app");
    for outcome in join_all((0..20).map(|_| repository.check_push_access())).await {
        assert!(matches!(outcome, Err(Error::Denied { .. })), "{outcome:?}");
    }
    assert!(server.count(Method::POST, "uploads") <= 3 * 20);
}

#[tokio::test]
async fn an_identity_token_signs_in() {
    let (server, _) = with_tokens().await;
    let identity = Credentials::IdentityToken(Secret::new(IDENTITY.to_owned()));
    registry(&server.host, identity)
        .repository("ns/app")
        .check_push_access()
        .await
        .unwrap();
    assert_eq!(server.count(Method::POST, "/token"), 1);
}

#[tokio::test]
async fn a_token_that_died_is_replaced() {
    let (server, repository) = with_tokens().await;
    repository.head_manifest(&tag("x")).await.unwrap();
    server.fault(Method::HEAD, "manifests", Fault::ExpireTokens);
    assert_eq!(repository.head_manifest(&tag("x")).await.unwrap(), None);
    assert_eq!(server.count(Method::GET, "/token"), 2);
}

#[tokio::test]
async fn a_token_that_died_before_the_commit_repeats_the_commit_only() {
    let (server, repository) = with_tokens().await;
    server.fault(Method::PUT, "uploads", Fault::ExpireTokens);
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
    server.fault(Method::PATCH, "uploads", Fault::ExpireTokens);
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

#[tokio::test]
async fn a_token_endpoint_that_stumbles_is_asked_again() {
    let (server, repository) = with_tokens().await;
    let limit = Fault::Respond(429, &[("retry-after", "0")], "slow down");
    server.fault(Method::GET, "/token", limit);
    server.fault(Method::GET, "/token", Fault::Disconnect);
    assert_eq!(repository.head_manifest(&tag("x")).await.unwrap(), None);
    assert_eq!(server.count(Method::GET, "/token"), 3);
}

#[tokio::test]
async fn a_denial_to_a_request_without_credentials_is_not_about_them() {
    let (server, repository) = serving(Behavior::default()).await;
    server.fault(Method::HEAD, "manifests", Fault::Respond(403, &[], "no"));
    let error = repository.head_manifest(&tag("x")).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert_eq!(repository.head_manifest(&tag("x")).await.unwrap(), None);
}

#[tokio::test]
async fn a_repository_that_the_token_endpoint_forbids_fails_alone() {
    let (server, repository) = with_tokens().await;
    let registry = registry(&server.host, login(USER, PASSWORD));
    let forbidden = registry.repository("forbidden/app");
    for _ in 0..3 {
        let error = forbidden.head_manifest(&tag("x")).await.unwrap_err();
        assert!(matches!(error, Error::Denied { .. }), "{error}");
    }
    // For it, and once for none, which tells that the login is right.
    assert_eq!(server.count(Method::GET, "/token"), 2);
    let other = registry.repository("ns/app");
    assert_eq!(other.head_manifest(&tag("x")).await.unwrap(), None);
    drop(repository);
}

#[tokio::test]
async fn what_is_hidden_is_found_with_the_login_that_v2_asks_for() {
    let hidden = || Behavior {
        auth: AuthMode::BasicHidden,
        ..Behavior::default()
    };
    let (server, repository) = serving(hidden()).await;
    let blob = layer(CONTENT);
    repository
        .upload_blob(&blob, None, body(CONTENT))
        .await
        .unwrap();
    assert!(repository.has_blob(&blob).await.unwrap());
    assert_eq!(server.count(Method::GET, "/v2/"), 2);

    let wrong = registry(&server.host, login(USER, "wrong")).repository("ns/app");
    for _ in 0..2 {
        let error = wrong.has_blob(&blob).await.unwrap_err();
        assert!(matches!(error, Error::Rejected { .. }), "{error}");
    }
    let anonymous = registry(&server.host, Credentials::Anonymous).repository("ns/app");
    assert!(!anonymous.has_blob(&blob).await.unwrap());
}

#[tokio::test]
async fn a_reader_who_is_answered_has_not_proven_the_login() {
    let to_push = Behavior {
        auth: AuthMode::BasicToPush,
        mount: Some(401),
        ..Behavior::default()
    };
    let (server, repository) = serving(to_push).await;
    let digest = Digest::sha256_of(CONTENT);
    // A refused mount says nothing of the login either.
    let mount = repository.mount_blob(&digest, "ns/base").await.unwrap();
    assert!(matches!(mount, Mount::Declined(None)));
    assert!(!repository.check_login().await.unwrap());
    repository.check_push_access().await.unwrap();
    assert!(repository.check_login().await.unwrap());

    let wrong = registry(&server.host, login(USER, "wrong")).repository("ns/app");
    assert!(!wrong.check_login().await.unwrap());
    let error = wrong.check_push_access().await.unwrap_err();
    assert!(matches!(error, Error::Rejected { .. }), "{error}");
}
