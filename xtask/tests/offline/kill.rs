//! The program is killed in the middle, at points that a seed chooses, and run again to the end; or much of what it asks
//! goes wrong. At no moment does a tag name something that is not all there.
//!
//! `CHAOS_SEED=1 cargo test --test offline kill` takes other points.

use fakes::registry::{Behavior, FakeRegistry, FaultProxy};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::process::Command;
use xtask::oci::Digest;

use crate::support::chaos::{dice, seed, spoil};
use crate::support::images::{self, built, image};
use crate::support::release_fixture::{PREFIXES, ReleaseFixture, TAGS};
use crate::support::sync_fixture::SyncFixture;
use crate::support::watcher::{Watcher, look};
use crate::support::workspace::Run;

/// Of each of the two commands.
const POINTS: usize = 20;

/// The proxies before registries, and the repositories that are watched behind them.
struct Watched {
    proxies: Vec<FaultProxy>,
    places: Vec<(String, String)>,
}

impl Watched {
    async fn before(places: Vec<(String, String)>) -> Watched {
        let mut proxies = Vec::new();
        for (host, _) in &places {
            proxies.push(FaultProxy::before(host).await);
        }
        Watched { proxies, places }
    }

    /// Runs the program until a proxy has seen so many requests, and kills it there: whether it was still at work.
    /// Nothing may be incomplete.
    async fn kill(&self, mut command: Command, proxy: usize, requests: usize) -> bool {
        let watcher = Watcher::of(&self.places);
        let mut child = command.spawn().unwrap();
        let is_killed = tokio::select! {
            () = self.proxies[proxy].arrived(requests) => true,
            // A run may need fewer requests than the one that was counted.
            _ = child.wait() => false,
        };
        child.kill().await.unwrap();
        let mut missing = watcher.end().await;
        for (host, repository) in &self.places {
            missing.extend(look(host, repository).await.missing);
        }
        assert_eq!(missing, [""; 0], "killed at {requests} of proxy {proxy}");
        is_killed
    }

    /// Runs the program to its end, which has to be good.
    async fn finish(&self, mut command: Command) {
        let watcher = Watcher::of(&self.places);
        Run::of(command.output().await.unwrap()).expect(0, &[]);
        assert_eq!(watcher.end().await, [""; 0]);
    }
}

struct Sync {
    fixture: SyncFixture,
    watched: Watched,
    source: FakeRegistry,
    _there: [FakeRegistry; 2],
}

impl Sync {
    async fn new() -> Sync {
        let source = FakeRegistry::start(Behavior::default()).await;
        for tag in ["v1", "v2", "v3"] {
            built(tag, 30_000).place(&source, "app", tag);
        }
        let layers = ["shared", "own"].map(|it| fakes::noise(it, 40_000));
        let single = image("linux/amd64", &layers);
        single.place(&source, "app", "single");
        let signature = format!("sha256-{}.sig", single.digest().hex());
        images::attestation("signature").place(&source, "app", &signature);
        // Registries that take a manifest whatever it refers to, so that the order is the program's.
        let there = [
            FakeRegistry::start(Behavior::default()).await,
            FakeRegistry::start(Behavior::default()).await,
        ];
        let places = there.iter().map(|it| (it.host.clone(), "app".to_owned()));
        let watched = Watched::before(places.collect()).await;
        let fixture = SyncFixture::between(&[("source.io", &source.host)]);
        let [one, two] = [0, 1].map(|it| watched.proxies[it].host.clone());
        fixture.write(
            "images.yaml",
            &format!("source.io/app: [{one}/app, {two}/app]"),
        );
        Sync {
            fixture,
            watched,
            source,
            _there: there,
        }
    }

