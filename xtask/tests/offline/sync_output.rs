//! What is said where: GitHub Actions, and no secret anywhere.

use fakes::registry::{AuthMode, Behavior, FakeRegistry, PASSWORD, USER};

use crate::support::sync_fixture::SyncFixture;

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_github_actions_gets_a_summary_and_no_output_holds_a_secret() {
    let guarded = |auth| {
        FakeRegistry::start(Behavior {
            auth,
            ..Behavior::default()
        })
    };
    let (source, basic, tokens) = (
        FakeRegistry::start(Behavior::default()).await,
        guarded(AuthMode::Basic).await,
        guarded(AuthMode::Tokens).await,
    );
    let mut fixture = SyncFixture::between(&[
        ("source.io", &source.host),
        ("basic.io", &basic.host),
        ("tokens.io", &tokens.host),
    ]);
    fixture.publish("source.io/app:v1", &["linux/amd64"]).await;
    for (name, file) in [
        ("GITHUB_STEP_SUMMARY", "summary.md"),
        ("GITHUB_OUTPUT", "output.txt"),
    ] {
        let path = fixture.workspace.path().join(file);
        fixture.workspace.set(name, path.to_str().unwrap());
    }
    fixture.workspace.set("GITHUB_ACTIONS", "true");
    fixture.workspace.set("GITHUB_REF", "refs/heads/publish");
    fixture.workspace.set("SECRET_NAME", PASSWORD);
    let auth = format!(
        "basic.io: {{username: '{USER}', password: '{PASSWORD}'}}\n\
         tokens.io: {{username: '{USER}', password: '${{SECRET_NAME}}'}}\n"
    );
    fixture.write("auth.yaml", &auth);
    let images = "source.io/app:v1: [basic.io/app, tokens.io/team/app, tokens.io/readonly/app]\n\
                  source.io/app:v9: basic.io/absent\nsource.io/app:/none/: basic.io/x";
    fixture.write("images.yaml", images);
    let run = async |auth: &str| {
        let files = [
            "images.yaml",
            "--auth",
            auth,
            "--log",
            "sync.log",
            "--report",
            "r.json",
        ];
        fixture
            .sync(
                &[
                    &files[..],
                    &["--succeeded", "s.log", "-vv", "--log-level", "debug"],
                ]
                .concat(),
            )
            .await
    };
    let mixed = run("auth.yaml").await;
    mixed.expect(
        3,
        &[
            "::warning::`images.yaml`, line 3: no tag of `source.io/app` is chosen",
            "2 of 4 in place",
        ],
    );
    fixture.write("wrong.yaml", &auth.replace(USER, "somebody"));
    let refused = run("wrong.yaml").await;
    refused.expect(
        2,
        &[
            "::error::",
            "`basic.io` refused the login",
            "`tokens.io` refused the login",
        ],
    );

    let summary = fixture.read("summary.md");
    for part in [
        "## sync: 2 of 4 in place, ",
        "| basic.io | 1 | 0 | 0 | 0 | 1 |",
        "| source.io/app:v1 | tokens.io/readonly/app:v1 | failed | ",
    ] {
        assert!(summary.contains(part), "{summary}");
    }
    let output = fixture.read("output.txt");
    assert_eq!(output, "exit_code=3\nin_place=2\nfailed=2\n");
    let mut said = vec![
        mixed.stdout,
        mixed.stderr,
        refused.stdout,
        refused.stderr,
        summary,
    ];
    said.extend(["sync.log", "r.json", "s.log"].map(|file| fixture.read(file)));
    for text in said {
        // As it is, in base64 alone and with the user, and the tokens that it was changed for.
        for secret in [PASSWORD, "cD4+PnB+fn4/JA", "JHg6cD4+PnB+fn4/JA", "token-1"] {
            assert!(!text.contains(secret), "`{secret}` is in\n{text}");
        }
    }
}
