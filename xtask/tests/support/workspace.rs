//! A workspace to release from, and the built program run in it as a person runs it.
//!
//! The program sees the variables given here and no others, and the images it made are gone when the
//! workspace is dropped.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::process::Command;

/// One registry of a workspace: name, prefix, host, namespace.
pub type Entry<'a> = (&'a str, &'a str, &'a str, &'a str);

pub struct Workspace {
    directory: TempDir,
    pub image: String,
    variables: Vec<(String, String)>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Workspace {
    pub fn new(platforms: &[&str], registries: &[Entry<'_>]) -> Workspace {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let image = format!("xtask-test-{}-{count}", std::process::id());
        let mut facts = format!(
            "[workspace]\n[workspace.metadata.release]\nimage = \"{image}\"\nplatforms = {platforms:?}\n\
             base-image = \"scratch\"\npackage-index = \"http://127.0.0.1:1/\"\n\
             github-repository = \"acme/product\"\n"
        );
        for (name, prefix, host, namespace) in registries {
            facts += &format!(
                "[workspace.metadata.release.registries.{name}]\nprefix = \"{prefix}\"\n\
                 registry = \"{host}\"\nnamespace = \"{namespace}\"\n"
            );
        }
        let workspace = Workspace {
            directory: tempfile::tempdir().unwrap(),
            image,
            variables: Vec::new(),
        };
        workspace.write("Cargo.toml", &facts);
        let docker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker");
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .args([&docker, workspace.path()])
            .status();
        assert!(copied.unwrap().success());
        workspace.with("SOURCE_DATE_EPOCH", "1767225600")
    }

    /// The same for an image of this name, which no engine may see: there, names must not meet.
    pub fn named(self, image: &str) -> Workspace {
        let facts = self.read("Cargo.toml").replace(&self.image, image);
        self.write("Cargo.toml", &facts);
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Workspace {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, name: &str, content: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Leaves a shell script in the path of the program.
    pub fn install(&mut self, name: &str, script: &str) {
        let bin = self.path().join("bin");
        let file = bin.join(name);
        // Written by another process: a file that this one has open for writing while it forks cannot be run.
        let write =
            "mkdir -p \"${1%/*}\" && printf '#!/bin/sh\\n%s' \"$2\" > \"$1\" && chmod +x \"$1\"";
        let arguments = ["-c", write, "sh", file.to_str().unwrap(), script];
        let shell = std::process::Command::new("sh").args(arguments).status();
        assert!(shell.unwrap().success());
        let others = std::env::var("PATH").unwrap_or_default();
        self.set("PATH", &format!("{}:{others}", bin.display()));
    }

    /// Whether a script was started that tells by `touch \"$0.started\"`.
    pub fn was_started(&self, name: &str) -> bool {
        self.path().join(format!("bin/{name}.started")).exists()
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The program with `arguments`, ready to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.other(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments);
        command
    }

    /// Another program, started as the program would be.
    pub fn other(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env_clear()
            .env("CARGO_PKG_NAME", "xtask") // As cargo starts it.
            .kill_on_drop(true);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(host) = std::env::var_os("DOCKER_HOST")
            && !self.variables.iter().any(|(name, _)| name == "DOCKER_HOST")
        {
            command.env("DOCKER_HOST", host);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().await.unwrap())
    }
}

impl Run {
    pub fn of(output: std::process::Output) -> Run {
        Run {
            code: output.status.code().expect("the program exits by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails unless the program ended with `code` and said each of `parts`.
    #[track_caller]
    pub fn expect(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{self}");
        for part in parts {
            assert!(
                self.stdout.contains(part) || self.stderr.contains(part),
                "`{part}` was not said:\n{self}"
            );
        }
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit {}\n--- stdout\n{}--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let docker = |arguments: &[&str]| {
            std::process::Command::new("docker")
                .args(arguments)
                .output()
        };
        let Ok(list) = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]) else {
            return;
        };
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        let own = list
            .lines()
            .filter(|name| name.contains(&format!("{}:", self.image)));
        let arguments: Vec<&str> = ["image", "rm", "--force"].into_iter().chain(own).collect();
        if arguments.len() > 3 {
            let _ = docker(&arguments);
        }
    }
}
