//! Releases that go on where an earlier one ended: what the registries hold by then decides, and is not believed blindly.

use fakes::registry::{Behavior, FakeRegistry, Fault};
use hyper::Method;

use crate::servers::engine_image::{EngineImage, engine};
use crate::servers::release_fixture::{ReleaseFixture, TAGS};

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_gets_the_digest_it_had_in_the_run_before() {
    let fixture = ReleaseFixture::new(2).await;
    let sample = EngineImage::build(&engine().await, "amd64").await;
    let more = ["--dest-oci-accept-uncompressed-layers"];
    let archive = sample.as_skopeo_writes_it("oci-archive", &more);
    let archive = format!("oci-archive:{}", archive.display());
    let first = ["docker-push", "--image", &archive, "--compression", "zstd"];
    fixture.workspace.run(&first).await.expect(0, &[]);
    // Made anew its layers would be gzip.
    let second = ["docker-push-azure", "--image", &archive];
    fixture.workspace.run(&second).await.expect(0, &[]);
    fixture.same(&TAGS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_lost_a_layer_is_no_source() {
    let mut fixture = ReleaseFixture::new(2).await;
    let lossy = fixture.in_memory("ALIYUN_ACR", Behavior::default()).await;
    let push = ["docker-push-aliyun", "--builder", "engine"];
    fixture.workspace.run(&push).await.expect(0, &[]);
    {
        let blobs = lossy.blobs().into_iter();
        let largest = blobs.max_by_key(|(_, bytes)| bytes.len());
        let ((repository, digest), _) = largest.unwrap();
        lossy.remove_blob(&repository, &digest);
    }
    let push = ["docker-push-azure", "--builder", "engine"];
    let run = fixture.workspace.run(&push).await;
    run.expect(0, &["pushed, tags 1.2.3, 1.2, 1, latest set"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_on_the_way_is_a_wrong_setting() {
    let mut fixture = ReleaseFixture::new(2).await;
    let fickle = fixture.in_memory("ALIYUN_ACR", Behavior::default()).await;
    // The preflight does not ask for blobs.
    for _ in 0..20 {
        let refused = Fault::Respond(401, &[("www-authenticate", "Basic realm=\"r\"")], "");
        fickle.fault(Method::HEAD, "/blobs/", refused);
    }
    let run = fixture.workspace.run(&["docker-push-aliyun"]).await;
    run.expect(2, &["ALIYUN_ACR_PASSWORD"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_skipped_but_holds_the_version_counts() {
    let mut fixture = ReleaseFixture::new(2).await;
    let open = FakeRegistry::start(Behavior::default()).await;
    fixture.workspace.set("ALIYUN_ACR_REGISTRY", &open.host);
    let facts = fixture.workspace.read("Cargo.toml");
    let facts = facts.replace("github-repository", "require = \"all\"\ngithub-repository");
    fixture.workspace.write("Cargo.toml", &facts);
    let run = fixture.workspace.run(&["docker-push-all"]).await;
    run.expect(0, &["tags 1.2.3, 1.2, 1, latest set"]);

    // Everyone may read there, so that it can be asked.
    for variable in ["ALIYUN_ACR_USERNAME", "ALIYUN_ACR_PASSWORD"] {
        fixture.workspace.set(variable, "");
    }
    let run = fixture.workspace.run(&["release"]).await;
    run.expect(0, &["docker-push-aliyun  skipped"]);
    assert!(fixture.github.release().notes.contains(&open.host));
}
