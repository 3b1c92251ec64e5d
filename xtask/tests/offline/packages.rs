//! Packages from feeds that behave and feeds that do not.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use fakes::feed::{FakeFeed, Fault};
use fakes::zips::package;
use url::Url;
use xtask::oci::Digest;
use xtask::packages::{Error, Package, Source, download, fetch_index};
use xtask::secret::Secret;

use crate::support::{client, names};

const NAME: &str = "sample-1.2.3-linux-x64.zip";
const PATH: &str = "1.2.3/sample-1.2.3-linux-x64.zip";

/// A package that the index gives a digest for, at these addresses.
fn known(content: &[u8], urls: &[Url]) -> Package {
    Package {
        name: NAME.to_owned(),
        size: content.len() as u64,
        digest: Some(Digest::sha256_of(content)),
        sources: urls.iter().cloned().map(Secret::new).collect(),
    }
}

async fn fetch(package: &Package, dir: &Path) -> Result<u64, Error> {
    download(&client(), package, dir, &|_| {}).await
}

#[tokio::test]
async fn a_package_is_found_downloaded_verified_and_not_fetched_again() {
    let (feed, dir, content) = (
        FakeFeed::start().await,
        tempfile::tempdir().unwrap(),
        package(300_000),
    );
    feed.publish(
        "1.2.3",
        &[(NAME, &content), ("sample-1.2.3-win-x64.zip", b"?")],
    );
    let source = Source::new(Secret::new(feed.url(""))).unwrap();
    let index = fetch_index(&client(), &source).await.ok().unwrap();
    let version = index.newest().unwrap().parse().unwrap();
    let packages = index.select(&source, &version, &["linux/amd64"]).unwrap();
    assert_eq!(packages[0].digest, None);

    let heard = Mutex::new(Vec::new());
    let hear = |bytes| heard.lock().unwrap().push(bytes);
    let fetched = download(&client(), &packages[0], dir.path(), &hear)
        .await
        .unwrap();
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), content);
    assert_eq!(fetched, content.len() as u64);
    assert_eq!(heard.lock().unwrap().last(), Some(&(content.len() as u64)));

    feed.requests();
    let again = fetch(&packages[0], dir.path()).await.unwrap();
    assert_eq!((again, feed.requests().len()), (0, 0));
    assert_eq!(names(dir.path()), [NAME, &format!("{NAME}.verified")]);
}

#[tokio::test]
async fn a_signed_address_signs_every_request_and_no_message() {
    let (feed, dir, content) = (
        FakeFeed::start().await,
        tempfile::tempdir().unwrap(),
        package(100),
    );
    feed.publish("1.2.3", &[(NAME, &content)]);
    feed.require("sv=2024&sig=hu%2Fsh");
    let source = |query| Source::new(Secret::new(feed.url(query))).unwrap();
    let signed = source("?sv=2024&sig=hu%2Fsh");
    let index = fetch_index(&client(), &signed).await.ok().unwrap();
    let packages = index
        .select(&signed, &"1.2.3".parse().unwrap(), &["linux/amd64"])
        .unwrap();
    fetch(&packages[0], dir.path()).await.unwrap();
    let queries: Vec<_> = feed
        .requests()
        .into_iter()
        .map(|seen| seen.query.unwrap())
        .collect();
    assert_eq!(queries, ["sv=2024&sig=hu%2Fsh"; 2]);

    let error = fetch_index(&client(), &source("?sig=expired"))
        .await
        .err()
        .unwrap();
    let text = format!("{error} {error:?}");
    assert!(text.contains("403") && !text.contains("expired"), "{text}");
    assert!(error.is_input());
}

