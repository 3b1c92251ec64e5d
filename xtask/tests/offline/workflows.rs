//! Facts in files that no compiler reads: the workflows, what they run, and the version of Rust.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use toml::{Table, Value};
use xtask::copy::{CopyResult, CopyStatus};
use xtask::exit::Exit;
use xtask::oci::Reference;
use xtask::report::{Content, Report, ShardReport, SyncReport};
use xtask::sync::{self, Inputs};

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

const WORKFLOWS: [&str; 4] = ["ci", "release", "sync", "tool-image"];

fn workflow(name: &str) -> String {
    read(&format!(".github/workflows/{name}.yml"))
}

fn facts() -> Table {
    let manifest: Table = read("Cargo.toml").parse().unwrap();
    manifest["workspace"].as_table().unwrap().clone()
}

fn registries(facts: &Table) -> impl Iterator<Item = (&str, &Value)> {
    let registries = &facts["metadata"]["release"]["registries"];
    let registries = registries.as_table().unwrap().iter();
    registries.map(|(name, registry)| (name.as_str(), registry))
}

#[test]
fn no_secret_is_there_while_something_is_compiled() {
    let build = read(".github/actions/build/action.yml");
    assert!(build.contains("cargo build --locked"), "{build}");
    assert!(!build.contains("secrets."));
    for name in WORKFLOWS {
        let text = workflow(name);
        let (head, steps) = text.split_once("    steps:\n").unwrap();
        assert!(!head.contains("secrets."), "{name}: for all steps");
        for step in steps.split("\n      - ") {
            let compiles = step.contains("cargo ") || step.contains("actions/build");
            assert!(!(compiles && step.contains("secrets.")), "{name}: {step}");
        }
    }
}

#[test]
fn the_variables_of_every_registry_reach_the_workflows() {
    let facts = facts();
    for (name, registry) in registries(&facts) {
        let prefix = registry["prefix"].as_str().unwrap();
        for suffix in ["REGISTRY", "NAMESPACE", "USERNAME", "PASSWORD"] {
            let line = format!("\n          {prefix}_{suffix}: ${{{{ ");
            for file in ["release", "sync", "tool-image"] {
                assert!(
                    workflow(file).contains(&line),
                    "{file}.yml has no `{prefix}_{suffix}`, for `{name}` of Cargo.toml"
                );
            }
        }
    }
}

#[test]
fn without_variables_the_mirror_is_between_the_registries_of_cargo_toml() {
    let inputs = Inputs {
        files: vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/sync.yaml")],
        ..Inputs::default()
    };
    let request = sync::read(&inputs, &|_| None).unwrap();
    let [rule] = &request.rules[..] else {
        panic!("one rule: {:?}", request.rules);
    };
    let targets = rule.destinations.iter().map(|it| it.repository.to_string());
    let mirror: Vec<String> = [rule.source.to_string()]
        .into_iter()
        .chain(targets)
        .collect();

    let facts = facts();
    let image = facts["metadata"]["release"]["image"].as_str().unwrap();
    let released = registries(&facts).map(|(_, registry)| {
        let host = registry["registry"].as_str().unwrap();
        match registry.get("namespace").and_then(Value::as_str) {
            Some(namespace) => format!("{host}/{namespace}/{image}"),
            None => format!("{host}/{image}"),
        }
    });
    assert_eq!(mirror, released.collect::<Vec<_>>());
}

/// The script of the step `name` of a workflow.
fn script(workflow: &str, name: &str) -> String {
    let (_, step) = workflow
        .split_once(&format!("      - name: {name}\n"))
        .unwrap();
    let (_, script) = step.split_once("        run: |\n").unwrap();
    let lines = script
        .lines()
        .take_while(|line| line.starts_with("          "));
    lines.map(|line| format!("{}\n", line.trim())).collect()
}

/// The report of part `number` of two, with one image.
fn report(number: usize, status: CopyStatus) -> Report {
    let repository = "b.io/app".parse::<Reference>().unwrap().repository;
    let name = format!("a.io/app:v{number}");
    let mut image = CopyResult::failed(name, &repository, "down".to_owned(), None);
    image.status = status;
    let sync = SyncReport {
        shard: Some(ShardReport {
            number,
            of: 2,
            by: None,
            request: None,
        }),
        images: vec![image],
        ..SyncReport::default()
    };
    let exit = match status {
        CopyStatus::Failed => Exit::Failed,
        _ => Exit::Done,
    };
    Report::new(SystemTime::now(), exit, None, Content::Sync(sync))
}

