//! The engine that `docker` itself would use: the one at `DOCKER_HOST`, else that of the context which `DOCKER_CONTEXT`
//! or Docker's configuration names, else the first usual socket that is there, rootless and Podman's among them.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::env::Environment;
use crate::oci::Digest;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineAddress {
    /// As in `DOCKER_HOST`.
    pub host: String,
    /// The Docker context that says so.
    pub context: Option<String>,
}

impl EngineAddress {
    /// Why the engine there cannot be used, with the context that names it.
    pub fn explain(&self, error: impl Display) -> String {
        match &self.context {
            Some(name) => format!("docker's context `{name}`: {error}"),
            None => error.to_string(),
        }
    }
}

const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// `docker` is the directory of Docker's configuration.
///
/// # Errors
/// A context that is not there or cannot be used, in a sentence: it matters only where an engine is needed.
pub(super) fn find(
    environment: &Environment,
    docker: Option<&Path>,
) -> Result<EngineAddress, String> {
    let at = |host: String| EngineAddress {
        host,
        context: None,
    };
    if let Some(host) = environment.get("DOCKER_HOST") {
        return Ok(at(host.to_owned()));
    }
    let chosen = environment.get("DOCKER_CONTEXT").map(str::to_owned);
    let context = chosen.or_else(|| current_context(docker?));
    let context = context.filter(|name| name != "default");
    if let (Some(name), Some(docker)) = (&context, docker)
        && let Some(host) = of_context(docker, name)?
    {
        return Ok(EngineAddress { host, context });
    }
    let socket = sockets(environment).find(|socket| socket.exists());
    let socket = socket.unwrap_or_else(|| USUAL_SOCKET.into());
    Ok(at(format!("unix://{}", socket.display())))
}

/// As `docker context use` left it. A file that cannot be read names none, as for `docker`.
fn current_context(docker: &Path) -> Option<String> {
    let text = std::fs::read(docker.join("config.json")).ok()?;
    let config: Value = serde_json::from_slice(&text).ok()?;
    let name = config["currentContext"].as_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// What the context says of its engine; `None` if it leaves that to Docker.
fn of_context(docker: &Path, name: &str) -> Result<Option<String>, String> {
    let id = Digest::sha256_of(name.as_bytes()).hex().to_owned();
    let contexts = docker.join("contexts");
    let file = contexts.join("meta").join(&id).join("meta.json");
    let problem = |why: String| {
        format!(
            "docker's context `{name}`, which is in use, {why}\nhint: `docker context ls` lists those that there are; \
             `DOCKER_HOST` overrides"
        )
    };
    let text = std::fs::read(&file);
    let text = text.map_err(|e| problem(format!("cannot be read: `{}`: {e}", file.display())))?;
    let meta: Result<Value, _> = serde_json::from_slice(&text);
    let meta = meta.map_err(|error| problem(format!("is not JSON: {error}")))?;
    if contexts.join("tls").join(&id).join("docker").exists() {
        let why = "has certificates for its engine, which only `docker` itself can use".to_owned();
        return Err(problem(why));
    }
    let host = meta["Endpoints"]["docker"]["Host"].as_str();
    let host = host.filter(|host| !host.is_empty());
    Ok(host.map(str::to_owned))
}

/// Where engines listen that nobody has named, in the order in which they are taken.
fn sockets(environment: &Environment) -> impl Iterator<Item = PathBuf> {
    let below = |name: &str, paths: &[&str]| -> Vec<PathBuf> {
        let directory = environment.get(name).map(Path::new);
        let paths = paths.iter();
        directory.map_or_else(Vec::new, |it| paths.map(|path| it.join(path)).collect())
    };
    let mut sockets = vec![USUAL_SOCKET.into()];
    sockets.extend(below("XDG_RUNTIME_DIR", &["docker.sock"]));
    let desktop = [
        ".docker/run/docker.sock",
        ".docker/desktop/docker.sock",
        ".colima/default/docker.sock",
        ".orbstack/run/docker.sock",
    ];
    sockets.extend(below("HOME", &desktop));
    sockets.extend(below("XDG_RUNTIME_DIR", &["podman/podman.sock"]));
    sockets.push("/run/podman/podman.sock".into());
    sockets.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of Docker's configuration in which `colima` is the current context.
    fn docker(host: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let id = Digest::sha256_of(b"colima").hex().to_owned();
        let meta = directory.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        let text = format!(
            r#"{{"Name":"colima","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#
        );
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let config = r#"{"auths":{},"currentContext":"colima"}"#;
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        directory
    }

    fn found(variables: &[(&str, &str)], docker: &Path) -> Result<EngineAddress, String> {
        find(&variables.iter().copied().collect(), Some(docker))
    }

    #[test]
    fn it_is_the_engine_that_docker_would_use() {
        let directory = docker("unix:///home/me/.colima/docker.sock");
        let docker = directory.path();
        let address = found(&[], docker).unwrap();
        assert_eq!(address.host, "unix:///home/me/.colima/docker.sock");
        assert_eq!(address.context.as_deref(), Some("colima"));
        // `DOCKER_HOST` before `DOCKER_CONTEXT` before the current one.
        let host = ("DOCKER_HOST", "tcp://h:1");
        let address = found(&[host, ("DOCKER_CONTEXT", "no")], docker).unwrap();
        assert_eq!((&*address.host, address.context), ("tcp://h:1", None));
        let problem = found(&[("DOCKER_CONTEXT", "no")], docker).unwrap_err();
        assert!(
            problem.contains("`no`") && problem.contains("hint: "),
            "{problem}"
        );
        let address = found(&[("DOCKER_CONTEXT", "default")], docker).unwrap();
        assert_eq!(address.context, None);
        // One with certificates is not passed over for another engine.
        let id = Digest::sha256_of(b"colima").hex().to_owned();
        let tls = docker.join("contexts/tls").join(id).join("docker");
        std::fs::create_dir_all(tls).unwrap();
        let problem = found(&[], docker).unwrap_err();
        assert!(problem.contains("certificates"), "{problem}");
    }

    #[test]
    fn sockets_of_rootless_engines_are_looked_for() {
        let variables = [("XDG_RUNTIME_DIR", "/run/user/1"), ("HOME", "/home/me")];
        let all: Vec<_> = sockets(&variables.into_iter().collect()).collect();
        let expected = [
            "/var/run/docker.sock",
            "/run/user/1/docker.sock",
            "/home/me/.docker/run/docker.sock",
        ];
        assert_eq!(all[..3], expected.map(PathBuf::from));
        assert!(
            all.contains(&"/run/user/1/podman/podman.sock".into()),
            "{all:?}"
        );
        assert_eq!(
            sockets(&Environment::from_iter::<[(&str, &str); 0]>([])).count(),
            2
        );
    }
}
