//! What image-syncer's users have in their files and on their command lines, run.

use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};

use xtask::oci::Platform;

use crate::support::sync_fixture::{SyncFixture, digest};

const ONE: [&str; 1] = ["linux/amd64"];

async fn open() -> FakeRegistry {
    FakeRegistry::start(Behavior::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_rule_fails_alone_and_a_wrong_file_stops_everything() {
    let (source, there) = (open().await, open().await);
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    let v1 = fixture.publish("source.io/app:v1", &ONE).await;
    fixture.publish("source.io/app:v2", &ONE).await;
    let right = "source.io/app:v1: one.io/right\n";
    let wrong = "source.io/app:v1 1: one.io/wrong\nsource.io/app:/(/: one.io/wrong\nsource.io/app:v2: [one.io/right, 'one.io/No']\n";
    fixture.write("images.yaml", &format!("{right}{wrong}"));
    let run = fixture.sync(&["images.yaml", "--report", "r.json"]).await;
    let regex = "`(` is not a regular expression";
    run.expect(3, &["2 of 5 in place", regex, "`images.yaml`, line 4"]);
    assert_eq!(digest(&there, "right", "v1"), v1);
    assert_eq!(
        fixture.report("r.json")["images"].as_array().unwrap().len(),
        5
    );

    for (text, said) in [
        (format!("{right}{right}source.io/app: [\n"), "images.yaml"),
        (
            format!("{right}source.io/app: {{a: b}}\n"),
            "must be a text",
        ),
        (
            format!("{right}one.io/x: one.io/x\n"),
            "both source and destination",
        ),
        (
            format!("{right}source.io/app:v2: one.io/right:v1\n"),
            "would be written twice",
        ),
        (
            "source.io/app:v1 1: one.io/wrong\n".to_owned(),
            "is neither a tag nor a pattern",
        ),
    ] {
        fixture.write("images.yaml", &text.replace("right", "other"));
        let run = fixture.sync(&["images.yaml"]).await;
        run.expect(2, &[said]);
        let names = there.manifests().into_keys();
        assert_eq!(names.filter(|(name, _)| name.contains("other")).count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tag_of_a_pattern_gets_the_name_at_the_destination() {
    let (source, there) = (open().await, open().await);
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    let mut published = Vec::new();
    for tag in ["v1", "v2", "3"] {
        published.push(fixture.publish(&format!("source.io/app:{tag}"), &ONE).await);
    }
    let rules = "source.io/app:/^v2/: one.io/app:two\nsource.io/app:/^\\pL/: one.io/app:letter\n";
    fixture.write("images.yaml", rules);
    let run = fixture.sync(&["images.yaml"]).await;
    let reason = "`images.yaml`, line 2: 2 tags are chosen, and the destination has a name";
    run.expect(3, &["1 of 2 in place", reason]);
    assert_eq!(digest(&there, "app", "two"), published[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dockers_login_counts_beside_an_entry_without_one() {
    let source = open().await;
    let closed = FakeRegistry::start(Behavior {
        auth: AuthMode::Basic,
        ..Behavior::default()
    })
    .await;
    let mut fixture =
        SyncFixture::between(&[("source.io", &source.host), ("closed.io", &closed.host)]);
    fixture.publish("source.io/app:v1", &ONE).await;
    fixture.write("images.yaml", "source.io/app:v1: closed.io/app");
    let directory = fixture.workspace.path().join("docker-home");
    let directory = directory.to_str().unwrap();
    fixture.workspace.set("DOCKER_CONFIG", directory);
    let config = format!(
        r#"{{"auths": {{"closed.io": {{"username": "{USER}", "password": "{PASSWORD}"}}}}}}"#
    );
    fixture.write("docker-home/config.json", &config);
    for entry in ["{insecure: true}", "{username: '', password: ''}", ""] {
        fixture.write("auth.yaml", &format!("closed.io: {entry}"));
        let run = fixture.sync(&["--auth", "auth.yaml", "--images", "images.yaml"]);
        run.await.expect(0, &["1 of 1 in place"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_in_a_file_of_logins_is_told_whoever_reads_it() {
    let registry = open().await;
    let fixture = SyncFixture::between(&[("one.io", &registry.host)]);
    fixture.publish("one.io/app:v1", &["linux/amd64"]).await;
    let auth = "one.io: {username: someone, pass: word}";
    fixture.write("auth.yaml", auth);
    for command in [
        &["tags", "one.io/app"][..],
        &["copy", "one.io/app", "one.io/copy"],
    ] {
        let arguments = command.iter().map(|it| fixture.addressed(it));
        let arguments: Vec<String> = arguments.collect();
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--auth", "auth.yaml"]);
        let half = "`username` is set and `password` is not: this login is not used";
        let run = fixture.workspace.run(&arguments).await;
        run.expect(0, &["warning: `auth.yaml`, line 1", "`pass`", half]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_options_are_taken() {
    let (source, there) = (open().await, open().await);
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    let three = ["linux/amd64", "linux/arm/v7", "linux/s390x"];
    fixture.publish("source.io/team/app:v1", &three).await;
    fixture.write("images.yaml", "source.io/team/app:v1:\n");
    let to = fixture.addressed("one.io");
    let from = fixture.addressed("source.io");
    let arguments = [
        "--images",
        "images.yaml",
        "-p",
        "4",
        "-r",
        "1",
        "--registry",
        &to,
        "--namespace",
        "ns",
        "--os",
        "linux",
        "--arch",
        "amd64",
        "--arch",
        "arm:v7",
        "--output-success-images",
        "out",
    ];
    fixture
        .sync(&arguments)
        .await
        .expect(0, &["1 of 1 in place"]);
    let expected = format!("\"{from}/team/app:v1\":\n- \"{to}/ns/app:v1\"\n");
    assert_eq!(fixture.addressed(&fixture.read("out")), expected);
    let tagged = there.manifests();
    let index = &tagged[&("ns/app".to_owned(), "v1".to_owned())];
    let index = format!("{index:?}");
    let json = [&arguments[..], &["--output-images-format", "json"]].concat();
    fixture.sync(&json).await.expect(0, &["1 of 1 in place"]);
    let json: serde_json::Value = serde_json::from_str(&fixture.read("out")).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 1, "{index}");
    // What it wrote is one of its files.
    fixture.write("images.yaml", &fixture.read("out"));
    fixture
        .sync(&["images.yaml"])
        .await
        .expect(0, &["1 of 1 in place"]);

    for (wrong, said) in [
        (
            vec!["--os", "linux", "--platform", "linux/amd64"],
            "cannot be used with",
        ),
        (vec!["--os", "linux", "--print"], "cannot be used with"),
        (
            vec!["--arch", "amd64", "--platform", "linux/amd64"],
            "cannot be used with",
        ),
        (vec!["--namespace", "x"], "--registry"),
        (
            vec!["--to", "a.io", "--namespace", "x"],
            "cannot be used with",
        ),
        (vec!["--output-images-format", "toml"], "yaml, json"),
        (vec!["--arch", "no such"], "no such"),
    ] {
        let run = fixture.sync(&[&["images.yaml"][..], &wrong].concat()).await;
        run.expect(2, &[said]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_rule_does_not_keep_the_others_from_being_printed() {
    let fixture = SyncFixture::between(&[]);
    fixture.write("images.yaml", "a.io/x:v1: b.io/x\na.io/y:/(/: b.io/y\n");
    let run = fixture.sync(&["images.yaml", "--print"]).await;
    run.expect(
        3,
        &["error: `images.yaml`, line 2: `(` is not a regular expression"],
    );
    let rule = "- source: \"a.io/x\"\n  targets:\n    - \"b.io/x\"\n  tags:\n    - \"v1\"\n";
    assert_eq!(run.stdout, rule);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_system_or_an_architecture_whatever_there_is_is_copied_and_an_image_without_is_passed_over()
 {
    let (source, there) = (open().await, open().await);
    let fixture = SyncFixture::between(&[("source.io", &source.host), ("one.io", &there.host)]);
    for (tag, platforms) in [
        (
            "both",
            &[
                "linux/amd64",
                "windows/amd64",
                "linux/arm/v6",
                "linux/arm/v7",
            ][..],
        ),
        ("mainframe", &["linux/s390x", "linux/ppc64le"]),
        ("single", &["linux/arm64"]),
    ] {
        let image = format!("source.io/app:{tag}");
        fixture.publish(&image, platforms).await;
    }
    let platforms = |repository: &str, tag: &str| -> Vec<String> {
        let manifests = there.manifests();
        let Some((_, bytes)) = manifests.get(&(repository.to_owned(), tag.to_owned())) else {
            return Vec::new();
        };
        let index: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let Some(children) = index["manifests"].as_array() else {
            return vec!["single".to_owned()];
        };
        let platforms = children.iter().map(|it| {
            let it: Platform = serde_json::from_value(it["platform"].clone()).unwrap();
            it.to_string()
        });
        platforms.collect()
    };
    for (repository, options, both, mainframe, single) in [
        (
            "a",
            &["--arch", "amd64"][..],
            &["linux/amd64", "windows/amd64"][..],
            0,
            0,
        ),
        ("b", &["--os", "windows"], &["windows/amd64"], 0, 0),
        (
            "c",
            &["--os", "linux", "--arch", "arm"],
            &["linux/arm/v6", "linux/arm/v7"],
            0,
            0,
        ),
        (
            "d",
            &["--arch", "arm:v7", "--arch", "arm64"],
            &["linux/arm/v7"],
            0,
            1,
        ),
        ("e", &["--os", "linux", "--arch", "s390x"], &[], 1, 0),
        ("f", &["--arch", "riscv64"], &[], 0, 0),
    ] {
        fixture.write(
            "images.yaml",
            &format!("source.io/app: one.io/{repository}"),
        );
        let run = fixture.sync(&[&["images.yaml"], options].concat()).await;
        run.expect(0, &[]);
        assert_eq!(platforms(repository, "both"), both, "{options:?}: {run}");
        assert_eq!(
            platforms(repository, "mainframe").len(),
            mainframe,
            "{options:?}: {run}"
        );
        assert_eq!(
            platforms(repository, "single").len(),
            single,
            "{options:?}: {run}"
        );
    }
    // Unless it is said to be a failure.
    let strict = [
        "images.yaml",
        "--arch",
        "amd64",
        "--missing-platform",
        "fail",
    ];
    let said = "there is no image for amd64; it has linux/s390x, linux/ppc64le";
    fixture
        .sync(&strict)
        .await
        .expect(3, &["1 of 3 in place", said]);
}
