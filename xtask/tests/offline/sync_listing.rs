//! Listings that give digests by the page: what they save, and what they are not believed.

use std::collections::HashMap;

use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, ListingApi, PASSWORD, Rule, USER};
use hyper::Method;
use hyper::header::AUTHORIZATION;
use serde_json::Value;
use xtask::oci::Digest;

use crate::support::images::{Sample, built};
use crate::support::sync_fixture::{SyncFixture, digest};

const APP: &str = "team/app";

/// As registries with such a listing are: for tokens only.
async fn registry(listing_api: Option<ListingApi>) -> FakeRegistry {
    FakeRegistry::start(Behavior {
        auth: AuthMode::Tokens,
        listing_api,
        ..Behavior::default()
    })
    .await
}

/// A source and a destination with logins.
struct Pair {
    source: FakeRegistry,
    there: FakeRegistry,
    fixture: SyncFixture,
}

impl Pair {
    async fn new(source: Option<ListingApi>, there: Option<ListingApi>) -> Pair {
        let (source, there) = (registry(source).await, registry(there).await);
        let hosts = [("source.io", &*source.host), ("one.io", &*there.host)];
        let fixture = SyncFixture::between(&hosts);
        let login = format!("{{username: '{USER}', password: '{PASSWORD}'}}");
        let auth = format!("source.io: {login}\none.io: {login}\n");
        fixture.write("auth.yaml", &auth);
        fixture.write("images.yaml", "source.io/team/app: one.io/team/app");
        Pair {
            source,
            there,
            fixture,
        }
    }

    /// Puts an image there for each of so many tags, on both sides.
    fn place(&self, count: usize) {
        for tag in (0..count).map(|it| format!("v{it}")) {
            let sample = built(&tag, 10);
            sample.place(&self.source, APP, &tag);
            sample.place(&self.there, APP, &tag);
        }
    }