    fn command(&self) -> Command {
        self.fixture.command(&["images.yaml"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_killed_leaves_nothing_incomplete_and_the_next_one_ends_it() {
    let seed = seed();
    let whole = Sync::new().await;
    whole.watched.finish(whole.command()).await;
    let mut killed = 0;
    for point in 0..POINTS {
        let sync = Sync::new().await;
        let proxy = dice(seed, (point, "proxy")) % 2;
        let requests = 1 + dice(seed, (point, "requests")) % whole.watched.proxies[proxy].count();
        killed += usize::from(sync.watched.kill(sync.command(), proxy, requests).await);
        sync.watched.finish(sync.command()).await;
        let expected = look(&sync.source.host, "app").await.tags;
        assert_eq!(expected.len(), 5);
        for (host, repository) in &sync.watched.places {
            assert_eq!(look(host, repository).await.tags, expected, "{host}");
        }
    }
    assert!(killed > POINTS / 2, "{killed} were killed");
}

/// What a release works between, its registries behind proxies.
async fn release() -> (ReleaseFixture, Watched) {
    let mut fixture = ReleaseFixture::new(3).await;
    let image = &fixture.workspace.image;
    let repositories = ["team/", "", "other/team/"].map(|it| format!("{it}{image}"));
    let hosts = fixture.registries.iter().map(|it| it.host.clone());
    let watched = Watched::before(hosts.zip(repositories).collect()).await;
    for (prefix, proxy) in PREFIXES.iter().zip(&watched.proxies) {
        fixture
            .workspace
            .set(&format!("{prefix}_REGISTRY"), &proxy.host);
    }
    for registry in &fixture.registries {
        registry.behave(|behavior| behavior.checks_children = false);
    }
    (fixture, watched)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_killed_leaves_nothing_incomplete_and_the_next_one_ends_it() {
    let seed = seed();
    let (fixture, whole) = release().await;
    whole.finish(fixture.workspace.command(&["release"])).await;
    let mut killed = 0;
    for point in 0..POINTS {
        let (fixture, watched) = release().await;
        let command = || fixture.workspace.command(&["release"]);
        let proxy = dice(seed, (point, "proxy")) % 3;
        let requests = 1 + dice(seed, (point, "requests")) % whole.proxies[proxy].count();
        killed += usize::from(watched.kill(command(), proxy, requests).await);
        watched.finish(command()).await;
        fixture.same(&TAGS);
    }
    assert!(killed > POINTS / 2, "{killed} were killed");
}

/// Forty of a hundred requests: whoever tries three times again fails for some of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_which_much_goes_wrong_says_what_is_true_and_the_next_one_ends_it() {
    let seed = seed();
    // At once, for most of the time goes by in pauses between tries.
    join_all((0..6).map(async |round| {
        let (fixture, watched) = release().await;
        for (number, proxy) in watched.proxies.iter().enumerate() {
            spoil(proxy, dice(seed, (round, number)) as u64, 4);
        }
        let watcher = Watcher::of(&watched.places);
        let arguments = ["release", "--report", "report.json"];
        let run = fixture.workspace.run(&arguments).await;
        let report = fixture.report("report.json");
        let registries = report["registries"].as_array().unwrap();
        let is_pushed = |it: &Value| ["pushed", "equal"].contains(&it["status"].as_str().unwrap());
        let code = match registries.iter().filter(|it| is_pushed(it)).count() {
            3 => 0,
            0 => 1,
            _ => 3,
        };
        assert_eq!(run.code, code, "{run}");
        for (registry, there) in registries.iter().zip(&fixture.registries) {
            for tag in registry["tags"].as_array().unwrap() {
                let names = there.tagged(tag.as_str().unwrap());
                let digest = Digest::sha256_of(&names).to_string();
                assert_eq!(registry["digest"], digest, "{run}");
            }
        }
        watched.proxies.iter().for_each(FaultProxy::clear);
        watched
            .finish(fixture.workspace.command(&["release"]))
            .await;
        assert_eq!(watcher.end().await, [""; 0]);
        fixture.same(&TAGS);
    }))
    .await;
}
