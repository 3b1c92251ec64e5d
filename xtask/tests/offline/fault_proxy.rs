//! The servers of the tests that break things: each rule meets the requests that it names and spoils what it says, and
//! the watcher sees what is missing.

use std::time::{Duration, Instant};

use fakes::noise;
use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, FaultProxy, PASSWORD, Rule, USER};
use hyper::Method;

use crate::support::client;
use crate::support::images::{built, image};
use crate::support::sync_fixture::{SyncFixture, digest};
use crate::support::watcher::look;

/// A registry with `app:v1`, whose one layer is `noise("layer", 1000)`, and a proxy before it.
async fn behind_a_proxy() -> (FakeRegistry, FaultProxy, String) {
    let registry = FakeRegistry::start(Behavior::default()).await;
    let sample = image("linux/amd64", &[noise("layer", 1000)]);
    sample.place(&registry, "app", "v1");
    let proxy = FaultProxy::before(&registry.host).await;
    let layer = format!("http://{}/v2/app/blobs/{}", proxy.host, sample.blobs[0].0);
    (registry, proxy, layer)
}

/// The body of the answer and its status, or that it broke off.
async fn get(url: &str) -> Option<(u16, Vec<u8>)> {
    let answer = client().get(url).send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.bytes().await.ok()?.to_vec()))
}

#[tokio::test]
async fn a_proxy_passes_on_what_no_rule_spoils() {
    let (registry, proxy, layer) = behind_a_proxy().await;
    let good = noise("layer", 1000).to_vec();
    assert_eq!(get(&layer).await, Some((200, good)));
    let head = client().head(&layer).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "1000");
    assert_eq!(
        (registry.count(Method::GET, "blobs"), proxy.count()),
        (1, 2)
    );
    drop(registry);
    assert_eq!(get(&layer).await, None);
}

#[tokio::test]
async fn each_fault_spoils_what_it_says() {
    let (_registry, proxy, layer) = behind_a_proxy().await;
    let good = noise("layer", 1000).to_vec();
    let mut spoiled = good.clone();
    spoiled[700] ^= 1;
    let slowly = Fault::Drip(100, Duration::from_millis(1));
    for (fault, seen) in [
        (Fault::Truncate(400), None),
        (Fault::Disconnect, None),
        (Fault::CorruptAt(700), Some((200, spoiled))),
        (
            Fault::Respond(503, &[], "busy"),
            Some((503, b"busy".to_vec())),
        ),
        (slowly, Some((200, good.clone()))),
        (
            Fault::Delay(Duration::from_millis(1)),
            Some((200, good.clone())),
        ),
        (
            Fault::Redirect(307, layer.clone()),
            Some((200, good.clone())),
        ),
    ] {
        proxy.rule(Rule::new(fault).method(Method::GET).path("/blobs/").next());
        assert_eq!(get(&layer).await, seen);
        assert_eq!(get(&layer).await, Some((200, good.clone())));
    }
}

#[tokio::test]
async fn a_rule_chooses_by_method_path_number_and_seed() {
    let (_registry, proxy, layer) = behind_a_proxy().await;
    let busy = || Rule::new(Fault::Respond(503, &[], ""));
    proxy.rule(busy().method(Method::PUT));
    proxy.rule(busy().path("/manifests/"));
    proxy.rule(busy().path("/blobs/").nth(3));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(get(&layer).await.unwrap().0);
    }
    assert_eq!(seen, [200, 200, 503, 200]);
    let mut spoiled = [0, 0, 0];
    for (number, seed) in [1, 1, 2].into_iter().enumerate() {
        let (_registry, proxy, layer) = behind_a_proxy().await;
        proxy.rule(busy().share(10, seed));
        for at in 0..64 {
            let is_spoiled = get(&layer).await.unwrap().0 == 503;
            spoiled[number] |= u64::from(is_spoiled) << at;
        }
    }
    assert_eq!(spoiled[0], spoiled[1]);
    assert_ne!(spoiled[0], spoiled[2]);
    assert!((1..20).contains(&spoiled[0].count_ones()), "{spoiled:x?}");
}

#[tokio::test]
async fn the_watcher_names_a_manifest_and_a_blob_that_are_missing() {
    let registry = FakeRegistry::start(Behavior::default()).await;
    let sample = built("index", 100);
    sample.place(&registry, "app", "v1");
    let whole = look(&registry.host, "app").await;
    assert_eq!(whole.missing, [""; 0]);
    assert_eq!(
        whole.tags,
        [("app:v1".to_owned(), sample.digest().to_string())]
    );
    let (blob, child) = (&sample.blobs[0].0, sample.manifests[2].digest());
    registry.remove_blob("app", blob.as_str());
    let missing = look(&registry.host, "app").await.missing;
    assert_eq!(
        missing,
        [format!("{}/app:v1 lacks the blob {blob}", registry.host)]
    );
    registry.remove_manifest("app", child.as_str());
    let missing = look(&registry.host, "app").await.missing;
    assert_eq!(
        missing,
        [format!(
            "{}/app:v1 lacks the manifest {child}",
            registry.host
        )]
    );
}

/// Every copy waits once for longer than a token lives, so that none ends with the token that it began with.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_live_for_two_seconds_are_enough_for_a_copy_that_takes_longer() {
    let behavior = Behavior {
        auth: AuthMode::Tokens,
        token_life: Some(Duration::from_secs(2)),
        ..Behavior::default()
    };
    let source = FakeRegistry::start(Behavior::default()).await;
    let there = FakeRegistry::start(behavior).await;
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("there.io", &there.host)]);
    let published = fixture.publish("source.io/app:v1", &["linux/amd64"]).await;
    let login = format!("there.io: {{username: '{USER}', password: '{PASSWORD}'}}");
    fixture.write("auth.yaml", &login);
    fixture.write("images.yaml", "source.io/app:v1: there.io/team/app");
    let late = || Rule::new(Fault::Delay(Duration::from_millis(2100)));
    there.rule(late().method(Method::POST).next());
    there.rule(late().method(Method::PUT).path("/manifests/").next());
    let began = Instant::now();
    let run = fixture.sync(&["images.yaml", "--auth", "auth.yaml"]).await;
    run.expect(0, &["1 of 1 in place"]);
    assert!(began.elapsed() > Duration::from_millis(4200));
    assert_eq!(digest(&there, "team/app", "v1"), published);
    let issued = there
        .requests()
        .iter()
        .filter(|it| it.target.starts_with("/token"))
        .count();
    assert!(issued >= 3, "{issued} tokens");
}
