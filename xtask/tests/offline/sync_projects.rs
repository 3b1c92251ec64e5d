//! Many repositories of a registry as one source, where the registry lists them.

use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, ListingApi, PASSWORD, Rule, USER};
use hyper::Method;
use xtask::oci::media_type;

use crate::support::images;
use crate::support::sync_fixture::SyncFixture;

struct Registries {
    source: FakeRegistry,
    one: FakeRegistry,
    fixture: SyncFixture,
}

impl Registries {
    /// Small images in the source.
    async fn new(behavior: Behavior, names: &[&str]) -> Registries {
        let source = FakeRegistry::start(behavior).await;
        let one = FakeRegistry::start(Behavior::default()).await;
        let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &one.host)]);
        for name in names {
            images::image("linux/amd64", &[fakes::noise(name, 100)]).place(&source, name, "v1");
        }
        Registries {
            source,
            one,
            fixture,
        }
    }

    fn copied(&self) -> Vec<String> {
        let mut tags: Vec<String> = self.one.tags().into_values().flatten().collect();
        tags.sort();
        tags
    }
}

const NAMES: [&str; 4] = ["team/app", "team/sub/tool", "teams/app", "other"];

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_is_copied_under_the_same_names_or_by_a_template() {
    let it = Registries::new(Behavior::default(), &NAMES).await;
    let copy = ["copy", "source.io/team/*", "one.io/mirror"];
    let dry = it.fixture.run(&[&copy[..], &["--dry-run"]].concat()).await;
    dry.expect(0, &["0 equal, 2 to do"]);
    it.fixture.run(&copy).await.expect(0, &["2 of 2 in place"]);
    assert_eq!(it.copied(), ["mirror/app:v1", "mirror/sub/tool:v1"]);

    let it = Registries::new(Behavior::default(), &NAMES).await;
    it.fixture.write(
        "sync.yaml",
        "source: ['source.io/*/app', source.io/other]\ntargets: 'one.io/x/{repository}'\ntags: 'v*'\nplatforms: linux/amd64\n",
    );
    it.fixture
        .sync(&["sync.yaml"])
        .await
        .expect(0, &["3 of 3 in place"]);
    assert_eq!(
        it.copied(),
        ["x/other:v1", "x/team/app:v1", "x/teams/app:v1"]
    );
    let print = it.fixture.sync(&["sync.yaml", "--print"]).await;
    let printed = "- source: \"source.io/*/app\"\n  targets:\n    - \"one.io/x/{repository}\"\n  tags:\n    - \"v*\"\n  platforms:\n";
    assert!(print.stdout.contains(printed), "{print}");
    it.fixture.write("printed.yaml", &print.stdout);
    let again = it.fixture.sync(&["printed.yaml"]).await;
    again.expect(0, &["3 of 3 in place, "]);

    let none = it
        .fixture
        .run(&["copy", "source.io/nothing*", "one.io/x"])
        .await;
    none.expect(
        1,
        &["the command line: none of 4 repositories fits `source.io/nothing*`, nothing is copied"],
    );
    it.fixture.write(
        "none.yaml",
        "source: source.io/nothing*\ntargets: one.io/x\n",
    );
    let none = it.fixture.sync(&["none.yaml"]).await;
    let told = [
        "line 1: none of 4 repositories fits",
        "0 of 0 in place, 1 rule chose nothing",
    ];
    none.expect(1, &told);
    let some = ["copy", "source.io/*", "one.io/none", "--tags", "w*"];
    it.fixture
        .run(&some)
        .await
        .expect(1, &["no tag of `source.io/other` is chosen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_list_fails_the_rules_that_need_it_alone() {
    for status in [401, 403, 404] {
        let it = Registries::new(Behavior::default(), &NAMES).await;
        let refusal = Fault::Respond(
            status,
            &[],
            r#"{"errors":[{"code":"DENIED","message":"no\u001b[2J"}]}"#,
        );
        it.source.rule(Rule::new(refusal).path("_catalog"));
        it.fixture.write(
            "sync.yaml",
            "- {source: source.io/team/*, targets: one.io/mirror}\n- {source: source.io/other, targets: one.io/other}\n",
        );
        let run = it.fixture.sync(&["sync.yaml", "--report", "r.json"]).await;
        let said = [
            "`source.io` does not list its repositories for this user",
            "source.io/team/*",
            "1 of 2 in place",
        ];
        run.expect(3, &said);
        assert!(!run.stderr.contains('\u{1b}'), "{run}");
        let images = it.fixture.report("r.json")["images"].clone();
        let failed = images
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["status"] == "failed")
            .unwrap();
        let reason = failed["reason"].as_str().unwrap();
        let hint = "; hint: name them, as in `source: [source.io/team/one, source.io/team/two]`";
        assert!(reason.ends_with(hint), "{reason}");
        assert_eq!(failed["image"], "source.io/team/*");
        assert_eq!(failed["reference"], "one.io/mirror");
        assert_eq!(it.copied(), ["other:v1"]);
        let alone = it
            .fixture
            .run(&["copy", "source.io/team/*", "one.io/mirror"])
            .await;
        alone.expect(1, &["0 of 1 in place"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_failed_is_tried_again_and_a_list_that_ends_early_copies_nothing() {
    let many: Vec<String> = (0..1100).map(|it| format!("team/app-{it:04}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let it = Registries::new(Behavior::default(), &[]).await;
    for name in &many {
        it.source.put_manifest(
            name,
            "v1",
            media_type::OCI_INDEX,
            r#"{"manifests":[]}"#.into(),
        );
    }
    it.source
        .rule(Rule::new(Fault::Respond(404, &[], "")).path("last=").next());
    it.fixture.write(
        "sync.yaml",
        "source: source.io/team/app-*\ntargets: one.io/mirror\ntags: v1\n",
    );
    let report = ["sync.yaml", "--report", "r.json", "--dry-run"];
    it.fixture
        .sync(&report)
        .await
        .expect(1, &["0 equal, 0 to do, 1 cannot be done"]);
    let again = ["sync.yaml", "--only-failed", "r.json", "--dry-run"];
    it.fixture
        .sync(&again)
        .await
        .expect(0, &["0 equal, 1100 to do"]);
    assert_eq!(it.one.count(Method::PUT, "/"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_list_names_and_is_no_repository_is_told() {
    let behavior = Behavior {
        also_lists: vec!["Team/App", "team/\u{1b}[2Jx", "../etc", "team//x"],
        ..Behavior::default()
    };
    let it = Registries::new(behavior, &NAMES).await;
    let run = it.fixture.run(&["copy", "source.io/*", "one.io"]).await;
    run.expect(0, &["`source.io` lists what cannot be repositories, which is left out: `../etc`, `Team/App`, ", "4 of 4 in place"]);
    assert!(!run.stderr.contains('\u{1b}'), "{run}");
    assert_eq!(it.copied().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn harbor_lists_a_project_for_whoever_may_read_it() {
    let behavior = Behavior {
        auth: AuthMode::Tokens,
        listing_api: Some(ListingApi::Harbor),
        ..Behavior::default()
    };
    let it = Registries::new(behavior, &NAMES).await;
    it.fixture.write(
        "auth.yaml",
        &format!("source.io: {{username: '{USER}', password: '{PASSWORD}'}}\n"),
    );
    let copy = ["copy", "source.io/team/*", "one.io/mirror", "--auth"];
    let auth = it.fixture.workspace.path().join("auth.yaml");
    let auth = auth.display().to_string();
    let run = it.fixture.run(&[&copy[..], &[&*auth]].concat()).await;
    run.expect(0, &["2 of 2 in place"]);
    assert_eq!(it.source.count(Method::GET, "_catalog"), 0);
    assert!(!run.stderr.contains(PASSWORD), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_repository_is_in_one_part_and_what_cannot_be_listed_in_all() {
    let names: Vec<String> = (0..40).map(|it| format!("team/app-{it}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let it = Registries::new(Behavior::default(), &names).await;
    it.fixture.write(
        "sync.yaml",
        "source: source.io/team/*\ntargets: one.io/mirror\n",
    );
    let mut copied = 0;
    for part in ["1/3", "2/3", "3/3"] {
        // Another part may see one more.
        let late = format!("team/late-{}", &part[..1]);
        images::image("linux/amd64", &[fakes::noise(&late, 100)]).place(&it.source, &late, "v1");
        let run = it
            .fixture
            .sync(&["sync.yaml", "--shard", part, "--report", "r.json"])
            .await;
        run.expect(0, &[]);
        let images = it.fixture.report("r.json")["images"].clone();
        let of_this = images.as_array().unwrap().iter();
        copied += of_this
            .filter(|it| !it["image"].as_str().unwrap().contains("late"))
            .count();
        assert!(
            images
                .as_array()
                .unwrap()
                .iter()
                .all(|it| it["status"] == "created")
        );
    }
    assert_eq!(copied, 40);
    it.source
        .rule(Rule::new(Fault::Respond(403, &[], "")).path("_catalog"));
    for part in ["1/2", "2/2"] {
        let run = it.fixture.sync(&["sync.yaml", "--shard", part]).await;
        run.expect(1, &["does not list its repositories"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_repositories_for_one_tag_and_a_copy_onto_a_source_stop_everything() {
    let it = Registries::new(Behavior::default(), &NAMES).await;
    let twice = it
        .fixture
        .run(&["copy", "source.io/*/app", "one.io/{name}"])
        .await;
    twice.expect(
        2,
        &["`one.io/app:v1` would be written twice: from `source.io/team/app:v1`"],
    );
    for (arguments, said) in [
        (
            ["copy", "source.io/*", "source.io/mirror"],
            "is a destination, and one of the sources `source.io/*` as well",
        ),
        (
            ["copy", "source.io/team/*", "source.io/team"],
            "is both source and destination",
        ),
        (
            ["copy", "source.io/*", "one.io/x:v1"],
            "hint: `acme.azurecr.io/mirror/{repository}:v1`",
        ),
        (
            ["copy", "source.io/team/*", "one.io/{repo}"],
            "there are `{repository}`, `{name}`",
        ),
        (["tags", "source.io/team/*", "v*"], "a pattern is of many"),
    ] {
        it.fixture.run(&arguments).await.expect(2, &[said]);
    }
    assert!(it.copied().is_empty());
}
