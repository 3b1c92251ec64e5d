//! `copy` out of a real engine, and of what skopeo writes; skopeo reads what came of it.

use serde_json::Value;
use xtask::oci::Digest;

use crate::servers::distribution::Distribution;
use crate::servers::engine_image::{EngineImage, content, engine, skopeo};
use crate::servers::release_fixture::{ARCHITECTURE, ReleaseFixture, VERSION, skopeo_raw};
use crate::support::dead_address;
use crate::support::sync_fixture::SyncFixture;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_engine_has_the_digest_that_a_release_gives_it() {
    let fixture = ReleaseFixture::new(3).await;
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    let saved = format!("docker-archive:{}", sample.saved().display());
    let named = format!("docker:{}", sample.name);
    let release = ["docker-push-all", "--image", &named];
    let run = fixture.workspace.run(&release).await;
    run.expect(0, &[&format!("release {VERSION}: done")]);
    let released = Digest::sha256_of(&fixture.same(&[VERSION]));
    let [one, two, _] = [0, 1, 2].map(|it| &fixture.registries[it].host);
    for (source, name) in [(named, "engine"), (saved, "archive")] {
        let to = [format!("{one}/{name}:x"), format!("{two}/team/{name}:x,y")];
        let copy = ["copy", &source, &to[0], &to[1]];
        let run = fixture.workspace.run(&copy).await;
        run.expect(0, &["2 of 2 in place"]);
        for reference in [&to[0], &format!("{two}/team/{name}:y")] {
            let raw = skopeo_raw(reference).unwrap_or_else(|error| panic!("skopeo: {error}"));
            assert_eq!(Digest::sha256_of(&raw), released, "{reference}");
        }
    }
    // What one of them has is not exported again; the others get it from there.
    let named = format!("docker:{}", sample.name);
    let there = format!("{one}/engine:x");
    let other = format!("{two}/other:y");
    let copy = ["copy", &named, &there];
    let again = fixture.workspace.run(&copy).await;
    again.expect(0, &["1 of 1 in place", ", 0 B read"]);
    let report = ["--report", "r.json"];
    let copy = [&copy[..], &[&other], &report].concat();
    let run = fixture.workspace.run(&copy).await;
    run.expect(0, &["2 of 2 in place"]);
    let raw = skopeo_raw(&other).unwrap_or_else(|error| panic!("skopeo: {error}"));
    assert_eq!(Digest::sha256_of(&raw), released);
    let said: Value = serde_json::from_str(&fixture.workspace.read("r.json")).unwrap();
    let unpacked = std::fs::metadata(sample.saved()).unwrap().len();
    let read = said["bytes_read"].as_u64().unwrap();
    assert!(0 < read && read < unpacked, "{read} of {unpacked}");
    // What failed is tried again, and nothing else.
    let dead = format!("{}/app:x", dead_address());
    let copy = ["copy", &named, &there, &dead];
    let run = fixture.workspace.run(&[&copy[..], &report].concat()).await;
    run.expect(3, &["1 of 2 in place"]);
    let again = [&copy[..], &["--only-failed", "r.json"]].concat();
    let run = fixture.workspace.run(&again).await;
    run.expect(1, &["0 of 1 in place"]);
    let absent = ["copy", "docker:nope-xyz:1", &format!("{one}/nope")];
    let said = "the engine has no image `nope-xyz:1`\nhint: `docker image ls` shows";
    fixture.workspace.run(&absent).await.expect(2, &[said]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_skopeo_writes_is_copied_as_it_is_and_read_by_skopeo() {
    let there = Distribution::open();
    let fixture = SyncFixture::between(&[("one.io", &there.host)]);
    let sample = EngineImage::build(&engine().await, ARCHITECTURE).await;
    for (kind, tag) in [
        ("oci", ":1.2.3"),
        ("oci-archive", ":1.2.3"),
        ("docker-archive", ""),
    ] {
        let path = sample.as_skopeo_writes_it(kind, &[]);
        let source = format!("{kind}:{}{tag}", path.display());
        let to = format!("one.io/{kind}:1.2.3");
        let run = fixture.run(&["copy", &source, &to]).await;
        run.expect(0, &["1 of 1 in place"]);
        let written = match kind {
            "oci" => std::fs::read(path.join("index.json")).unwrap(),
            "oci-archive" => content(&path, "index.json"),
            _ => continue,
        };
        let index: Value = serde_json::from_slice(&written).unwrap();
        let written = index["manifests"][0]["digest"].as_str().unwrap();
        assert_eq!(fixture.digest(&to).as_str(), written);
    }
    // All of it is there, and unpacks: skopeo checks each digest.
    for (number, kind) in ["oci", "oci-archive", "docker-archive"].iter().enumerate() {
        let back = sample.path(&format!("back-{number}"));
        let from = format!("docker://{}/{kind}:1.2.3", there.host);
        skopeo(&[
            "--src-tls-verify=false",
            &from,
            &format!("dir:{}", back.display()),
        ]);
    }
}