#[tokio::test]
async fn a_redirect_does_not_tell_the_other_host_the_signature() {
    let (feed, other) = (FakeFeed::start().await, FakeFeed::start().await);
    let (dir, content) = (tempfile::tempdir().unwrap(), package(100));
    feed.fault("a.zip", [Fault::Redirect(other.url("b.zip"))]);
    other.put("b.zip", content.clone());
    fetch(&known(&content, &[feed.url("a.zip?sig=hush")]), dir.path())
        .await
        .unwrap();
    let seen = other.requests().remove(0);
    assert_eq!((seen.query, seen.referer), (None, None));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_resumed_where_it_broke() {
    let (feed, dir, content) = (
        FakeFeed::start().await,
        tempfile::tempdir().unwrap(),
        package(300_000),
    );
    feed.put(PATH, content.clone());
    feed.fault(PATH, [Fault::Truncate(1000), Fault::Truncate(500)]);
    let fetched = fetch(&known(&content, &[feed.url(PATH)]), dir.path())
        .await
        .unwrap();
    let ranges: Vec<_> = feed.requests().into_iter().map(|seen| seen.range).collect();
    assert_eq!(
        ranges,
        [
            None,
            Some("bytes=1000-".to_owned()),
            Some("bytes=1500-".to_owned())
        ]
    );
    assert_eq!(fetched, content.len() as u64);
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), content);
}

#[tokio::test]
async fn the_partial_file_of_an_earlier_run_is_continued_or_given_up() {
    let content = package(300_000);
    let whole = content.len() as u64;
    for (manners, expected) in [
        (vec![], whole - 1000),
        (vec![Fault::IgnoreRange], whole),
        (vec![Fault::Status(416)], whole),
        (vec![Fault::WrongRange], whole),
        (vec![Fault::Status(503)], whole - 1000),
    ] {
        let (feed, dir) = (FakeFeed::start().await, tempfile::tempdir().unwrap());
        feed.put(PATH, content.clone());
        feed.fault(PATH, manners);
        fs::write(dir.path().join(format!("{NAME}.part")), &content[..1000]).unwrap();
        let fetched = fetch(&known(&content, &[feed.url(PATH)]), dir.path())
            .await
            .unwrap();
        assert_eq!(fetched, expected);
        assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), content);
        assert_eq!(names(dir.path()), [NAME, &format!("{NAME}.verified")]);
    }
}

#[tokio::test]
async fn a_partial_file_that_does_not_fit_is_found_out_and_fetched_anew() {
    let (feed, dir, content) = (
        FakeFeed::start().await,
        tempfile::tempdir().unwrap(),
        package(10_000),
    );
    feed.put(PATH, content.clone());
    let mut other = content[..1000].to_vec();
    other[500] ^= 1;
    fs::write(dir.path().join(format!("{NAME}.part")), other).unwrap();
    for digest in [known(&content, &[]).digest, None] {
        let package = Package {
            digest,
            ..known(&content, &[feed.url(PATH)])
        };
        fetch(&package, dir.path()).await.unwrap();
        assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), content);
    }
}

#[tokio::test]
async fn a_whole_partial_file_costs_no_request() {
    let (feed, dir, content) = (
        FakeFeed::start().await,
        tempfile::tempdir().unwrap(),
        package(100),
    );
    fs::write(dir.path().join(format!("{NAME}.part")), &content).unwrap();
    let fetched = fetch(&known(&content, &[feed.url(PATH)]), dir.path())
        .await
        .unwrap();
    assert_eq!((fetched, feed.requests().len()), (0, 0));
}

#[tokio::test]
async fn the_next_source_is_asked_when_one_fails() {
    let (feed, dir, content) = (
        FakeFeed::start().await,
        tempfile::tempdir().unwrap(),
        package(100),
    );
    feed.put("good.zip", content.clone());
    feed.put("other.zip", package(200));
    feed.put("page.zip", "<html>");
    let urls = ["gone.zip", "other.zip", "page.zip", "good.zip"].map(|path| feed.url(path));
    fetch(&known(&content, &urls), dir.path()).await.unwrap();
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), content);
    let asked: Vec<_> = feed.requests().into_iter().map(|seen| seen.path).collect();
    assert_eq!(asked, ["/gone.zip", "/other.zip", "/page.zip", "/good.zip"]);
}

