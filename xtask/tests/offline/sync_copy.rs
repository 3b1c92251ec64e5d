//! `copy` and `tags`: what the command line names, as `sync` copies it, in any folder.

use fakes::registry::{Behavior, FakeRegistry};
use hyper::Method;

use crate::support::sync_fixture::{SyncFixture, digest};

struct Registries {
    source: FakeRegistry,
    one: FakeRegistry,
    two: FakeRegistry,
    fixture: SyncFixture,
}

impl Registries {
    /// The tags of `source.io/app`, each an image of two platforms, and two empty registries.
    async fn new(tags: &[&str]) -> Registries {
        let [source, one, two] = [
            FakeRegistry::start(Behavior::default()).await,
            FakeRegistry::start(Behavior::default()).await,
            FakeRegistry::start(Behavior::default()).await,
        ];
        let fixture = SyncFixture::between(&[
            ("source.io", &source.host),
            ("one.io", &one.host),
            ("two.io", &two.host),
        ]);
        for tag in tags {
            let image = format!("source.io/app:{tag}");
            let platforms = ["linux/amd64", "linux/arm64"];
            fixture.publish(&image, &platforms).await;
        }
        Registries {
            source,
            one,
            two,
            fixture,
        }
    }

    fn tags(registry: &FakeRegistry, repository: &str) -> Vec<String> {
        let manifests = registry.manifests().into_keys();
        let tags = manifests.filter(|(name, tag)| name == repository && !tag.contains(':'));
        let mut tags: Vec<String> = tags.map(|(_, tag)| tag).collect();
        tags.sort();
        tags
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_image_goes_to_many_places_with_the_options_of_sync() {
    let it = Registries::new(&["v1", "v2"]).await;
    let copy = [
        "copy",
        &format!("docker://{}/app:v1", it.source.host),
        "one.io/app",
        &format!("docker://{}/app:latest", it.one.host),
        "two.io/team/app:stable",
    ];
    let dry = it.fixture.run(&[&copy[..], &["--dry-run"]].concat()).await;
    dry.expect(0, &["0 equal, 2 to do"]);
    assert!(Registries::tags(&it.one, "app").is_empty());
    let first = it.fixture.run(&copy).await;
    first.expect(0, &["/app:v1 -> one.io/app:v1,latest, ", "2 of 2 in place"]);
    assert_eq!(Registries::tags(&it.one, "app"), ["latest", "v1"]);
    assert_eq!(Registries::tags(&it.two, "team/app"), ["stable"]);
    let wanted = digest(&it.source, "app", "v1");
    assert_eq!(digest(&it.one, "app", "latest"), wanted);
    assert_eq!(digest(&it.two, "team/app", "stable"), wanted);
    let again = it.fixture.run(&copy).await;
    again.expect(0, &["2 of 2 in place, 0 B read"]);
    // Its own repository is a fine place, under another tag.
    let moved = ["copy", "source.io/app:v1", "source.io/app:v3"];
    it.fixture.run(&moved).await.expect(0, &["1 of 1 in place"]);
    assert_eq!(digest(&it.source, "app", "v3"), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_copied_as_sync_does() {
    let it = Registries::new(&["v1", "v2", "edge"]).await;
    let all = it
        .fixture
        .run(&["copy", "source.io/app", "one.io/app"])
        .await;
    all.expect(0, &["3 of 3 in place"]);
    let some = [
        "copy",
        "source.io/app:v*",
        "two.io/app",
        "--tags",
        "newest:1",
    ];
    it.fixture.run(&some).await.expect(0, &["1 of 1 in place"]);
    assert_eq!(Registries::tags(&it.one, "app"), ["edge", "v1", "v2"]);
    assert_eq!(Registries::tags(&it.two, "app"), ["v2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_shown_the_newest_first_and_nothing_is_written() {
    let it = Registries::new(&["v1.9.0", "v1.10.0", "edge", "v1.10.0-rc.1", "v2.0.0"]).await;
    for (patterns, shown) in [
        (&[][..], "v2.0.0\nv1.10.0\nv1.10.0-rc.1\nv1.9.0\nedge\n"),
        (&["v1*", "!*-rc*"], "v1.10.0\nv1.9.0\n"),
        (&["newest:1"], "v2.0.0\n"),
        (&["edge", "absent"], "edge\n"),
    ] {
        let run = it
            .fixture
            .run(&[&["tags", "source.io/app"], patterns].concat())
            .await;
        run.expect(0, &[]);
        assert_eq!(run.stdout, shown);
    }
    let as_skopeo = format!("docker://{}/app", it.source.host);
    let none = it.fixture.run(&["tags", &as_skopeo, "w*"]).await;
    none.expect(1, &["no tag of `source.io/app` is chosen"]);
    let absent = it.fixture.run(&["tags", "source.io/nothing"]).await;
    absent.expect(1, &["`source.io/nothing` does not exist"]);
    assert_eq!(it.source.count(Method::POST, "/nothing"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_said_and_nothing_is_asked() {
    let it = Registries::new(&[]).await;
    for (arguments, said) in [
        (
            &["copy", "source.io/app:v1", "source.io/app"][..],
            "a destination: `source.io/app` is both source and destination",
        ),
        (
            &["copy", "source.io/app:v1", "one.io/app", "source.io/app:v1"],
            "is both source and destination",
        ),
        (
            &[
                "copy",
                "source.io/app:v1",
                "one.io/app@sha256:14b267eb38aa85fd12d0e168fffa2d8a6187ac53a14a0212b0d4fce8d729598c",
            ],
            "a destination: it has a digest, which is the source's; hint: `REPOSITORY` or `REPOSITORY:TAG`",
        ),
        (
            &["copy", "source.io/app", "one.io/app:v1"],
            "the destination `one.io/app` names tags, but the source does not name as many",
        ),
        (&["copy", "source.io/APP", "one.io/app"], "the source: "),
        (
            &["copy", "https://me:secret@source.io/app", "one.io/app"],
            "the source: this is a URL; hint: leave out what is before the registry's host",
        ),
        (&["copy", "source.io/app"], "<DST>"),
        (
            &["copy", "--tags", "v1", "source.io/app", "one.io/app"],
            "tip: `--tags` and `--platform` take all that follows",
        ),
        (
            &["copy", "source.io/app:v1", "one.io"],
            "is a registry, and no repository in it is named; hint: `",
        ),
        (
            &["copy", "source.io/app:v1", "acme.azurecr.io"],
            "a destination: `acme.azurecr.io` is a registry, and no repository in it is named; hint: `acme.azurecr.io/REPOSITORY`",
        ),
        (&["tags", "localhost:5000"], "`localhost` is a registry"),
        (
            &["tags", "docker:dind"],
            "`docker:` is not in a registry, and has no tags to list; hint: `docker.io/library/docker`",
        ),
        (
            &["copy", "source.io/app", "docker-archive:a.tar"],
            "`docker-archive:` is not in a registry, and only into one is copied; hint: `REGISTRY/",
        ),
        (
            &[
                "tags",
                "source.io/app@sha256:14b267eb38aa85fd12d0e168fffa2d8a6187ac53a14a0212b0d4fce8d729598c",
            ],
            "the repository has a digest",
        ),
        (
            &["tags", "source.io/app", "semver:>>1"],
            "`--tags`: `>>1` is not a range",
        ),
    ] {
        let run = it.fixture.run(arguments).await;
        run.expect(2, &[said]);
        assert!(!run.stderr.contains("secret"), "{run}");
    }
    for registry in [&it.source, &it.one, &it.two] {
        assert!(registry.requests().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelled_command_is_told_whatever_follows_it_and_under_the_name_it_was_called_by() {
    let it = Registries::new(&[]).await;
    let hint = "hint: did you mean `sync`? It is a command of its own: `cargo xtask sync`";
    for more in [&[][..], &["images.txt"], &["-", "--to", "one.io/x"]] {
        let run = it.fixture.run(&[&["sycn"], more].concat()).await;
        run.expect(2, &["unknown target `sycn`", hint]);
    }
    let mut installed = it.fixture.workspace.command(&["sync", "--no-such"]);
    installed.env_remove("CARGO_PKG_NAME");
    let run = it.fixture.ended(installed.output().await.unwrap());
    run.expect(2, &["Usage: xtask sync"]);
    let run = it.fixture.run(&["sync", "--no-such"]).await;
    run.expect(2, &["Usage: cargo xtask sync"]);
}
