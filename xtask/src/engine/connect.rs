//! Finds the engine and agrees on a protocol version with it.
//!
//! Everything that every request needs is set here once: time limits, and the repair of the credentials header.

use std::time::Duration;

use bollard::errors::Error as Bollard;
use bollard::{BollardRequest, Docker};
use url::Url;

use super::Error;
use super::answer::root;
use crate::secret::public_url;

const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// An engine that does not tell its version within this time is not there.
const CONNECT: Duration = Duration::from_secs(20);

/// Until the head of an answer; the body has no limit.
pub(super) const HEAD: Duration = Duration::from_secs(60);

/// The same where an engine may have much to do before it says anything.
const LATE_HEAD: Duration = Duration::from_secs(3600);

/// A connection to a container engine that answered. Clones share it.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) docker: Docker,
    pub(super) host: String,
}

impl Engine {
    /// Connects to `docker_host`, the value of `DOCKER_HOST` (`unix://`, `tcp://`, `http://`, `https://`), or to the
    /// usual socket.
    ///
    /// # Errors
    /// [`Error::NoEngine`] when nothing there speaks the Docker Engine API.
    pub async fn connect(docker_host: Option<&str>) -> Result<Engine, Error> {
        let host = docker_host.unwrap_or(DEFAULT_HOST);
        let connect = async {
            Docker::connect_with_host(host)?
                .with_timeout(HEAD)
                .with_request_modifier(url_safe_credentials)
                // bollard 0.21 never sends a version, which suits every engine; the next one will, and an engine
                // refuses versions above its own.
                .negotiate_version()
                .await
        };
        match tokio::time::timeout(CONNECT, connect).await {
            Ok(Ok(docker)) => Ok(Engine {
                docker,
                host: host.to_owned(),
            }),
            Ok(Err(error)) => Err(no_engine(host, &error)),
            Err(_) => Err(no_engine(host, &Bollard::RequestTimeoutError)),
        }
    }

    /// The connection for work that takes long; whoever reads its answer limits the silence in it.
    pub(super) fn patient(&self) -> Docker {
        self.docker.clone().with_timeout(LATE_HEAD)
    }
}

fn no_engine(host: &str, error: &Bollard) -> Error {
    let reason = match error {
        Bollard::SocketNotFoundError(_) => "there is no such socket".to_owned(),
        Bollard::RequestTimeoutError => format!("no answer in {} s", CONNECT.as_secs()),
        Bollard::UnsupportedURISchemeError { .. } => {
            "expected `unix://`, `tcp://`, `http://` or `https://`".to_owned()
        }
        error => root(error),
    };
    let hint = if reason.to_lowercase().contains("permission denied") {
        "add your user to the group `docker` and log in again"
    } else {
        // Docker Desktop and its like listen elsewhere; contexts, by which `docker` finds them, are not read here.
        "start Docker (on Debian and Ubuntu: `apt-get install docker.io`), or set `DOCKER_HOST` to where Docker Desktop, Colima, OrbStack or a rootless engine listens: `docker context inspect` shows it"
    };
    Error::NoEngine {
        host: Url::parse(host).map_or_else(|_| host.to_owned(), |url| public_url(&url)),
        reason,
        hint,
    }
}

/// Puts credentials into the alphabet the engine reads.
///
/// bollard encodes them in the standard base64 alphabet, the engine decodes the URL-safe one and takes what it cannot
/// decode for "no credentials": a password such as `p>>>p` would never arrive.
fn url_safe_credentials(mut request: BollardRequest) -> BollardRequest {
    for name in ["x-registry-auth", "x-registry-config"] {
        if let Some(value) = request.headers_mut().get_mut(name) {
            let safe = value
                .to_str()
                .unwrap_or_default()
                .replace('+', "-")
                .replace('/', "_");
            if let Ok(safe) = safe.parse() {
                *value = safe;
                value.set_sensitive(true);
            }
        }
    }
    request
}
