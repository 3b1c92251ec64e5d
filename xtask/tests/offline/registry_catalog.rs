//! What repositories a registry holds, as far as it tells.

use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, ListingApi, PASSWORD, Rule, USER};
use hyper::Method;
use xtask::credentials::Credentials;
use xtask::oci::media_type;
use xtask::registry::{Error, Registry};
use xtask::secret::Secret;

use crate::support::client;

/// So many repositories in each of two projects.
async fn with(count: usize, behave: impl FnOnce(&mut Behavior)) -> FakeRegistry {
    let mut behavior = Behavior::default();
    behave(&mut behavior);
    let server = FakeRegistry::start(behavior).await;
    for number in 0..count {
        for project in ["team", "other"] {
            let name = format!("{project}/app-{number:03}");
            server.put_manifest(&name, "v1", media_type::OCI_INDEX, "{}".into());
        }
    }
    server
}

async fn registry(auth: AuthMode, page: usize, count: usize) -> FakeRegistry {
    let behave = |it: &mut Behavior| {
        it.auth = auth;
        it.page = Some(page);
    };
    with(count, behave).await
}

fn user(server: &FakeRegistry) -> Registry {
    let login = Credentials::Basic {
        username: USER.to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
    };
    client::registry(&server.host, login)
}

fn anyone(server: &FakeRegistry) -> Registry {
    client::registry(&server.host, Credentials::Anonymous)
}

#[tokio::test]
async fn every_page_is_read_with_a_token_for_the_catalog() {
    let server = registry(AuthMode::Tokens, 1000, 700).await;
    let names = user(&server).catalog(Some("team")).await.unwrap();
    assert_eq!(names.len(), 1400);
    assert_eq!(names.first().unwrap(), "other/app-000");
    assert_eq!(server.count(Method::GET, "scope=registry%3Acatalog%3A*"), 1);
    assert_eq!(server.count(Method::GET, "/api/"), 0);

    let server = registry(AuthMode::Open, 100, 60).await;
    assert_eq!(anyone(&server).catalog(None).await.unwrap().len(), 120);
    // The first was for pages of 1000.
    assert_eq!(server.count(Method::GET, "_catalog?n=100"), 2);
}

#[tokio::test]
async fn a_list_that_ends_early_is_an_error() {
    let server = registry(AuthMode::Open, 1000, 700).await;
    server.rule(Rule::new(Fault::Respond(404, &[], "")).path("last="));
    let error = anyone(&server).catalog(None).await.unwrap_err();
    assert_eq!(error.status(), Some(404));
    let round = Fault::Respond(
        200,
        &[("link", "</v2/_catalog?n=1000>; rel=\"next\"")],
        r#"{"repositories":["a"]}"#,
    );
    server.rule(Rule::new(round).path("_catalog").next());
    let error = anyone(&server).catalog(None).await.unwrap_err().to_string();
    assert!(error.contains("read before"), "{error}");
    server.rule(
        Rule::new(Fault::Respond(200, &[], "<html>"))
            .path("_catalog")
            .next(),
    );
    let error = anyone(&server).catalog(None).await.unwrap_err().to_string();
    assert!(error.contains("not the list"), "{error}");
}

#[tokio::test]
async fn a_full_page_without_a_link_is_asked_on_from() {
    let server = registry(AuthMode::Open, 1000, 1).await;
    let page = |from: usize, to: usize| -> &'static str {
        let names: Vec<String> = (from..to)
            .map(|number| format!("\"r{number:04}\""))
            .collect();
        Box::leak(format!("{{\"repositories\": [{}]}}", names.join(", ")).into_boxed_str())
    };
    for (from, to) in [(0, 1000), (1000, 2000), (2000, 2007)] {
        server.fault(
            Method::GET,
            "_catalog",
            Fault::Respond(200, &[], page(from, to)),
        );
    }
    assert_eq!(anyone(&server).catalog(None).await.unwrap().len(), 2007);
    assert_eq!(server.count(Method::GET, "_catalog?n=1000&last=r1999"), 1);
}

#[tokio::test]
async fn who_may_not_list_is_denied_and_the_login_is_not_blamed() {
    for status in [401, 403, 404] {
        let server = registry(AuthMode::Tokens, 1000, 1).await;
        server.rule(Rule::new(Fault::Respond(status, &[], "")).path("_catalog"));
        let error = user(&server).catalog(None).await.unwrap_err();
        assert!(!matches!(error, Error::Rejected { .. }), "{error}");
        assert_eq!(error.status(), Some(status));
    }
}

#[tokio::test]
async fn harbor_lists_a_project_page_by_page_for_a_password() {
    let server = with(250, |it| {
        it.auth = AuthMode::Tokens;
        it.listing_api = Some(ListingApi::Harbor);
        it.page = Some(100);
    })
    .await;
    let names = user(&server).catalog(Some("team")).await.unwrap();
    assert_eq!(names.len(), 250);
    assert!(names.iter().all(|it| it.starts_with("team/")));
    let pages = "/api/v2.0/projects/team/repositories?page=";
    assert_eq!(server.count(Method::GET, pages), 3);
    assert_eq!(server.count(Method::GET, "_catalog"), 0);

    // Without a project it is all of them, for whom that is allowed.
    server.behave(|it| it.page = None);
    assert_eq!(user(&server).catalog(None).await.unwrap().len(), 500);
    let error = anyone(&server).catalog(Some("team")).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    let absent = user(&server).catalog(Some("nothing")).await.unwrap_err();
    assert!(matches!(absent, Error::NotFound(_)), "{absent}");

    let short = Fault::Respond(200, &[("x-total-count", "250")], "[]");
    server.rule(Rule::new(short).path("page=2&").next());
    let error = user(&server)
        .catalog(Some("team"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the list ends after 100 of 250 repositories"),
        "{error}"
    );
}

#[tokio::test]
async fn a_password_goes_to_no_token_server_of_another_host_for_a_list() {
    let server = registry(AuthMode::Tokens, 1000, 1).await;
    user(&server).catalog(Some("team")).await.unwrap();
    for request in server.requests() {
        let is_token = request.target.starts_with("/token");
        let given = request.headers.get("authorization");
        let is_basic = given.is_some_and(|it| it.as_bytes().starts_with(b"Basic "));
        assert_eq!(is_basic, is_token, "{}", request.target);
    }
}