    /// The status of each tag after a run with `--listing HOW`.
    async fn statuses(&self, how: &str) -> HashMap<String, String> {
        let (auth, report) = (["--auth", "auth.yaml"], ["--report", "report.json"]);
        let arguments = [&["images.yaml", "--listing", how], &auth[..], &report[..]].concat();
        self.fixture.sync(&arguments).await.expect(0, &[]);
        let report = self.fixture.report("report.json");
        let images = report["images"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        images
            .map(|it| (text(&it["tags"][0]), text(&it["status"])))
            .collect()
    }
}

/// A tag's image that is not the one on both sides.
fn moved(tag: &str) -> (Sample, Digest) {
    let sample = built(&format!("{tag} moved"), 10);
    let digest = sample.root().digest().clone();
    (sample, digest)
}

fn heads(registry: &FakeRegistry) -> usize {
    registry.count(Method::HEAD, "/manifests/")
}

fn pages(registry: &FakeRegistry) -> usize {
    registry.count(Method::GET, "/_tags") + registry.count(Method::GET, "/artifacts")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_do_costs_a_page_for_a_hundred_tags() {
    for api in [ListingApi::Azure, ListingApi::Harbor] {
        let pair = Pair::new(Some(api), Some(api)).await;
        pair.place(200);
        let statuses = pair.statuses("auto").await;
        assert_eq!(statuses.len(), 200);
        assert!(statuses.values().all(|it| it == "equal"), "{statuses:?}");
        for registry in [&pair.source, &pair.there] {
            let requests = registry.requests();
            let seen: Vec<_> = requests.iter().map(|it| &it.target).collect();
            assert_eq!((heads(registry), pages(registry)), (0, 2), "{seen:#?}");
            // The others sign in, list tags, and ask once for referrers.
            assert!(seen.len() <= 12, "{seen:#?}");
            let mut listings = requests.iter().filter(|it| {
                let login = it.headers.get(AUTHORIZATION).map(|it| it.as_bytes());
                let login = login.unwrap_or_default();
                let scheme: &[u8] = match api {
                    ListingApi::Azure => b"Bearer ",
                    ListingApi::Harbor => b"Basic ",
                };
                !it.target.starts_with("/v2/") && login.starts_with(scheme)
            });
            assert!(listings.by_ref().count() >= 2, "{seen:#?}");
        }
        pair.statuses("tags").await;
        assert_eq!((heads(&pair.source), pages(&pair.source)), (200, 2));
        assert_eq!((heads(&pair.there), pages(&pair.there)), (200, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_without_a_listing_is_asked_for_its_tags() {
    let azure = Some(ListingApi::Azure);
    for (source, there) in [(azure, None), (None, azure)] {
        let pair = Pair::new(source, there).await;
        pair.place(12);
        let statuses = pair.statuses("auto").await;
        assert!(statuses.values().all(|it| it == "equal"), "{statuses:?}");
        let asked = |api: Option<ListingApi>| if api.is_some() { 0 } else { 12 };
        assert_eq!(heads(&pair.source), asked(source));
        assert_eq!(heads(&pair.there), asked(there));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_tags_are_not_worth_a_page() {
    let harbor = Some(ListingApi::Harbor);
    let pair = Pair::new(harbor, harbor).await;
    pair.place(3);
    pair.statuses("auto").await;
    assert_eq!((heads(&pair.source), pages(&pair.source)), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_that_the_listing_lacks_or_gets_wrong_are_asked_for() {
    let azure = Some(ListingApi::Azure);
    let pair = Pair::new(azure, azure).await;
    pair.place(12);
    for registry in [&pair.source, &pair.there] {
        registry.behave(|it| {
            let odd = [None, Some("sha256:short"), Some("")];
            let tags = ["v1", "v2", "v3"].map(str::to_owned).into_iter();
            let odd = odd.map(|it| it.map(str::to_owned));
            it.listed_instead = tags.zip(odd).collect();
        });
    }
    let statuses = pair.statuses("auto").await;
    assert!(statuses.values().all(|it| it == "equal"), "{statuses:?}");
    assert_eq!((heads(&pair.source), heads(&pair.there)), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_comes_from_the_tag_and_not_from_a_late_listing() {
    let azure = Some(ListingApi::Azure);
    let pair = Pair::new(azure, azure).await;
    pair.place(12);
    let before = digest(&pair.source, APP, "v1").to_string();
    // Two tags have moved at the source, whose listing is late; the destination lacks one of them.
    let ((first, first_digest), (second, second_digest)) = (moved("v1"), moved("v2"));
    let late = digest(&pair.source, APP, "v2").to_string();
    first.place(&pair.source, APP, "v1");
    second.place(&pair.source, APP, "v2");
    pair.there.remove_manifest(APP, "v2");
    pair.source.behave(|it| {
        let told = [("v1", &before), ("v2", &late)];
        let told = told.map(|(tag, digest)| (tag.to_owned(), Some(digest.clone())));
        it.listed_instead = told.into();
    });
    let statuses = pair.statuses("auto").await;
    assert_eq!(statuses["v2"], "created");
    assert_eq!(digest(&pair.there, APP, "v2"), second_digest);
    // Late by one run: the next one sees it.
    assert_eq!(statuses["v1"], "equal");
    pair.source.behave(|it| it.listed_instead.clear());
    assert_eq!(pair.statuses("auto").await["v1"], "updated");
    assert_eq!(digest(&pair.there, APP, "v1"), first_digest);
}

/// The known risk, for which `tags` is the default.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_whose_listing_is_wrong_is_seen_tag_by_tag_alone() {
    let harbor = Some(ListingApi::Harbor);
    let pair = Pair::new(harbor, harbor).await;
    pair.place(12);
    let (sample, moved) = moved("v1");
    sample.place(&pair.source, APP, "v1");
    let claimed = moved.to_string();
    pair.there.behave(|it| {
        it.listed_instead.insert("v1".to_owned(), Some(claimed));
    });
    assert_eq!(pair.statuses("auto").await["v1"], "equal");
    assert_ne!(digest(&pair.there, APP, "v1"), moved);
    assert_eq!(pair.statuses("tags").await["v1"], "updated");
    assert_eq!(digest(&pair.there, APP, "v1"), moved);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_answers_anything_else_is_left_alone() {
    let odd = [
        Fault::Respond(500, &[], "busy\u{1b}[2J"),
        Fault::Respond(401, &[], ""),
        Fault::Respond(404, &[], r#"{"errors": []}"#),
        Fault::Respond(200, &[], "<html>sign in</html>"),
        Fault::Respond(200, &[], r#"{"tags": "none"}"#),
        Fault::Disconnect,
    ];
    for fault in odd {
        let pair = Pair::new(Some(ListingApi::Azure), None).await;
        let rule = Rule::new(fault).path("/_tags");
        pair.source.rule(rule);
        pair.place(12);
        let arguments = "images.yaml --listing auto --auth auth.yaml --retries 0 -vv";
        let arguments: Vec<_> = arguments.split(' ').collect();
        let run = pair.fixture.sync(&arguments).await;
        run.expect(0, &["12 of 12 in place"]);
        assert_eq!(heads(&pair.source), 12);
        let told = run.stderr.matches("is asked tag by tag").count();
        assert_eq!(told, 1, "{run}");
        assert!(!run.stderr.contains('\u{1b}'), "{run}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_refuses_its_listings_is_soon_asked_for_no_more() {
    let pair = Pair::new(Some(ListingApi::Harbor), None).await;
    let denied = Fault::Respond(403, &[], "");
    pair.source.rule(Rule::new(denied).path("/artifacts"));
    let mut images = String::new();
    for number in 0..12 {
        let name = format!("team/app{number}");
        for tag in ["v1", "v2", "v3", "v4"] {
            let sample = built(&format!("{name}{tag}"), 10);
            sample.place(&pair.source, &name, tag);
            sample.place(&pair.there, &name, tag);
        }
        images += &format!("source.io/{name}: one.io/{name}\n");
    }
    pair.fixture.write("images.yaml", &images);
    let arguments = ["images.yaml", "--listing", "auto", "--auth", "auth.yaml"];
    let run = pair.fixture.sync(&arguments).await;
    run.expect(0, &["48 of 48 in place"]);
    // Three in a row, and those that were on their way.
    assert!(
        (3..=6).contains(&pages(&pair.source)),
        "{}",
        pages(&pair.source)
    );
    assert_eq!(heads(&pair.source), 48);
}

/// What docs/size.md counts with.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_nothing_to_do_costs_what_the_page_on_size_says() {
    const REPOSITORIES: usize = 10;
    const TAGS: usize = 5;
    const IMAGES: usize = REPOSITORIES * TAGS;
    const LOOK: usize = 2;
    let azure = Some(ListingApi::Azure);
    for (how, has_referrers) in [("tags", false), ("tags", true), ("auto", false)] {
        let pair = Pair::new(azure, azure).await;
        pair.source.behave(|it| it.lists_referrers = has_referrers);
        let mut images = String::new();
        for number in 0..REPOSITORIES {
            let name = format!("team/app{number}");
            for tag in (0..TAGS).map(|it| format!("v{it}")) {
                let sample = built(&format!("{name}{tag}"), 10);
                sample.place(&pair.source, &name, &tag);
                sample.place(&pair.there, &name, &tag);
            }
            images += &format!("source.io/{name}: one.io/{name}\n");
        }
        pair.fixture.write("images.yaml", &images);
        pair.statuses(how).await;
        let (asked, listed) = match how {
            "tags" => (IMAGES, 0),
            _ => (0, REPOSITORIES),
        };
        let referrers = if has_referrers { IMAGES } else { REPOSITORIES };
        let tokens = |registry: &FakeRegistry| registry.count(Method::GET, "/oauth2/token");
        let besides_tokens = |registry: &FakeRegistry| registry.requests().len() - tokens(registry);
        assert_eq!((heads(&pair.source), pages(&pair.source)), (asked, listed));
        assert_eq!((heads(&pair.there), pages(&pair.there)), (asked, listed));
        let source = asked + listed + REPOSITORIES + referrers + LOOK;
        assert_eq!(besides_tokens(&pair.source), source);
        assert_eq!(besides_tokens(&pair.there), asked + listed + LOOK);
        // Azure's listing is for a token of its own; where nothing else is asked, that is the only one.
        for registry in [&pair.source, &pair.there] {
            let tokens = tokens(registry);
            let expected = REPOSITORIES..=REPOSITORIES + listed;
            assert!(expected.contains(&tokens), "{tokens}");
        }
    }
}

/// What docs/size.md counts with.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_image_of_two_platforms_costs_what_the_page_on_size_says() {
    let pair = Pair::new(None, None).await;
    let sample = built("v1", 10);
    sample.place(&pair.source, APP, "v1");
    assert_eq!(pair.statuses("tags").await["v1"], "created");
    // As BuildKit makes it: an index, two images, and an attestation for each.
    let (manifests, blobs) = (sample.manifests.len(), pair.source.blobs().len());
    assert_eq!((manifests, blobs), (5, 7));
    // Each may count as a pull at Docker Hub.
    assert_eq!(pair.source.count(Method::GET, "/manifests/"), manifests);
    let writes = [Method::POST, Method::PATCH, Method::PUT];
    let writes = writes.map(|method| pair.there.count(method, "/v2/"));
    // A small blob comes with its commit.
    assert_eq!(writes.iter().sum::<usize>(), 2 * blobs + manifests);
}
