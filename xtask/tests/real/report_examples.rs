//! The examples of `docs/report.md` are run on reports as the program writes them.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use serde_json::json;
use xtask::exit::Exit;
use xtask::report::{Content, Report};

/// Reports in which every example finds something.
fn reports() -> [(&'static str, Report); 2] {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let registry = json!({
        "registry": "dockerhub", "reference": "docker.io/team/app:1.2.3", "status": "pushed",
        "tags": ["1.2.3", "latest"], "digest": digest, "bytes": 7, "seconds": 0.5, "note": "",
    });
    let release = json!({
        "kind": "release", "version": "1.2.3", "git_tag": "v1.2.3", "registries": [registry],
        "targets": [{"target": "github-release", "status": "failed", "note": "no", "seconds": 0.1}],
    });
    let image = |status: &str, digest: Option<&str>, change: &str| {
        json!({
            "image": "docker.io/library/nginx:1", "destination": "one.io", "reference": "one.io/nginx:1",
            "tags": ["1"], "diff": [{"tag": "1", "before": digest, "change": change}], "status": status,
            "digest": digest, "bytes": {"uploaded": 7, "mounted": 0, "skipped": 1}, "seconds": 0.5,
            "reason": null, "http_status": null, "incomplete": false,
        })
    };
    let images = [
        image("updated", Some(&digest), "changed"),
        image("failed", None, "missing"),
    ];
    let sync = json!({"kind": "sync", "dry_run": false, "bytes_read": 7, "images": images});
    [("release-report.json", release), ("sync-report.json", sync)].map(|(file, content)| {
        let content: Content = serde_json::from_value(content).unwrap();
        let report = Report::new(SystemTime::UNIX_EPOCH, Exit::Partial, None, content);
        (file, report)
    })
}

#[test]
fn each_example_finds_something() {
    let directory = tempfile::tempdir().unwrap();
    for (file, report) in reports() {
        std::fs::write(directory.path().join(file), report.to_json()).unwrap();
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.md");
    let page = std::fs::read_to_string(page).unwrap();
    let examples: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("jq "))
        .collect();
    assert!(examples.len() >= 8, "the examples were not found");
    let run = |example: &str| {
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", example]).current_dir(directory.path());
        shell.output().unwrap()
    };
    for &example in &examples {
        let shell = run(example);
        let error = String::from_utf8_lossy(&shell.stderr);
        assert!(
            shell.status.success(),
            "{example}\n{error}\nhint: xtask/tests/setup"
        );
        assert!(
            !shell.stdout.trim_ascii().is_empty(),
            "{example} prints nothing"
        );
    }

    // A registry without the image does not hold the same as the others.
    let release = directory.path().join("release-report.json");
    let report = std::fs::read_to_string(&release).unwrap();
    let digest = format!("\"sha256:{}\"", "ab".repeat(32));
    std::fs::write(&release, report.replace(&digest, "null")).unwrap();
    let one_image = examples.iter().find(|it| it.contains("unique")).unwrap();
    assert_eq!(run(one_image).status.code(), Some(1), "{one_image}");
}
