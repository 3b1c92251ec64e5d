//! 200 images for three real registries, where every tenth request goes wrong and one registry is killed twice. What a
//! run says is in place is there, at no moment does a tag name something that is not, and in the end all is level.
//!
//! `CHAOS_SEED=1 cargo test --test real chaos` breaks other requests.

use std::collections::BTreeMap;
use std::time::Instant;

use fakes::registry::{Behavior, FakeRegistry, FaultProxy};
use futures_util::future::join_all;
use serde_json::Value;

use crate::servers::distribution::Distribution;
use crate::support::chaos::{dice, seed, spoil};
use crate::support::images::{self, Sample, built, image};
use crate::support::sync_fixture::SyncFixture;
use crate::support::watcher::{Eye, Watcher};

const REPOSITORIES: usize = 20;
const TAGS: usize = 10;
/// Runs after which everything has to be level. Each may fail for some images, as one does whose tries all went wrong.
const RUNS: usize = 6;

/// Kinds of images in turn: single ones, indexes with attestations, signatures.
fn sample(repository: usize, tag: usize) -> Sample {
    let own = format!("{repository} {tag}");
    let shared = fakes::noise(&format!("shared {repository}"), 20_000);
    match (repository + tag) % 10 {
        0 => built(&own, 4_000),
        1 | 2 => images::attestation(&own),
        _ => image("linux/amd64", &[shared, fakes::noise(&own, 10_000)]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_images_reach_three_registries_though_a_tenth_of_all_goes_wrong() {
    let seed = seed();
    let source = FakeRegistry::start(Behavior::default()).await;
    let mut expected: BTreeMap<String, String> = BTreeMap::new();
    for repository in 0..REPOSITORIES {
        for tag in 0..TAGS {
            let sample = sample(repository, tag);
            sample.place(&source, &format!("app-{repository}"), &format!("v{tag}"));
            let name = format!("app-{repository}:v{tag}");
            expected.insert(name, sample.digest().to_string());
        }
    }
    let mut servers = [(); 3].map(|()| Distribution::open());
    let mut proxies = Vec::new();
    for host in servers.iter().map(|it| &it.host).chain([&source.host]) {
        let proxy = FaultProxy::before(host).await;
        spoil(&proxy, seed.wrapping_add(proxies.len() as u64 * 100), 1);
        proxies.push(proxy);
    }
    let hosts = proxies.iter().map(|it| it.host.clone());
    let hosts: Vec<String> = hosts.collect();
    let [one, two, three, from] = &hosts[..] else {
        unreachable!("four proxies");
    };
    let lines = (0..REPOSITORIES)
        .map(|it| format!("{from}/app-{it}: [{one}/app-{it}, {two}/app-{it}, {three}/app-{it}]\n"));
    let fixture = SyncFixture::between(&[]);
    fixture.write("images.yaml", &lines.collect::<String>());
    let mut places = Vec::new();
    for server in &servers {
        places.extend((0..REPOSITORIES).map(|it| (server.host.clone(), format!("app-{it}"))));
    }

    let began = Instant::now();
    let watcher = Watcher::of(&places);
    let (mut codes, mut eyes) = (Vec::new(), Default::default());
    let mut tags = Vec::new();
    while codes.last() != Some(&0) && codes.len() < RUNS {
        let arguments = ["images.yaml", "--proc", "30", "--report", "report.json"];
        let run = fixture.command(&arguments).output();
        let output = if codes.is_empty() {
            // The registry of the first proxy goes twice, and comes back when others have gone on.
            let restarts = async {
                for number in [1, 2] {
                    let at = 100 * number + dice(seed, number) % 100;
                    proxies[0].arrived(at).await;
                    servers[0].kill();
                    proxies[1].arrived(proxies[1].count() + 20).await;
                    servers[0].restart();
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                output = run => output,
                () = restarts => unreachable!("it ends with the run"),
            }
        } else {
            run.await
        };
        let run = fixture.ended(output.unwrap());
        assert!([0, 1, 3].contains(&run.code), "{run}");
        if codes.is_empty() {
            servers[0].kill();
            servers[0].restart();
        }
        tags = level(&servers, &mut eyes).await;
        is_true(&fixture.report("report.json"), &hosts, &tags, &expected);
        let last = run.stderr.lines().last().unwrap_or_default();
        println!("{:?} exit {} {last}", began.elapsed(), run.code);
        codes.push(run.code);
    }
    assert_eq!(codes.last(), Some(&0), "{codes:?}");
    assert_eq!(watcher.end().await, [""; 0]);
    assert!(tags.iter().all(|it| *it == expected));

    proxies.iter().for_each(FaultProxy::clear);
    let again = fixture.sync(&["images.yaml"]).await;
    again.expect(0, &["600 of 600 in place"]);
}

/// What is at each registry, all of it whole.
async fn level(servers: &[Distribution], eyes: &mut [Eye; 3]) -> Vec<BTreeMap<String, String>> {
    let looks = servers.iter().zip(eyes).map(async |(server, eye)| {
        let mut there = BTreeMap::new();
        for repository in 0..REPOSITORIES {
            let look = eye.see(&server.host, &format!("app-{repository}")).await;
            assert_eq!(look.missing, [""; 0]);
            there.extend(look.tags);
        }
        there
    });
    join_all(looks).await
}

/// Whether each image that the report calls in place is there, and was meant.
fn is_true(
    report: &Value,
    hosts: &[String],
    tags: &[BTreeMap<String, String>],
    expected: &BTreeMap<String, String>,
) {
    for image in report["images"].as_array().unwrap() {
        let status = image["status"].as_str().unwrap();
        if !["created", "updated", "equal"].contains(&status) {
            assert_eq!(status, "failed", "{image}");
            continue;
        }
        let reference = image["reference"].as_str().unwrap();
        let (host, name) = reference.split_once('/').unwrap();
        let number = hosts.iter().position(|it| it == host).unwrap();
        assert_eq!(tags[number].get(name), expected.get(name), "{image}");
        assert_eq!(image["digest"], expected[name], "{image}");
    }
}
