//! Stages the build context: `docker/` and the unpacked packages, in one directory.
//!
//! It holds what git would check out: files that their owner may run have mode 0755, other files 0644, directories
//! 0755, whatever the umask of this checkout was. The same commit gives the same image everywhere.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::exit::bad_input;
use crate::image::context::{Context, Kind};

const DOCKERFILE: &str = "Dockerfile";

/// What a build must have that is not in the image: the rules hold for the packages too.
const IGNORE_FILES: [&str; 2] = [".dockerignore", "Dockerfile.dockerignore"];

/// macOS leaves this file in folders that were opened; in an image it would change the digest.
const FINDER: &str = ".DS_Store";

/// What `docker/` holds, without what is excluded.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): no Dockerfile, or something that no image can have.
pub fn list(docker: &Path) -> Result<Context> {
    let dockerfile = docker.join(DOCKERFILE);
    if !dockerfile.is_file() {
        return Err(bad_input(format!("there is no `{}`", dockerfile.display())));
    }
    Context::read_for_engine(docker, DOCKERFILE).map_err(bad_input)
}

/// Makes `context` hold `docker/` and `libs`, and nothing else. Returns what `docker/` has and the image will not, as
/// sentences.
pub fn stage(docker: &Path, context: &Path, libs: &[PathBuf]) -> Result<Vec<String>> {
    if let Some(missing) = libs.iter().find(|lib| !lib.is_dir()) {
        return Err(bad_input(format!(
            "`{}` is not there\nhint: run `cargo xtask extract`",
            missing.display()
        )));
    }
    for lib in libs {
        let own = docker.join(lib.file_name().unwrap_or_default());
        if own.symlink_metadata().is_ok() {
            return Err(bad_input(format!(
                "`{}` is in the way: the package is put there in the build context\nhint: remove it, or rename it",
                own.display()
            )));
        }
    }
    let listed = list(docker)?;
    fs::create_dir_all(context).with_context(|| format!("`{}`", context.display()))?;
    for entry in context.read_dir()? {
        let path = entry?.path();
        if !libs.contains(&path) {
            remove(&path).with_context(|| format!("`{}` cannot be removed", path.display()))?;
        }
    }
    let failed = |path: &Path| format!("`{}` cannot be copied", path.display());
    for name in IGNORE_FILES {
        let file = docker.join(name);
        if file.is_file() {
            copy(&file, &context.join(name), 0o644).with_context(|| failed(&file))?;
        }
    }
    for entry in &listed.entries {
        let to = context.join(&entry.name);
        if to.file_name().is_some_and(|name| name == FINDER) {
            continue;
        }
        let mode = if entry.mode & 0o100 == 0 {
            0o644
        } else {
            0o755
        };
        match &entry.kind {
            Kind::Directory => fs::create_dir(&to)
                .and_then(|()| fs::set_permissions(&to, Permissions::from_mode(0o755))),
            // Links are copied as links, as in a build of `docker/` itself.
            Kind::Link { target } => symlink(target, &to),
            Kind::File { .. } => copy(&entry.source, &to, mode),
        }
        .with_context(|| failed(&entry.source))?;
    }
    Ok(listed.warnings)
}

/// Removes a file, link or directory.
pub fn remove(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

fn copy(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    fs::copy(from, to)?;
    fs::set_permissions(to, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// `docker/` with a Dockerfile, and a context with one package.
    fn workspace() -> (tempfile::TempDir, PathBuf, PathBuf, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let (docker, context) = (root.path().join("docker"), root.path().join("context"));
        let lib = context.join("lib-amd64");
        fs::create_dir_all(&lib).unwrap();
        fs::create_dir(&docker).unwrap();
        fs::write(docker.join(DOCKERFILE), "").unwrap();
        (root, docker, context, lib)
    }

    fn names(context: &Path) -> Vec<String> {
        let names = context.read_dir().unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_context_holds_the_docker_directory_with_its_links_and_the_libs_and_no_more() {
        let (_root, docker, context, lib) = workspace();
        fs::create_dir_all(docker.join("more")).unwrap();
        fs::write(docker.join(FINDER), "").unwrap();
        fs::write(docker.join("more").join(FINDER), "").unwrap();
        symlink("more", docker.join("link")).unwrap();
        symlink("/nowhere", docker.join("lost")).unwrap();
        fs::write(context.join("left over"), "").unwrap();
        // Twice: existing files do not stop it.
        for _ in 0..2 {
            stage(&docker, &context, std::slice::from_ref(&lib)).unwrap();
        }
        assert_eq!(
            names(&context),
            ["Dockerfile", "lib-amd64", "link", "lost", "more"]
        );
        assert_eq!(names(&context.join("more")), [""; 0]);
        let target = fs::read_link(context.join("link")).unwrap();
        assert_eq!(target, Path::new("more"));
    }

    #[test]
    fn modes_are_those_that_git_keeps() {
        let (_root, docker, context, lib) = workspace();
        for (name, mode) in [("run", 0o700), ("secret", 0o600), ("all", 0o777)] {
            fs::write(docker.join(name), "").unwrap();
            fs::set_permissions(docker.join(name), Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(docker.join("folder")).unwrap();
        fs::set_permissions(docker.join("folder"), Permissions::from_mode(0o700)).unwrap();
        stage(&docker, &context, &[lib]).unwrap();
        let mode = |name: &str| {
            fs::metadata(context.join(name))
                .unwrap()
                .permissions()
                .mode()
        };
        let modes = ["run", "secret", "all", "folder"].map(|name| mode(name) & 0o7777);
        assert_eq!(modes, [0o755, 0o644, 0o755, 0o755]);
    }

    #[test]
    fn what_no_image_can_have_is_an_error_at_once_unless_it_is_ignored() {
        let (_root, docker, context, lib) = workspace();
        let libs = [lib];
        let _socket = UnixListener::bind(docker.join("app.sock")).unwrap();
        let pipe = std::process::Command::new("mkfifo")
            .arg(docker.join("pipe"))
            .status();
        assert!(pipe.unwrap().success());
        let error = stage(&docker, &context, &libs).unwrap_err().to_string();
        assert!(
            error.contains("app.sock")
                && error.contains("it is a socket")
                && error.contains("hint: "),
            "{error}"
        );
        fs::write(docker.join(".dockerignore"), "*.sock").unwrap();
        let error = stage(&docker, &context, &libs).unwrap_err().to_string();
        assert!(error.contains("it is a FIFO"), "{error}");
        fs::write(docker.join(".dockerignore"), "*").unwrap();
        stage(&docker, &context, &libs).unwrap();
        assert_eq!(
            names(&context),
            [".dockerignore", "Dockerfile", "lib-amd64"]
        );
    }

    #[test]
    fn what_the_image_will_lack_is_told() {
        let (_root, docker, context, lib) = workspace();
        let file = docker.join(DOCKERFILE);
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(file, "user.note", b"x", flags).is_err() {
            return; // A file system without attributes.
        }
        let warnings = stage(&docker, &context, &[lib]).unwrap();
        assert!(
            warnings[0].contains("`Dockerfile` (`user.note`)"),
            "{warnings:?}"
        );
    }

    #[test]
    fn a_directory_with_the_name_of_a_package_is_told() {
        let (_root, docker, context, lib) = workspace();
        fs::create_dir(docker.join("lib-amd64")).unwrap();
        let error = stage(&docker, &context, &[lib]).unwrap_err().to_string();
        assert!(error.contains("docker/lib-amd64` is in the way"), "{error}");
        assert!(error.contains("hint: "), "{error}");
    }
}
