//! Running the copier twice, and dry: what it finds out, and how little it asks for that.

use fakes::noise;
use fakes::registry::{Behavior, FakeRegistry};
use hyper::Method;
use xtask::copy::{Bytes, Change, CopyResult, CopyStatus, Job, Mode, Options, Source};
use xtask::oci::{Digest, TagOrDigest};

use crate::support::copying::{
    OPTIONS, copy, copy_with, destination, job, registry_host, repository,
};
use crate::support::images::{Sample, built, image};

const DRY: Options = Options {
    mode: Mode::DryRun,
    ..OPTIONS
};

async fn plain() -> FakeRegistry {
    FakeRegistry::start(Behavior::default()).await
}

fn writes(server: &FakeRegistry) -> usize {
    [Method::POST, Method::PUT, Method::PATCH]
        .map(|method| server.count(method, ""))
        .iter()
        .sum()
}

/// A job for each of `tags`, to the same tag in `m`.
fn jobs(source: &FakeRegistry, target: &FakeRegistry, tags: &[String]) -> Vec<Job> {
    let (from, to) = (repository(&source.host, "app"), registry_host(&target.host));
    let one = |tag: &String| job(&from, tag, vec![destination(&to, "m", &[tag])]);
    tags.iter().map(one).collect()
}

#[tokio::test]
async fn nothing_to_do_costs_one_head_for_each_tag_and_side() {
    let (source, target) = (plain().await, plain().await);
    let tags: Vec<String> = (0..20).map(|number| format!("v{number}")).collect();
    for tag in &tags {
        let sample = built(tag, 100);
        sample.place(&source, "app", tag);
        sample.place(&target, "m", tag);
    }
    let rows = copy(jobs(&source, &target, &tags)).await;
    assert!(rows.iter().all(|row| row.status == CopyStatus::Equal));
    for server in [&source, &target] {
        assert_eq!(server.count(Method::HEAD, "manifests/v"), 20);
        assert_eq!(server.requests().len(), 20);
    }
}

#[tokio::test]
async fn by_digest_and_without_tags_one_head_at_the_destination_is_all() {
    let (source, target) = (plain().await, plain().await);
    let sample = built("app", 100);
    sample.place(&source, "app", "v1");
    sample.place(&target, "m", "other");
    let destinations = vec![destination(&registry_host(&target.host), "m", &[])];
    let mut job = job(&repository(&source.host, "app"), "v1", destinations);
    job.source = Source::Registry {
        repository: repository(&source.host, "app"),
        at: TagOrDigest::Digest(sample.root().digest().clone()),
    };
    let rows = copy(vec![job]).await;
    assert_eq!(rows[0].status, CopyStatus::Equal);
    assert_eq!((source.requests().len(), target.requests().len()), (0, 1));
}

#[tokio::test]
async fn a_repository_without_tags_is_asked_for_its_blobs_alone() {
    let (source, target) = (plain().await, plain().await);
    let tags: Vec<String> = (0..20).map(|number| format!("v{number}")).collect();
    for tag in &tags {
        built(tag, 100).place(&source, "app", tag);
    }
    let one_by_one = Options {
        concurrency: 1,
        ..OPTIONS
    };
    let rows = copy_with(jobs(&source, &target, &tags), one_by_one).await;
    assert!(rows.iter().all(|row| row.status == CopyStatus::Created));
    assert_eq!(target.count(Method::HEAD, "manifests"), 1);
    assert_eq!(target.count(Method::GET, "tags/list"), 1);
}

#[tokio::test]
async fn only_what_is_missing_is_moved() {
    let (source, target) = (plain().await, plain().await);
    let base = noise("base", 300_000);
    let of = |seed: &str| image("linux/amd64", &[base.clone(), noise(seed, 1000)]);
    of("old").place(&target, "m", "v1");
    of("new").place(&source, "app", "v1");
    let rows = copy(jobs(&source, &target, &["v1".to_owned()])).await;
    assert_eq!(rows[0].status, CopyStatus::Updated);
    let config = of("new").blobs[2].1.len() as u64;
    let expected = Bytes {
        uploaded: 1000,
        mounted: 0,
        skipped: 300_000 + config,
    };
    assert_eq!(rows[0].bytes, expected);
    assert_eq!(rows[0].diff[0].before, Some(of("old").digest()));
    assert_eq!(rows[0].diff[0].change, Change::Changed);
}

