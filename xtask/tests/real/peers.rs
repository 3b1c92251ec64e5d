//! The same copies and releases between registries that others wrote, each of them the source once.
//!
//! `PEERS="127.0.0.1:5103 127.0.0.1:5104" cargo test --test real peers` does it between servers that run already
//! (docs/reliability.md); without it, between two that are started.

use crate::servers::distribution::Distribution;
use crate::support::copying::repository;
use crate::support::images::{self, Sample, built, image};
use crate::support::workspace::{Entry, Workspace};

struct Peers {
    hosts: Vec<String>,
    _started: Vec<Distribution>,
}

impl Peers {
    fn new() -> Peers {
        let started = match std::env::var("PEERS") {
            Ok(_) => Vec::new(),
            Err(_) => vec![Distribution::open(), Distribution::open()],
        };
        let hosts = match std::env::var("PEERS") {
            Ok(text) => text.split_whitespace().map(str::to_owned).collect(),
            Err(_) => started.iter().map(|it| it.host.clone()).collect(),
        };
        println!("{hosts:?}");
        Peers {
            hosts,
            _started: started,
        }
    }
}

/// An index with attestations, a single image and what looks like its signature, by tag.
fn samples(seed: &str) -> [(String, Sample); 3] {
    let layers = ["a", "b"].map(|it| fakes::noise(&format!("{seed} {it}"), 300_000));
    let single = image("linux/amd64", &layers);
    let signature = format!("sha256-{}.sig", single.digest().hex());
    [
        ("index".to_owned(), built(seed, 300_000)),
        ("single".to_owned(), single),
        (signature, images::attestation(seed)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_from_each_registry_fills_all_of_them() {
    let peers = Peers::new();
    for (number, source) in peers.hosts.iter().enumerate() {
        let workspace = Workspace::new(&["linux/amd64"], &[]);
        let name = &workspace.image;
        let samples = samples(&format!("{name} {number}"));
        let from = repository(source, &format!("{name}/from"));
        for (tag, sample) in &samples {
            sample.push(&from, tag).await;
        }
        let to = format!("{name}/to");
        let targets: Vec<_> = peers.hosts.iter().map(|it| format!("{it}/{to}")).collect();
        let targets = targets.join(", ");
        let text = format!("{{source: {source}/{name}/from, targets: [{targets}]}}");
        workspace.write("images.yaml", &text);
        // One of the samples is a signature, which goes with its image.
        let hosts = peers.hosts.len();
        let images = (samples.len() - 1) * hosts;
        let said = format!("sync: {images} of {images} in place, with {hosts} referrers");
        let first = workspace.run(&["sync", "images.yaml"]).await;
        first.expect(0, &[&said]);
        for host in &peers.hosts {
            for (tag, sample) in &samples {
                sample.assert_at(&repository(host, &to), tag).await;
            }
        }
        let again = workspace.run(&["sync", "images.yaml"]).await;
        again.expect(0, &[&said, "0 B read"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_one_registry_has_is_released_to_the_others_from_there() {
    let peers = Peers::new();
    let names: Vec<_> = (0..peers.hosts.len())
        .map(|it| format!("peer{it}"))
        .collect();
    let prefixes: Vec<_> = names.iter().map(|it| it.to_uppercase()).collect();
    let entries = names.iter().zip(&prefixes).zip(&peers.hosts);
    let entries: Vec<Entry<'_>> = entries
        .map(|((name, prefix), host)| (&**name, &**prefix, &**host, "team"))
        .collect();
    let mut workspace = Workspace::new(&["linux/amd64", "linux/arm64"], &entries);
    for prefix in &prefixes {
        workspace.set(&format!("{prefix}_USERNAME"), "anybody");
        workspace.set(&format!("{prefix}_PASSWORD"), "anything");
    }
    let path = format!("team/{}", workspace.image);
    for (number, name) in names.iter().enumerate() {
        let version = format!("1.{number}.0");
        let sample = built(&format!("{path} {version}"), 300_000);
        sample.write(&workspace.path().join("layout"));
        let of = ["--release-version", &version];
        let given = ["--image", "oci:layout", "--report", "report.json"];
        let first = format!("docker-push-{name}");
        let run = [&[&*first], &given[..], &of].concat();
        workspace.run(&run).await.expect(0, &["pushed"]);
        // Without the image, so that it comes from a registry that has it.
        for other in names.iter().filter(|it| *it != name) {
            let other = format!("docker-push-{other}");
            let run = [&[&*other], &of[..]].concat();
            workspace.run(&run).await.expect(0, &["pushed"]);
        }
        let all = [&["docker-push-all"], &given[..], &of].concat();
        workspace.run(&all).await.expect(0, &["equal"]);
        for host in &peers.hosts {
            for tag in [&*version, &format!("1.{number}"), "1", "latest"] {
                sample.assert_at(&repository(host, &path), tag).await;
            }
        }
        workspace
            .run(&["verify", "report.json"])
            .await
            .expect(0, &[]);
        let promoted = ["promote", &version, "--tag", "stable"];
        workspace.run(&promoted).await.expect(0, &[]);
        for host in &peers.hosts {
            sample.assert_at(&repository(host, &path), "stable").await;
        }
    }
}
