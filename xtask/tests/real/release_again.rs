//! Releases that go on where an earlier one ended: what the registries hold by then decides, and is not believed blindly.

use fakes::registry::Behavior;

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