#[tokio::test]
async fn a_run_that_broke_off_goes_on_where_it_was() {
    let (source, target) = (plain().await, plain().await);
    let sample = built("app", 300_000);
    sample.place(&source, "app", "v1");
    sample.place(&target, "m", "v1");
    // One child had not come, nor had the tag.
    let arm = sample.manifests[1].digest().to_string();
    {
        target.remove_manifest("m", &arm);
        let root = sample.digest();
        for at in ["v1", root.as_str()] {
            target.remove_manifest("m", at);
        }
    }
    let rows = copy(jobs(&source, &target, &["v1".to_owned()])).await;
    assert_eq!(rows[0].status, CopyStatus::Created);
    assert_eq!(rows[0].bytes.uploaded, 0);
    assert_eq!(target.count(Method::PUT, "manifests"), 2);
    assert_eq!(source.count(Method::GET, "blobs"), 0);
}

#[tokio::test]
async fn a_dry_run_tells_the_truth_and_writes_nothing() {
    let (source, target) = (plain().await, plain().await);
    let base = noise("base", 300_000);
    let of = |seed: &str| image("linux/amd64", &[base.clone(), noise(seed, 1000)]);
    let tags = ["same", "moved", "new", "newer"].map(str::to_owned);
    for tag in &tags {
        of(tag).place(&source, "app", tag);
    }
    of("same").place(&target, "m", "same");
    of("elsewhere").place(&target, "m", "moved");
    let seen = |rows: &[CopyResult]| -> Vec<(CopyStatus, Change, Option<Digest>, u64)> {
        let one = |row: &CopyResult| {
            let tag = &row.diff[0];
            (
                row.status,
                tag.change,
                row.digest.clone(),
                row.bytes.uploaded,
            )
        };
        rows.iter().map(one).collect()
    };
    let dry = copy_with(jobs(&source, &target, &tags), DRY).await;
    assert_eq!(writes(&target), 0);
    assert_eq!(source.count(Method::GET, "blobs"), 0);
    let row = |status, change, tag: &str, bytes| (status, change, Some(of(tag).digest()), bytes);
    let expected = [
        row(CopyStatus::Equal, Change::Equal, "same", 0),
        row(CopyStatus::Updated, Change::Changed, "moved", 1000),
        row(CopyStatus::Created, Change::Missing, "new", 1000),
        row(CopyStatus::Created, Change::Missing, "newer", 1000),
    ];
    assert_eq!(seen(&dry), expected);
    let wet = copy(jobs(&source, &target, &tags)).await;
    assert_eq!(seen(&wet), expected);
}

#[tokio::test]
async fn a_dry_run_counts_what_images_share_once() {
    let (source, target) = (plain().await, plain().await);
    let base = noise("base", 300_000);
    let tags = ["a", "b", "c"].map(str::to_owned);
    for tag in &tags {
        image("linux/amd64", &[base.clone(), noise(tag, 1000)]).place(&source, "app", tag);
    }
    let total = |rows: Vec<CopyResult>| rows.iter().map(|row| row.bytes.uploaded).sum::<u64>();
    let dry = total(copy_with(jobs(&source, &target, &tags), DRY).await);
    assert_eq!(dry, total(copy(jobs(&source, &target, &tags)).await));
    assert!(dry < 310_000);
}

#[tokio::test]
async fn force_moves_everything_again() {
    let (source, target) = (plain().await, plain().await);
    let sample: Sample = built("app", 1000);
    sample.place(&source, "app", "v1");
    sample.place(&target, "m", "v1");
    let force = Options {
        force: true,
        ..OPTIONS
    };
    let rows = copy_with(jobs(&source, &target, &["v1".to_owned()]), force).await;
    assert_eq!(rows[0].status, CopyStatus::Updated);
    assert_eq!(target.count(Method::PUT, "manifests"), 5);
    assert_eq!(target.count(Method::PUT, "uploads"), 7);
}
