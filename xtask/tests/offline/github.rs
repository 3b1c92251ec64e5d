//! Releases on a GitHub that checks what it is sent and fails in the ways GitHub does.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use fakes::github::{self as fake, FakeGithub, Fault, REPOSITORY, TOKEN};
use serde_json::{Value, json};
use xtask::github::{Asset, Error, Event, Github, Plan, Published};
use xtask::oci::Digest;
use xtask::secret::Secret;

use crate::support::client;

/// Files and the plan that attaches them.
struct Sample {
    dir: tempfile::TempDir,
    plan: Plan,
}

fn sample(tag: &str, files: &[(&str, &[u8])]) -> Sample {
    let dir = tempfile::tempdir().unwrap();
    let assets = files
        .iter()
        .map(|(name, content)| asset(dir.path(), name, content));
    let plan = Plan {
        tag: tag.to_owned(),
        name: format!("Product {tag}"),
        prerelease: tag.contains('-'),
        notes: "## Images\n\n- `acme/product`".to_owned(),
        assets: assets.collect(),
        target_commitish: Some("4a4a791".to_owned()),
    };
    Sample { dir, plan }
}

fn asset(dir: &Path, name: &str, content: &[u8]) -> Asset {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    Asset {
        path,
        name: name.to_owned(),
        size: content.len() as u64,
        digest: Some(Digest::sha256_of(content)),
    }
}

fn sha256(content: &[u8]) -> String {
    Digest::sha256_of(content).hex().to_owned()
}

fn connect(github: &FakeGithub) -> Github {
    let token = Secret::new(TOKEN.to_owned());
    Github::new(client(), &github.api(), REPOSITORY, token).unwrap()
}

async fn publish(github: &FakeGithub, plan: &Plan) -> Result<Published, Error> {
    connect(github).publish(plan, &|_| {}).await
}

/// What changes something, of a log.
fn writes(log: Vec<String>) -> Vec<String> {
    log.into_iter()
        .filter(|line| !line.starts_with("GET"))
        .collect()
}

#[tokio::test]
async fn a_release_is_a_draft_until_its_assets_are_there() {
    let github = FakeGithub::start().await;
    let large = vec![7; 3_000_000];
    let sample = sample("v1.2.3", &[("a.zip", &large), ("b+c_d-e.zip", b"bbb")]);
    let heard = Mutex::new(Vec::new());
    let hear = |event: Event<'_>| {
        if let Event::Sent { asset, sent, size } = event {
            assert!(sent <= size);
            heard.lock().unwrap().push((asset.to_owned(), sent));
        }
    };
    let published = connect(&github).publish(&sample.plan, &hear).await.unwrap();
    assert_eq!(
        published.url,
        format!("https://github.test/{REPOSITORY}/releases/tag/v1.2.3")
    );
    assert!(published.created);
    assert_eq!(published.uploaded, ["a.zip", "b+c_d-e.zip"]);
    let id = github.release().id;
    assert_eq!(
        writes(github.requests()),
        [
            "POST releases".to_owned(),
            format!("POST releases/{id}/assets"),
            format!("POST releases/{id}/assets"),
            format!("PATCH releases/{id}"),
        ]
    );
    let release = github.release();
    assert_eq!((release.draft, release.prerelease), (false, false));
    assert_eq!(
        (release.name, release.notes),
        (sample.plan.name, sample.plan.notes)
    );
    assert_eq!(release.make_latest.as_deref(), Some("legacy"));
    assert_eq!(release.target.as_deref(), Some("4a4a791"));
    assert_eq!(release.assets[0].sha256, sha256(&large));
    assert_eq!(release.assets[1].name, "b+c_d-e.zip");
    let heard = heard.into_inner().unwrap();
    assert!(
        heard.contains(&("a.zip".to_owned(), 3_000_000)),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let github = FakeGithub::start().await;
    let sample = sample("v1.2.3", &[("a.zip", b"aaa")]);
    publish(&github, &sample.plan).await.unwrap();
    github.requests();
    let again = publish(&github, &sample.plan).await.unwrap();
    assert!(!again.created && again.uploaded.is_empty());
    assert_eq!(again.skipped, ["a.zip"]);
    assert_eq!(writes(github.requests()), Vec::<String>::new());
}

#[tokio::test]
async fn a_prerelease_is_never_the_latest() {
    let github = FakeGithub::start().await;
    let sample = sample("v1.2.3-beta.1", &[]);
    publish(&github, &sample.plan).await.unwrap();
    assert!(github.release().prerelease);
    assert_eq!(github.release().make_latest.as_deref(), Some("false"));
}

