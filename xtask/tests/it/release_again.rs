//! Releases that go on where an earlier one ended: what the registries hold by then decides, and is not believed blindly.

use hyper::Method;

use crate::support::faulty::{Fault, Faulty, Habits};
use crate::support::sample::{Sample, engine};
use crate::support::stage::{Stage, TAGS};

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_gets_the_digest_it_had_in_the_run_before() {
    let stage = Stage::new(2).await;
    let sample = Sample::build(&engine().await, "amd64").await;
    let more = ["--dest-oci-accept-uncompressed-layers"];
    let archive = sample.as_skopeo_writes_it("oci-archive", &more);
    let archive = format!("oci-archive:{}", archive.display());
    let first = ["docker-push", "--image", &archive, "--compression", "zstd"];
    stage.workspace.run(&first).await.expect(0, &[]);
    // Made anew its layers would be gzip.
    let second = ["docker-push-azure", "--image", &archive];
    stage.workspace.run(&second).await.expect(0, &[]);
    stage.same(&TAGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_lost_a_layer_is_no_source() {
    let mut stage = Stage::new(2).await;
    let lossy = stage.in_memory("ALIYUN_ACR", Habits::default()).await;
    let run = stage.workspace.run(&["docker-push-aliyun"]).await;
    run.expect(0, &[]);
    {
        let blobs = &mut lossy.state().store.blobs;
        let largest = blobs.iter().max_by_key(|(_, bytes)| bytes.len());
        let (largest, _) = largest.unwrap();
        let largest = largest.clone();
        blobs.remove(&largest);
    }
    let run = stage.workspace.run(&["docker-push-azure"]).await;
    run.expect(0, &["pushed, tags 1.2.3, 1.2, 1, latest set"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_on_the_way_is_a_wrong_setting() {
    let mut stage = Stage::new(2).await;
    let fickle = stage.in_memory("ALIYUN_ACR", Habits::default()).await;
    // The preflight does not ask for blobs.
    for _ in 0..20 {
        let refused = Fault::Answer(401, &[("www-authenticate", "Basic realm=\"r\"")], "");
        fickle.fault(Method::HEAD, "/blobs/", refused);
    }
    let run = stage.workspace.run(&["docker-push-aliyun"]).await;
    run.expect(2, &["ALIYUN_ACR_PASSWORD"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_skipped_but_holds_the_version_counts() {
    let mut stage = Stage::new(2).await;
    let open = Faulty::start(Habits::default()).await;
    stage.workspace.set("ALIYUN_ACR_REGISTRY", &open.host);
    let facts = stage.workspace.read("Cargo.toml");
    let facts = facts.replace("github-repository", "require = \"all\"\ngithub-repository");
    stage.workspace.write("Cargo.toml", &facts);
    let run = stage.workspace.run(&["docker-push-all"]).await;
    run.expect(0, &["tags 1.2.3, 1.2, 1, latest set"]);

    // Everyone may read there, so that it can be asked.
    for variable in ["ALIYUN_ACR_USERNAME", "ALIYUN_ACR_PASSWORD"] {
        stage.workspace.set(variable, "");
    }
    let run = stage.workspace.run(&["release"]).await;
    run.expect(0, &["docker-push-aliyun  Skipped"]);
    assert!(stage.github.release().notes.contains(&open.host));
}
