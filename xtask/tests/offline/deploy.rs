//! What `deploy/` says to this program: command lines that it takes, and parts that are as many as they say.

use std::path::Path;

use xtask::cli::{Cli, Command, MergeArgs, ReportCommand, SyncArgs};
use xtask::sync::{self, Inputs};

fn manifest(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The value of the one line that begins with `key`.
fn value<'m>(manifest: &'m str, key: &str) -> &'m str {
    let values = manifest
        .lines()
        .filter_map(|it| it.trim().strip_prefix(key));
    let [value] = values.collect::<Vec<_>>()[..] else {
        panic!("`{key}` stands there once: {manifest}");
    };
    value.split(" # ").next().unwrap().trim()
}

/// The command of the one container.
fn command(manifest: &str) -> Command {
    let mut line: Vec<String> = serde_json::from_str(value(manifest, "args:")).unwrap();
    line.insert(0, "xtask".to_owned());
    let line = line.into_iter().map(Into::into).collect();
    Cli::parse_as("xtask", line).unwrap().command.unwrap()
}

fn sync() -> SyncArgs {
    match command(&manifest("sync.yaml")) {
        Command::Sync(args) => *args,
        other => panic!("{other:?}"),
    }
}

fn merge() -> MergeArgs {
    match command(&manifest("merge.yaml")) {
        Command::Report(ReportCommand::Merge(args)) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_pods_of_kubernetes_are_as_many_as_the_parts_and_the_reports() {
    let manifest = manifest("sync.yaml");
    let parts = value(&manifest, "completions:");
    assert_eq!(sync().options.shard.as_deref(), Some(parts));
    assert_eq!(value(&manifest, "parallelism:"), parts);

    // What `sed` and Kubernetes make of both.
    let report = sync().options.report.unwrap();
    let report = report.to_str().unwrap().replace("$(JOB_NAME)", "JOB");
    let report = report.strip_prefix("/reports/").unwrap();
    let written = (0..parts.parse().unwrap())
        .map(|index: usize| report.replace("$(JOB_COMPLETION_INDEX)", &index.to_string()));
    let read = merge().files;
    let read = read.iter().map(|it| it.to_str().unwrap().to_owned());
    assert!(written.eq(read), "{:?}", merge().files);
}

#[test]
fn the_name_of_the_job_gets_wherever_it_belongs() {
    let manifest = manifest("merge.yaml");
    let sed = manifest
        .lines()
        .find_map(|it| it.split_once("sed ")?.1.split_once(" deploy/"));
    let (arguments, _) = sed.unwrap();
    let script = format!("job=job.batch/sync-7; printf %s \"$0\" | sed {arguments}");
    let mut shell = std::process::Command::new("sh");
    let named = shell.args(["-c", &script, &manifest]).output().unwrap();
    let named = String::from_utf8(named.stdout).unwrap();
    let named = named.lines().filter(|it| !it.starts_with('#'));
    let named: String = named.collect();
    assert!(named.contains("name: sync-7-merge"), "{named}");
    assert!(
        named.contains("\"sync-7-3.json\"") && !named.contains("JOB"),
        "{named}"
    );
}

#[test]
fn the_example_of_kubernetes_is_a_file_that_is_read() {
    let manifest = manifest("sync.yaml");
    let (_, data) = manifest.split_once("  images.yaml: |\n").unwrap();
    let lines = data.lines().map_while(|it| it.strip_prefix("    "));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("images.yaml");
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    assert!(sync().files[0].ends_with("images.yaml"));
    let inputs = Inputs {
        files: vec![file],
        ..Inputs::default()
    };
    let request = sync::read(&inputs, &|_| None).unwrap();
    assert_eq!((request.rules.len(), request.wrong.len()), (2, 0));
}

#[test]
fn nobody_is_root_and_nothing_but_volumes_is_written() {
    for name in ["sync.yaml", "merge.yaml"] {
        let manifest = manifest(name);
        for (key, wanted) in [
            ("runAsNonRoot:", "true"),
            ("readOnlyRootFilesystem:", "true"),
            ("allowPrivilegeEscalation:", "false"),
            ("automountServiceAccountToken:", "false"),
        ] {
            assert_eq!(value(&manifest, key), wanted, "{name}: {key}");
        }
        let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/xtask/Dockerfile");
        let dockerfile = std::fs::read_to_string(dockerfile).unwrap();
        let user = value(&manifest, "runAsUser:");
        assert_eq!(value(&dockerfile, "USER "), format!("{user}:{user}"));
    }
}