#[tokio::test]
async fn a_draft_of_the_tag_is_found_on_a_later_page_and_finished() {
    let github = FakeGithub::start().await;
    for n in 0..5 {
        github.state().add(&format!("v0.{n}.0"), false);
    }
    github.state().add("v1.2.3", true);
    github.state().page = 2;
    let sample = sample("v1.2.3", &[("a.zip", b"aaa")]);
    let published = publish(&github, &sample.plan).await.unwrap();
    assert!(!published.created);
    let releases = github.state().releases.clone();
    assert_eq!(releases.len(), 6);
    assert!(!releases[5].draft && releases[5].assets.len() == 1);
}

#[tokio::test]
async fn other_and_incomplete_assets_are_replaced_and_strangers_left_alone() {
    let github = FakeGithub::start().await;
    let stored = |id, name: &str, state, content: &[u8]| fake::Asset {
        id,
        name: name.to_owned(),
        state,
        size: content.len() as u64,
        sha256: sha256(content),
    };
    github.state().add("v1.2.3", false).assets = vec![
        stored(91, "same.zip", "uploaded", b"same"),
        stored(92, "changed.zip", "uploaded", b"before!"),
        stored(93, "started.zip", "starter", b"started"),
        stored(94, "stranger.txt", "uploaded", b"?"),
    ];
    let files: [(&str, &[u8]); 4] = [
        ("same.zip", b"same"),
        ("changed.zip", b"after!!"),
        ("started.zip", b"started"),
        ("new.zip", b"new"),
    ];
    let sample = sample("v1.2.3", &files);
    let published = publish(&github, &sample.plan).await.unwrap();
    assert_eq!(published.skipped, ["same.zip"]);
    assert_eq!(published.replaced, ["changed.zip", "started.zip"]);
    assert_eq!(published.uploaded, ["new.zip"]);
    let assets = github.release().assets;
    assert_eq!(assets.len(), 5);
    for (name, content) in files {
        let asset = assets.iter().find(|asset| asset.name == name).unwrap();
        assert_eq!((asset.state, &asset.sha256), ("uploaded", &sha256(content)));
    }
}

#[tokio::test]
async fn without_digests_an_equal_size_is_not_trusted() {
    let github = FakeGithub::start().await;
    github.state().digests = false;
    let sample = sample("v1.2.3", &[("a.zip", b"aaa")]);
    assert_eq!(
        publish(&github, &sample.plan).await.unwrap().uploaded,
        ["a.zip"]
    );
    assert_eq!(
        publish(&github, &sample.plan).await.unwrap().replaced,
        ["a.zip"]
    );
}

#[tokio::test]
async fn an_upload_that_breaks_is_cleared_away_and_repeated() {
    let github = FakeGithub::start().await;
    github.fault("/assets", Fault::Respond(500, &[], json!({})));
    github.fault("POST releases/2/assets", Fault::BreakUpload);
    let sample = sample("v1.2.3", &[("a.zip", b"aaa")]);
    let published = publish(&github, &sample.plan).await.unwrap();
    assert_eq!(published.uploaded, ["a.zip"]);
    let release = github.release();
    assert_eq!((release.draft, release.assets.len()), (false, 1));
    assert_eq!(release.assets[0].state, "uploaded");
}

#[tokio::test]
async fn what_was_done_without_an_answer_is_not_done_twice() {
    let github = FakeGithub::start().await;
    github.fault("POST releases/2/assets", Fault::Disconnect);
    github.fault("POST releases", Fault::Disconnect);
    let sample = sample("v1.2.3", &[("a.zip", b"aaa")]);
    publish(&github, &sample.plan).await.unwrap();
    let log = writes(github.requests());
    assert_eq!(
        log,
        [
            "POST releases",
            "POST releases/2/assets",
            "PATCH releases/2"
        ]
    );
    assert_eq!(github.release().assets.len(), 1);
}

#[tokio::test]
async fn a_release_that_cannot_be_finished_stays_a_draft() {
    let github = FakeGithub::start().await;
    let refusal =
        json!({"message": "Validation Failed", "errors": [{"field": "size", "code": "invalid"}]});
    github.fault("POST releases/2/assets", Fault::Respond(422, &[], refusal));
    let sample = sample("v1.2.3", &[("a.zip", b"aaa")]);
    let error = publish(&github, &sample.plan).await.unwrap_err();
    assert_eq!(
        format!("{:#}", anyhow::Error::from(error)),
        "the release of `v1.2.3` is still a draft: cannot upload an asset: GitHub answered 422: \
         Validation Failed, size invalid"
    );
    assert!(github.release().draft);
    assert!(!publish(&github, &sample.plan).await.unwrap().created);
    assert!(!github.release().draft);
}

#[tokio::test]
async fn a_published_release_stays_published_while_assets_are_added() {
    let github = FakeGithub::start().await;
    github.state().add("v1.2.3", false);
    let missing = json!({"message": "Bad Request"});
    github.fault("POST releases/2/assets", Fault::Respond(400, &[], missing));
    let sample = sample("v1.2.3", &[("a.zip", b"aaa")]);
    let error = publish(&github, &sample.plan).await.unwrap_err();
    assert!(
        matches!(error, Error::Refused { status: 400, .. }),
        "{error}"
    );
    assert!(!github.release().draft);
}

