//! Connects to the engine, with what every request needs: a protocol version, timeouts, a correct credentials header.

use std::time::Duration;

use bollard::errors::Error as Bollard;
use bollard::{BollardRequest, Docker};
use url::Url;

use super::Error;
use super::stream::root_cause;
use crate::secret::public_url;

const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// For the first response of the engine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Until the head of a response; [`next`](super::stream::next) limits its body.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The same where an engine may have much to do before it responds.
const LONG_HEAD_TIMEOUT: Duration = Duration::from_secs(3600);

/// A connection to a container engine. Clones share it.
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
    /// [`Error::NoEngine`] if nothing there speaks the Docker Engine API.
    pub async fn connect(docker_host: Option<&str>) -> Result<Engine, Error> {
        let host = docker_host.unwrap_or(DEFAULT_HOST);
        let connect = async {
            Docker::connect_with_host(host)?
                .with_timeout(HEAD_TIMEOUT)
                .with_request_modifier(url_safe_credentials)
                // bollard 0.21 never sends a version, which suits every engine; the next one will, and an engine
                // refuses versions above its own.
                .negotiate_version()
                .await
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok(docker)) => Ok(Engine {
                docker,
                host: host.to_owned(),
            }),
            Ok(Err(error)) => Err(no_engine(host, &error)),
            Err(_) => Err(no_engine(host, &Bollard::RequestTimeoutError)),
        }
    }

    /// The connection for requests that take long.
    pub(super) fn with_long_timeout(&self) -> Docker {
        self.docker.clone().with_timeout(LONG_HEAD_TIMEOUT)
    }
}

fn no_engine(host: &str, error: &Bollard) -> Error {
    let reason = match error {
        Bollard::SocketNotFoundError(_) => "there is no such socket".to_owned(),
        Bollard::RequestTimeoutError => format!("no answer in {} s", CONNECT_TIMEOUT.as_secs()),
        Bollard::UnsupportedURISchemeError { .. } => {
            "only `unix://`, `tcp://` and `http://` are spoken here".to_owned()
        }
        error => root_cause(error),
    };
    let hint = if reason.to_lowercase().contains("permission denied") {
        "add your user to the group `docker` and log in again"
    } else if host.starts_with("ssh://") {
        "forward its socket: `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock USER@HOST`, and set `DOCKER_HOST=unix:///tmp/docker.sock`"
    } else {
        "start Docker (on Debian and Ubuntu: `apt-get install docker.io`), or set `DOCKER_HOST` to where Docker Desktop, Colima, OrbStack or a rootless engine listens: `docker context inspect` shows it"
    };
    Error::NoEngine {
        host: Url::parse(host).map_or_else(|_| host.to_owned(), |url| public_url(&url)),
        reason,
        hint,
    }
}

/// Encodes credentials in URL-safe base64, as the engine expects.
///
/// bollard uses the standard alphabet, and the engine treats what it cannot decode as "no credentials": a password such
/// as `p>>>p` would never arrive.
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
