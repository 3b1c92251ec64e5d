//! Verifying a release against its report, and moving tags by manifest only.

use crate::support::stage::{PASSWORD, Stage, VERSION};

/// A stage whose first two registries hold the version; the third is left out.
async fn released() -> Stage {
    let mut stage = Stage::new(2).await;
    stage.workspace.set("ALIYUN_ACR_USERNAME", "");
    stage.workspace.set("ALIYUN_ACR_PASSWORD", "");
    // Through the engine, which leaves a tag for each platform: something else to move a tag to.
    let arguments = [
        "docker-push-all",
        "--via",
        "engine",
        "--report",
        "report.json",
    ];
    stage.workspace.run(&arguments).await.expect(0, &[]);
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_moved_everywhere_and_verify_sees_what_differs() {
    let stage = released().await;
    stage
        .workspace
        .run(&["verify", "report.json"])
        .await
        .expect(0, &["8 tags as reported, 0 not"]);

    stage
        .workspace
        .run(&["promote", "v1.2.3", "--tag", "stable"])
        .await
        .expect(0, &["promote 1.2.3 to stable: done"]);
    for number in 0..2 {
        assert_eq!(stage.raw(number, "stable"), stage.raw(number, VERSION));
    }

    // Somebody moves `latest` of one registry behind our back.
    stage
        .workspace
        .run(&["promote", "1.2.3-linux-amd64", "--tag", "latest"])
        .await
        .expect(0, &[]);
    let verify = stage.workspace.run(&["verify", "report.json"]).await;
    verify.expect(1, &["6 tags as reported, 2 not", ":latest"]);
    // The rollback.
    stage
        .workspace
        .run(&["promote", VERSION, "--tag", "latest"])
        .await
        .expect(0, &[]);
    stage
        .workspace
        .run(&["verify", "report.json"])
        .await
        .expect(0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_moved_unless_every_registry_holds_the_version() {
    let mut stage = released().await;
    stage
        .workspace
        .run(&["promote", "9.9.9", "--tag", "latest"])
        .await
        .expect(1, &["does not hold `9.9.9`", "nothing was moved"]);
    stage.workspace.set("ALIYUN_ACR_USERNAME", "robot$ci");
    stage.workspace.set("ALIYUN_ACR_PASSWORD", PASSWORD);
    stage
        .workspace
        .run(&["promote", VERSION, "--tag", "stable"])
        .await
        .expect(1, &["cannot be asked", "nothing was moved"]);
    stage
        .workspace
        .run(&["promote", VERSION, "--tag", "no tag"])
        .await
        .expect(2, &["`no tag`"]);
    stage
        .workspace
        .run(&["verify", "nosuch.json"])
        .await
        .expect(2, &["`nosuch.json`"]);
}