/// The exit code and the words of the step of sync.yml that merges the reports of `parts`, which ended with `result`.
fn merged(parts: &[(usize, CopyStatus)], result: &str) -> (i32, String) {
    let directory = tempfile::tempdir().unwrap();
    for (number, status) in parts {
        let file = directory.path().join(format!("part-{number}.json"));
        std::fs::write(file, report(*number, *status).to_json()).unwrap();
    }
    let script = script(&workflow("sync"), "Merge");
    let script = script.replace("target/debug/xtask", env!("CARGO_BIN_EXE_xtask"));
    // GitHub runs `shell: bash` so.
    let output = Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", &script])
        .current_dir(directory.path())
        .env("PARTS", result)
        .env_remove("GITHUB_ACTIONS")
        .output()
        .unwrap();
    let said = std::fs::read_to_string(directory.path().join("sync.log")).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn the_parts_of_a_sync_are_as_many_as_they_say() {
    let text = workflow("sync");
    let line = |name: &str| {
        let (_, line) = text.split_once(&format!("        {name}: [")).unwrap();
        let (line, _) = line.split_once(']').unwrap();
        line.split(", ")
            .map(|it| it.parse().unwrap())
            .collect::<Vec<usize>>()
    };
    let parts = line("part");
    assert_eq!(line("of"), [parts.len()]);
    assert!(parts.iter().copied().eq(1..=parts.len()));
}

#[test]
fn a_sync_in_parts_is_green_only_if_every_part_says_so() {
    let both = [(1, CopyStatus::Created), (2, CopyStatus::Equal)];
    let (code, said) = merged(&both, "success");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("2 of 2 in place"), "{said}");
    let (code, said) = merged(
        &[(1, CopyStatus::Created), (2, CopyStatus::Failed)],
        "failure",
    );
    assert_eq!(code, 3, "{said}");
    let (code, said) = merged(&both[..1], "failure");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("there is no report of part 2"), "{said}");
    // Something else went wrong there.
    let (code, said) = merged(&both, "failure");
    assert_eq!(code, 1, "{said}");
    assert!(said.ends_with("the parts ended with: failure\n"), "{said}");
    let (code, said) = merged(&[], "skipped");
    assert_eq!(code, 2, "{said}");
}

/// What the last step of sync.yml does after a run that ended with `result`, when `open` is the number of the issue.
fn notified(result: &str, open: &str, log: Option<&str>) -> String {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    // A `gh` that finds the issue, and otherwise tells what it was called with and shows the file.
    write(
        "gh",
        "[ \"$1\" = api ] && { echo \"$OPEN\"; exit; }\necho \"$@\" >>calls\n\
         if [ -f issue.md ]; then cat issue.md >>calls; fi\n",
    );
    if let Some(log) = log {
        write("sync.log", log);
    }
    let workflow = workflow("sync");
    let (_, script) = workflow.rsplit_once("        run: |\n").unwrap();
    // GitHub runs it so.
    let status = Command::new("bash")
        .args(["-e", "-c"])
        .arg(format!("gh() {{ sh ./gh \"$@\"; }}\n{script}"))
        .current_dir(directory.path())
        .envs([("RESULT", result), ("OPEN", open)])
        .envs([
            ("RUN", "https://run/7"),
            ("TITLE", "The nightly sync failed"),
        ])
        .env("GH_REPO", "acme/app")
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read_to_string(directory.path().join("calls")).unwrap_or_default()
}

#[test]
fn a_failed_night_is_one_issue_until_a_night_succeeds() {
    assert_eq!(notified("success", "", None), "");
    let log = Some("@everyone `x`\nsync: 0 of 2 in place\n");
    let body = "https://run/7 ended with: failure. The end of its log:\n\n    @everyone `x`\n    sync: 0 of 2 in place\n";
    let created =
        format!("issue create --title The nightly sync failed --body-file issue.md\n{body}");
    assert_eq!(notified("failure", "", log), created);
    let added = format!("issue comment 12 --body-file issue.md\n{body}");
    assert_eq!(notified("failure", "12", log), added);
    let without_log = notified("cancelled", "", None);
    assert!(
        without_log.ends_with("\n    there is none\n"),
        "{without_log}"
    );
    let closed = "issue close 12 --comment Everything is in place again: https://run/7\n";
    assert_eq!(notified("success", "12", None), closed);
}

#[test]
fn the_version_of_rust_stands_in_one_place() {
    let toolchain: Table = read("rust-toolchain.toml").parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    // Cargo compares versions and reads no rust-toolchain.toml: the one place that is unavoidable.
    let minimum = facts()["package"]["rust-version"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(channel, format!("{minimum}.0"));
    let mut files: Vec<String> = WORKFLOWS
        .map(|it| format!(".github/workflows/{it}.yml"))
        .into();
    files.extend([".github/actions/build/action.yml", ".ci/run", "README.md"].map(str::to_owned));
    for file in files {
        assert!(!read(&file).contains(&minimum), "{file} repeats {minimum}");
    }
}
