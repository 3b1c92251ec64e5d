//! What is said where: GitHub Actions, and no secret anywhere.

use fakes::registry::{AuthMode, Behavior, FakeRegistry, Fault, PASSWORD, USER};
use hyper::Method;

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

/// What a registry says is shown, and is nothing but text wherever it is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_registrys_words_are_no_markdown_no_html_no_log_line_and_no_command() {
    let registry = FakeRegistry::start(Behavior::default()).await;
    let mut fixture = SyncFixture::between(&[("one.io", &registry.host)]);
    fixture.publish("one.io/app:v1", &["linux/amd64"]).await;
    let path = fixture.workspace.path().join("summary.md");
    fixture
        .workspace
        .set("GITHUB_STEP_SUMMARY", path.to_str().unwrap());
    fixture.workspace.set("GITHUB_ACTIONS", "true");
    fixture.write("images.yaml", "one.io/app:v1: one.io/copy");
    let said = "{\"errors\": [{\"code\": \"X\\n::warning::forged\", \"message\": \"<img src=x> \
                [sign in](https://evil.example/) <!-- `|` @you\\n::error::forged\\n##[error]forged \\u001b[2J\"}]}";
    let fault = Fault::Respond(400, &[], said);
    registry.fault(Method::PUT, "/copy/manifests/", fault);
    let arguments = [
        "images.yaml",
        "--retries",
        "0",
        "--log",
        "sync.log",
        "--report",
        "r.json",
    ];
    let run = fixture.sync(&arguments).await;
    run.expect(1, &["sign in"]);

    let summary = fixture.read("summary.md");
    let shown = r"&lt;img src=x&gt; \[sign in\](https\://evil.example/) &lt;!-- \`\|\` @<wbr>you ::error::forged";
    assert!(summary.contains(shown), "{summary}");
    for text in [&run.stderr, &fixture.read("sync.log")] {
        assert!(
            !text.contains('\u{1b}') && !text.contains("##[error]forged"),
            "{text}"
        );
        for line in text.lines() {
            let line = line
                .split_once("Z ")
                .map_or(line, |(_, line)| line)
                .trim_start();
            assert!(
                !line.starts_with("::error::forged") && !line.starts_with("::warning::forged"),
                "{text}"
            );
        }
    }
    let report = fixture.report("r.json");
    let reason = report["images"][0]["reason"].as_str().unwrap();
    assert!(!reason.contains(['\n', '\u{1b}']), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_has_said_much_keeps_its_summary() {
    let registry = FakeRegistry::start(Behavior::default()).await;
    let mut fixture = SyncFixture::between(&[("one.io", &registry.host)]);
    let digest = fixture.publish("one.io/app:v1", &["linux/amd64"]).await;
    let path = fixture.workspace.path().join("summary.md");
    fixture
        .workspace
        .set("GITHUB_STEP_SUMMARY", path.to_str().unwrap());
    fixture.workspace.set("GITHUB_ACTIONS", "true");
    fixture.write("images.yaml", &format!("one.io/app@{digest}: one.io/copy"));
    for before in [0, (1 << 20) - 200, (1 << 20) - 10] {
        fixture.write("summary.md", &"x".repeat(before));
        let run = fixture.sync(&["images.yaml", "--dry-run"]).await;
        run.expect(0, &[]);
        let length = fixture.workspace.read("summary.md").len();
        assert!(length <= 1 << 20 && length >= before, "{length} bytes");
    }
}