#[tokio::test]
async fn a_final_refusal_is_not_repeated_and_every_reason_is_told() {
    let (feed, dir, content) = (
        FakeFeed::start().await,
        tempfile::tempdir().unwrap(),
        package(100),
    );
    let urls = [feed.url("a.zip?sig=hush"), feed.url("b.zip")];
    feed.fault("b.zip", [Fault::Status(401)]);
    let error = fetch(&known(&content, &urls), dir.path())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("a.zip: the server answered 404 Not Found; http"),
        "{text}"
    );
    assert!(
        text.contains("b.zip: the server answered 401") && !text.contains("hush"),
        "{text}"
    );
    assert_eq!(feed.requests().len(), 2);
    assert!(error.is_input());
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_not_kept() {
    let content = package(1000);
    let mut damaged = content.clone();
    damaged[600] ^= 1;
    let truncated = [&content[..content.len() - 30], &[0; 30]].concat();
    let longer = [&content[..], b"!"].concat();
    let given = known(&content, &[]).digest;
    for (bytes, digest, expected) in [
        (damaged.clone(), given.clone(), "expected `"),
        (damaged, None, "no intact zip file"),
        (truncated, None, "zip file"),
        (longer, given.clone(), "it has more than"),
        (content[..500].to_vec(), given, "it ended after 500"),
    ] {
        let (feed, dir) = (FakeFeed::start().await, tempfile::tempdir().unwrap());
        feed.put(PATH, content.clone());
        // Refused at once or, when it was too short, asked for again.
        feed.fault(PATH, [Fault::Replace(Bytes::from(bytes.clone()))]);
        feed.fault(PATH, (1..4).map(|_| Fault::Status(404)));
        let package = Package {
            digest,
            ..known(&content, &[feed.url(PATH)])
        };
        let error = fetch(&package, dir.path()).await.unwrap_err();
        let text = error.to_string();
        assert!(error.is_input() && text.contains(expected), "{text}");
        assert!(!dir.path().join(NAME).exists(), "{text}");
        // Only the beginning of a package is kept, to go on from.
        let part = fs::read(dir.path().join(format!("{NAME}.part"))).ok();
        let kept = expected.contains("ended").then(|| content[..500].to_vec());
        assert!(part == kept, "{text}");
    }
}

#[tokio::test]
async fn a_wrong_file_of_the_right_name_is_replaced() {
    let (feed, dir, content) = (
        FakeFeed::start().await,
        tempfile::tempdir().unwrap(),
        package(100),
    );
    feed.put(PATH, content.clone());
    fs::write(dir.path().join(NAME), &content[..50]).unwrap();
    fetch(&known(&content, &[feed.url(PATH)]), dir.path())
        .await
        .unwrap();
    assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), content);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_this_machines_fault() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let package = known(b"", &[]);
    assert!(!fetch(&package, &file).await.unwrap_err().is_input());
}

#[tokio::test]
async fn an_index_that_is_none_is_told_apart() {
    let feed = FakeFeed::start().await;
    feed.put("page.json", "<!DOCTYPE html>");
    feed.put("list.json", "[1]");
    feed.fault("index.json", [Fault::Status(503), Fault::Truncate(1)]);
    feed.put("index.json", r#"{"versions": []}"#);
    let ask = async |url| fetch_index(&client(), &Source::new(Secret::new(url)).unwrap()).await;
    assert!(matches!(
        ask(feed.url("page.json")).await,
        Err(Error::NotJson { .. })
    ));
    assert!(matches!(
        ask(feed.url("list.json")).await,
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        ask(feed.url("gone.json")).await,
        Err(Error::Unreachable { .. })
    ));
    // After a 503 and a broken body.
    assert!(ask(feed.url("")).await.is_ok());
}

#[tokio::test]
async fn a_feed_that_is_down_is_told_without_its_signature() {
    let feed = FakeFeed::start().await;
    let source = Source::new(Secret::new(feed.url("?sig=hush"))).unwrap();
    drop(feed);
    let error = fetch_index(&client(), &source).await.err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("Connection refused") && !text.contains("hush"),
        "{text}"
    );
}