#[tokio::test]
async fn passing_failures_are_waited_out_and_said() {
    let github = FakeGithub::start().await;
    let limited = || json!({"message": "You have exceeded a secondary rate limit."});
    github.fault("GET releases/tags", Fault::Respond(503, &[], Value::Null));
    github.fault(
        "POST releases",
        Fault::Respond(403, &[("retry-after", "0")], limited()),
    );
    github.fault(
        "POST releases/2/assets",
        Fault::Respond(429, &[("retry-after", "0")], limited()),
    );
    github.fault("PATCH", Fault::Disconnect);
    let sample = sample("v1.2.3", &[("a.zip", b"aaa")]);
    let waits = Mutex::new(Vec::new());
    let hear = |event: Event<'_>| {
        if let Event::Waiting { reason, .. } = event {
            waits.lock().unwrap().push(reason);
        }
    };
    connect(&github).publish(&sample.plan, &hear).await.unwrap();
    assert_eq!(waits.lock().unwrap().len(), 4, "{waits:?}");
    assert!(!github.release().draft);
}

#[tokio::test]
async fn a_rate_limit_of_an_hour_is_told_and_not_waited_for() {
    let github = FakeGithub::start().await;
    let hour = &[("retry-after", "3600")];
    github.fault("GET releases/tags", Fault::Respond(403, hour, Value::Null));
    let sample = sample("v1.2.3", &[]);
    let error = publish(&github, &sample.plan).await.unwrap_err();
    assert!(error.to_string().contains("3600 s"), "{error}");
    assert!(!error.is_input());
}

#[tokio::test]
async fn refused_credentials_are_told_apart_and_never_shown() {
    let github = FakeGithub::start().await;
    let sample = sample("v1.2.3", &[]);
    let ask = async |repository: &str, token: &str| {
        let token = Secret::new(token.to_owned());
        let github = Github::new(client(), &github.api(), repository, token).unwrap();
        github.publish(&sample.plan, &|_| {}).await.unwrap_err()
    };
    let refused = ask(REPOSITORY, "ghp_stolen").await;
    assert!(matches!(refused, Error::TokenRefused { .. }), "{refused}");
    assert!(
        refused
            .to_string()
            .contains("GITHUB_TOKEN was refused: Bad credentials")
    );
    assert!(!format!("{refused} {refused:?}").contains("stolen"));
    let unseen = ask("acme/secret", TOKEN).await;
    assert!(
        unseen.to_string().contains("cannot see `acme/secret`"),
        "{unseen}"
    );
    let message = json!({"message": "Resource not accessible by integration"});
    github.fault("POST releases", Fault::Respond(403, &[], message));
    let forbidden = ask(REPOSITORY, TOKEN).await;
    assert!(
        forbidden.to_string().contains("`contents: write`"),
        "{forbidden}"
    );
    for error in [refused, unseen, forbidden] {
        assert!(error.is_input(), "{error}");
    }
}

#[tokio::test]
async fn a_plan_that_github_would_change_is_refused_before_any_request() {
    let github = FakeGithub::start().await;
    let mut sample = sample("v1.2.3", &[("a.zip", b"aaa")]);
    let good = sample.plan.assets[0].clone();
    for (name, size) in [
        ("a b.zip", 3),
        (".a.zip", 3),
        ("a.", 3),
        ("", 3),
        ("ä.zip", 3),
        ("a.zip", 4),
    ] {
        let name = name.to_owned();
        sample.plan.assets = vec![Asset {
            name,
            size,
            ..good.clone()
        }];
        let error = publish(&github, &sample.plan).await.unwrap_err();
        assert!(matches!(error, Error::Asset { .. }), "{error}");
    }
    sample.plan.assets = vec![good.clone(), good];
    assert!(publish(&github, &sample.plan).await.is_err());
    fs::remove_file(sample.dir.path().join("a.zip")).unwrap();
    sample.plan.assets.truncate(1);
    let gone = publish(&github, &sample.plan).await.unwrap_err();
    assert!(matches!(gone, Error::Io { .. }), "{gone}");
    assert_eq!(github.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn the_token_does_not_follow_a_link_to_another_host() {
    let (github, other) = (FakeGithub::start().await, FakeGithub::start().await);
    // Leaked once: a fault's headers live as long as the program.
    let link = format!("<{}repos/{REPOSITORY}/releases>; rel=\"next\"", other.api());
    let headers: &'static [_] = Vec::leak(vec![("link", &*String::leak(link))]);
    github.fault("GET releases/tags", Fault::Respond(404, &[], Value::Null));
    github.fault("GET releases", Fault::Respond(200, headers, json!([])));
    let sample = sample("v1.2.3", &[]);
    let error = publish(&github, &sample.plan).await.unwrap_err();
    assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    assert_eq!(other.requests(), Vec::<String>::new());
}
