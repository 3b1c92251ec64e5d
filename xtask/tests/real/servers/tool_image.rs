//! The image of this program in the engine, as `docker/xtask/stage` and the program make it.
//!
//! The image is gone when it is dropped.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::release_fixture::ARCHITECTURE;

pub struct ToolImage {
    /// With its tag.
    pub name: String,
}

impl ToolImage {
    pub fn build() -> ToolImage {
        let directory = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_xtask");
        let stage = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/xtask/stage");
        run(Command::new(stage)
            .arg(directory.path())
            .arg(format!("{ARCHITECTURE}={program}")));
        // The program of the tests is no static one: what it needs goes to the same places.
        let lib = format!("output/docker-build-context/lib-{ARCHITECTURE}");
        let lib = directory.path().join(lib);
        let needed = run(Command::new("ldd").arg(program));
        for file in needed
            .split_whitespace()
            .filter_map(|it| it.strip_prefix('/'))
        {
            let to = lib.join(file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(Path::new("/").join(file), to).unwrap();
        }
        let version = format!("0.0.0-test.{}", std::process::id());
        let mut build = Command::new(program);
        build
            .args(["docker-build", "--load", "--skip", "download", "extract"])
            .args(["--release-version", &version])
            .current_dir(directory.path())
            .env_remove("GITHUB_ACTIONS");
        run(&mut build);
        ToolImage {
            name: format!("xtask:{version}"),
        }
    }
}

impl Drop for ToolImage {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["image", "rm", "--force", &self.name])
            .output();
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
