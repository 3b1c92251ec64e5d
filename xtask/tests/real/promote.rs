//! Verifying a release against its report, and moving tags by manifest only.

use crate::servers::release_fixture::{PASSWORD, ReleaseFixture, VERSION};

/// A fixture whose first two registries hold the version; the third is left out.
async fn released() -> ReleaseFixture {
    let mut fixture = ReleaseFixture::new(2).await;
    fixture.workspace.set("ALIYUN_ACR_USERNAME", "");
    fixture.workspace.set("ALIYUN_ACR_PASSWORD", "");
    // Through the engine, which leaves a tag for each platform: something else to move a tag to.
    let arguments = [
        "docker-push-all",
        "--via",
        "engine",
        "--report",
        "report.json",
    ];
    fixture.workspace.run(&arguments).await.expect(0, &[]);
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_moved_everywhere_and_verify_sees_what_differs() {
    let fixture = released().await;
    fixture
        .workspace
        .run(&["verify", "report.json"])
        .await
        .expect(0, &["8 tags as reported, 0 not"]);

    fixture
        .workspace
        .run(&["promote", "v1.2.3", "--tag", "stable"])
        .await
        .expect(0, &["promote 1.2.3 to stable: done"]);
    for number in 0..2 {
        assert_eq!(fixture.raw(number, "stable"), fixture.raw(number, VERSION));
    }

    // Somebody moves `latest` of one registry behind our back.
    fixture
        .workspace
        .run(&["promote", "1.2.3-linux-amd64", "--tag", "latest"])
        .await
        .expect(0, &[]);
    let verify = fixture.workspace.run(&["verify", "report.json"]).await;
    verify.expect(1, &["6 tags as reported, 2 not", ":latest"]);
    // The rollback.
    fixture
        .workspace
        .run(&["promote", VERSION, "--tag", "latest"])
        .await
        .expect(0, &[]);
    fixture
        .workspace
        .run(&["verify", "report.json"])
        .await
        .expect(0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_moved_where_nobody_holds_the_version_and_a_dead_registry_fails_alone() {
    let mut fixture = released().await;
    fixture
        .workspace
        .run(&["promote", "9.9.9", "--tag", "latest"])
        .await
        .expect(1, &["does not hold `9.9.9`", "nothing was moved"]);
    fixture.workspace.set("ALIYUN_ACR_USERNAME", "robot$ci");
    fixture.workspace.set("ALIYUN_ACR_PASSWORD", PASSWORD);
    fixture
        .workspace
        .run(&["promote", VERSION, "--tag", "stable"])
        .await
        .expect(3, &["cannot be asked", "moved"]);
    fixture
        .workspace
        .run(&["promote", VERSION, "--tag", "no tag"])
        .await
        .expect(2, &["`no tag`"]);
    fixture
        .workspace
        .run(&["verify", "nosuch.json"])
        .await
        .expect(2, &["`nosuch.json`"]);
}
