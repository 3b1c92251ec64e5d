//! What is said where: GitHub Actions, and no secret anywhere.

use crate::support::door::{Door, PASSWORD, USER};
use crate::support::faulty::{Faulty, Habits};
use crate::support::mirror::Mirror;

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_github_actions_gets_a_summary_and_no_output_holds_a_secret() {
    let guarded = |door| {
        Faulty::start(Habits {
            door,
            ..Habits::default()
        })
    };
    let (source, basic, tokens) = (
        Faulty::start(Habits::default()).await,
        guarded(Door::Basic).await,
        guarded(Door::Tokens).await,
    );
    let mut mirror = Mirror::between(&[
        ("source.io", &source.host),
        ("basic.io", &basic.host),
        ("tokens.io", &tokens.host),
    ]);
    mirror.publish("source.io/app:v1", &["linux/amd64"]).await;
    for (name, file) in [
        ("GITHUB_STEP_SUMMARY", "summary.md"),
        ("GITHUB_OUTPUT", "output.txt"),
    ] {
        let path = mirror.workspace.path().join(file);
        mirror.workspace.set(name, path.to_str().unwrap());
    }
    mirror.workspace.set("GITHUB_ACTIONS", "true");
    mirror.workspace.set("GITHUB_REF", "refs/heads/publish");
    mirror.workspace.set("SECRET_NAME", PASSWORD);
    let auth = format!(
        "basic.io: {{username: '{USER}', password: '{PASSWORD}'}}\n\
         tokens.io: {{username: '{USER}', password: '${{SECRET_NAME}}'}}\n"
    );
    mirror.write("auth.yaml", &auth);
    let images = "source.io/app:v1: [basic.io/app, tokens.io/team/app, tokens.io/readonly/app]\n\
                  source.io/app:v9: basic.io/absent\nsource.io/app:/none/: basic.io/x";
    mirror.write("images.yaml", images);
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
        mirror
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
    mirror.write("wrong.yaml", &auth.replace(USER, "somebody"));
    let refused = run("wrong.yaml").await;
    refused.expect(
        2,
        &[
            "::error::",
            "`basic.io` refused the login",
            "`tokens.io` refused the login",
        ],
    );

    let summary = mirror.read("summary.md");
    for part in [
        "## sync: 2 of 4 in place, ",
        "| basic.io | 1 | 0 | 0 | 0 | 1 |",
        "| source.io/app:v1 | tokens.io/readonly/app:v1 | failed | ",
    ] {
        assert!(summary.contains(part), "{summary}");
    }
    let output = mirror.read("output.txt");
    assert_eq!(output, "exit_code=3\nin_place=2\nfailed=2\n");
    let mut said = vec![
        mixed.stdout,
        mixed.stderr,
        refused.stdout,
        refused.stderr,
        summary,
    ];
    said.extend(["sync.log", "r.json", "s.log"].map(|file| mirror.read(file)));
    for text in said {
        // As it is, in base64 alone and with the user, and the tokens that it was changed for.
        for secret in [PASSWORD, "cD4+PnB+fn4/JA", "JHg6cD4+PnB+fn4/JA", "token-1"] {
            assert!(!text.contains(secret), "`{secret}` is in\n{text}");
        }
    }
}
