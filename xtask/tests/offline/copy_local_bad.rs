//! `copy` of what is no image, not one, or damaged: a clear sentence, and nothing in any registry.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use fakes::noise;
use serde_json::Value;
use xtask::oci::Digest;

use crate::support::images::{built, image};
use crate::support::local_images::{Fixture, archive, docker_archive, layout};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_image_is_said_and_nothing_is_touched() {
    let mut it = Fixture::new().await;
    it.fixture
        .workspace
        .set("DOCKER_HOST", "unix:///nonexistent.sock");
    fs::create_dir(it.path("folder")).unwrap();
    fs::write(it.path("noise"), noise("no archive", 100_000)).unwrap();
    fs::write(it.path("empty"), "").unwrap();
    let (old, new) = (built("old", 1000), built("new", 1000));
    layout(&it.path("two"), &[(&old, "1"), (&new, "2")]);
    archive(&it.path("two"), &it.path("two.tar"));
    docker_archive(&it.path("saved.tar"), &[("app:1", b"1"), ("app:2", b"2")]);
    let other = Digest::sha256_of(b"other");
    let platforms = ["amd64", "arm64"];
    let [app, db] = platforms.map(|it| image(&format!("linux/{it}"), &[noise(it, 9)]));
    layout(&it.path("platforms"), &[(&app, "app-1"), (&db, "db-7")]);
    archive(&it.path("platforms"), &it.path("platforms.tar"));
    for name in ["pipe", "blob-pipe"] {
        layout(&it.path(name), &[(&new, "1")]);
        let file = match name {
            "pipe" => it.path("pipe/index.json"),
            _ => it.path("blob-pipe/blobs/sha256").join(new.blobs[0].0.hex()),
        };
        fs::remove_file(&file).unwrap();
        let made = Command::new("mkfifo").arg(&file).status().unwrap();
        assert!(made.success());
    }
    layout(&it.path("device"), &[(&new, "1")]);
    fs::remove_file(it.path("device/index.json")).unwrap();
    symlink("/dev/zero", it.path("device/index.json")).unwrap();
    layout(&it.path("large"), &[(&new, "1")]);
    fs::write(it.path("large/index.json"), vec![b' '; 5 << 20]).unwrap();
    for (kind, name, said) in [
        (
            "oci",
            "nowhere",
            &["there is no directory of that name"][..],
        ),
        (
            "oci",
            "noise",
            &["there is no directory of that name", "hint: `oci-archive:"],
        ),
        (
            "docker-archive",
            "noise:app/tool:v1",
            &["there is no file of that name", "noise`, which holds one"],
        ),
        (
            "oci",
            "folder",
            &[
                "folder` is no image layout: it has no `index.json`",
                "hint: ",
            ],
        ),
        (
            "oci-archive",
            "nowhere.tar",
            &["there is no file of that name"],
        ),
        (
            "docker-archive",
            "folder",
            &["there is no file of that name", "hint: `oci:"],
        ),
        (
            "docker-archive",
            "noise",
            &["this is no image archive", "hint: `docker save`"],
        ),
        ("oci-archive", "noise", &["this is no image archive"]),
        ("oci-archive", "empty", &["this is no image archive"]),
        (
            "oci",
            "two",
            &["there are several images: 1, 2", "choose one: `:TAG`"],
        ),
        (
            "oci-archive",
            "two.tar",
            &["there are several images: 1, 2"],
        ),
        ("oci", "platforms", &["several images: app-1, db-7;"]),
        (
            "oci-archive",
            "platforms.tar",
            &["several images: app-1, db-7;"],
        ),
        ("oci", "pipe", &["pipe/index.json`: it is no regular file"]),
        ("oci", "blob-pipe", &["it is no regular file"]),
        ("oci", "device", &["it is no regular file"]),
        (
            "oci",
            "large",
            &["`index.json` of the image is larger than"],
        ),
        (
            "docker-archive",
            "saved.tar",
            &[
                "there are several images: app:1, app:2",
                "`skopeo copy docker-archive:FILE:NAME",
            ],
        ),
        (
            "oci",
            "two:3",
            &["there is no image `3` in it; it has 1, 2"],
        ),
        (
            "oci-archive",
            "two.tar:3",
            &["there is no image `3` in it; it has 1, 2"],
        ),
        (
            "oci",
            &format!("two@{other}"),
            &["there is no image `sha256:", "it has 1, 2"],
        ),
        (
            "docker",
            "app",
            &["no container engine answers at", "nonexistent.sock"],
        ),
    ] {
        let source = match kind {
            "docker" => "docker:app:1".to_owned(),
            kind => it.source(kind, name),
        };
        let copy = [&*source, "one.io/app:x", "two.io/app:x"];
        it.copy(&copy).await.expect(2, said);
        it.assert_nothing_written();
    }
    let source = it.source("oci", "two:1");
    for (arguments, said) in [
        (
            &["dir:folder", "one.io/app:x"][..],
            "`dir:folder` names no image; hint: `docker:NAME`",
        ),
        (
            &["containers-storage:app", "one.io/app"],
            "names no image; hint: ",
        ),
        (
            &["oci-archive:-", "one.io/app:x"],
            "standard input is not read, because",
        ),
        (
            &["docker:app", "one.io/app"],
            "`one.io/app` has no tag, and neither has the source; hint: `one.io/app:TAG`",
        ),
        (
            &[&source, &format!("one.io/app@{other}")],
            "a destination: it has a digest",
        ),
        (&[&source, "one.io/app:v*"], "a destination: "),
        (
            &[&source, "oci:folder"],
            "a destination: `oci:` is not in a registry",
        ),
        (
            &[&source, "one.io/app", "--tags", "v*"],
            "`--tags` chooses tags of a repository",
        ),
    ] {
        it.copy(arguments).await.expect(2, &[said]);
    }
    assert!(it.one.requests().len() < 20);
    it.assert_nothing_written();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_damaged_fails_everywhere_and_has_no_tag() {
    let it = Fixture::new().await;
    let image = built("app", 100_000);
    layout(&it.path("app"), &[(&image, "1")]);
    archive(&it.path("app"), &it.path("app.tar"));
    let (largest, bytes) = image.blobs.iter().max_by_key(|(_, it)| it.len()).unwrap();
    let whole = fs::read(it.path("app.tar")).unwrap();
    let begin = whole.windows(32).position(|it| *it == bytes[..32]).unwrap();
    fs::write(it.path("cut.tar"), &whole[..begin + 50_000]).unwrap();
    fs::write(it.path("cut-header.tar"), &whole[..begin - 100]).unwrap();
    let blob = |directory: &str| it.path(directory).join("blobs/sha256").join(largest.hex());
    for (directory, content) in [("corrupt", Some(noise("other", 100_000))), ("lacks", None)] {
        layout(&it.path(directory), &[(&image, "1")]);
        match content {
            Some(content) => fs::write(blob(directory), content).unwrap(),
            None => fs::remove_file(blob(directory)).unwrap(),
        }
    }
    for (source, said) in [
        (it.source("oci", "corrupt"), "is damaged"),
        (it.source("oci", "lacks"), "lacks `sha256:"),
        (it.source("oci-archive", "cut.tar"), "ends in the middle of"),
        (
            it.source("oci-archive", "cut-header.tar"),
            "ends in the middle of",
        ),
    ] {
        let report = it.path("report.json").display().to_string();
        let copy = [
            &*source,
            "one.io/app:1",
            "two.io/app:1",
            "--report",
            &report,
        ];
        let run = it.copy(&copy).await;
        run.expect(1, &[said, "0 of 2 in place"]);
        it.assert_nothing_written();
        let report: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
        assert_eq!(report["images"][1]["status"], "failed");
    }
}
