//! Pushes one tag to its registry.
//!
//! A push has succeeded when the engine names the digest that the registry now has, and not before. Credentials are
//! sent with the one request, and never stored in the engine.

use std::pin::pin;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::models::PushImageInfo;
use bollard::query_parameters::PushImageOptionsBuilder;

use super::progress::Layers;
use super::stream::next;
use super::{Engine, Error, Progress};
use crate::credentials::Credentials;
use crate::oci::{DOCKER_HUB, Digest, Reference};

/// A push that reports nothing for this long is stuck.
const IDLE: Duration = Duration::from_secs(600);

/// What the registry has after a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Of the manifest.
    pub digest: Digest,
    /// Bytes sent, as the engine counts them (see [`Progress`]); 0 if the registry had every layer.
    pub bytes: u64,
}

impl Engine {
    /// Pushes the image that the engine knows as `reference`.
    ///
    /// The engine itself retries a failed layer for about a minute.
    ///
    /// # Errors
    /// [`Error::CredentialsRefused`], [`Error::Denied`], [`Error::Transient`], [`Error::Refused`] come from the
    /// registry, [`Error::NoSuchImage`] and [`Error::Stalled`] from the engine.
    pub async fn push(
        &self,
        reference: &Reference,
        credentials: &Credentials,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Pushed, Error> {
        let tag = reference.tag_or_latest();
        let mut layers = Layers::default();
        let mut proof = None;
        let options = PushImageOptionsBuilder::default().tag(tag.as_str()).build();
        let repository = reference.repository.to_string();
        let credentials = for_engine(credentials, reference.repository.host());
        let docker = self.with_long_timeout();
        let mut lines = pin!(docker.push_image(&repository, Some(options), credentials));
        let failed = |error| Error::push(reference, error);
        while let Some(line) = next(&mut lines, IDLE).await.map_err(failed)? {
            if let Some((current, total)) = counts(&line) {
                layers.observe(current, total);
                progress(layers.progress());
            }
            if let Some(status) = line.status {
                proof = digest_line(&status, tag.as_str()).or(proof);
            }
        }
        let digest = proof.ok_or_else(|| Error::Transient {
            reference: reference.to_string(),
            reason: "the engine ended without naming a digest".to_owned(),
        })?;
        Ok(Pushed {
            digest,
            bytes: layers.progress().current,
        })
    }
}

/// The credentials as the engine takes them.
pub(super) fn for_engine(credentials: &Credentials, host: &str) -> Option<DockerCredentials> {
    let mut sent = DockerCredentials {
        serveraddress: Some(server_address(host).to_owned()),
        ..DockerCredentials::default()
    };
    match credentials {
        Credentials::Anonymous => return None,
        Credentials::Basic { username, password } => {
            sent.username = Some(username.clone());
            sent.password = Some(password.expose().clone());
        }
        Credentials::IdentityToken(token) => sent.identitytoken = Some(token.expose().clone()),
        Credentials::RegistryToken(token) => sent.registrytoken = Some(token.expose().clone()),
        // The engine takes texts only.
        Credentials::Pair(pair) => {
            let pair = String::from_utf8_lossy(pair.expose());
            let (username, password) = pair.split_once(':')?;
            sent.username = Some(username.to_owned());
            sent.password = Some(password.to_owned());
        }
    }
    Some(sent)
}

/// The bytes of a layer that the engine has read, and the layer's size.
fn counts(line: &PushImageInfo) -> Option<(u64, u64)> {
    let bytes = |count: i64| u64::try_from(count).unwrap_or_default();
    let detail = line.progress_detail.as_ref()?;
    let total = detail.total.unwrap_or_default();
    Some((bytes(detail.current?), bytes(total)))
}

/// The digest in `1.2.3: digest: sha256:… size: 740`, the last line of a successful push of every engine.
fn digest_line(status: &str, tag: &str) -> Option<Digest> {
    let (digest, _) = status
        .strip_prefix(tag)?
        .strip_prefix(": digest: ")?
        .split_once(" size: ")?;
    digest.parse().ok()
}

/// The registry of the credentials: an engine with the containerd image store sends them to no other.
fn server_address(host: &str) -> &str {
    match host {
        // Its name in credentials since the first version.
        DOCKER_HUB => "https://index.docker.io/v1/",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::RepositoryName;
    use crate::secret::Secret;

    #[test]
    fn only_the_digest_of_the_pushed_tag_is_a_proof() {
        let digest = Digest::sha256_of(b"");
        assert_eq!(
            digest_line(&format!("1.2: digest: {digest} size: 740"), "1.2"),
            Some(digest.clone())
        );
        for status in [
            &format!("1.2.3: digest: {digest} size: 740"),
            &format!("1.2: digest: {digest}"),
            "1.2: digest: none size: 1",
            "Pushed",
        ] {
            assert_eq!(digest_line(status, "1.2"), None, "{status}");
        }
    }

    #[test]
    fn credentials_are_for_the_host_in_the_name() {
        for (repository, address) in [
            ("docker.io/ns/app", "https://index.docker.io/v1/"),
            ("ns/app", "https://index.docker.io/v1/"),
            ("app", "https://index.docker.io/v1/"),
            ("127.0.0.1:5000/ns/app", "127.0.0.1:5000"),
            ("localhost/app", "localhost"),
            ("hagicode.azurecr.io/app", "hagicode.azurecr.io"),
        ] {
            let repository: RepositoryName = repository.parse().unwrap();
            assert_eq!(server_address(repository.host()), address, "{repository}");
        }
    }

    #[test]
    fn a_token_goes_to_the_engine_as_one() {
        let token = Credentials::IdentityToken(Secret::new("long".to_owned()));
        let credentials = for_engine(&token, "a.example").unwrap();
        assert_eq!(credentials.identitytoken.as_deref(), Some("long"));
        assert_eq!(credentials.serveraddress.as_deref(), Some("a.example"));
        assert!(credentials.password.is_none());
        assert!(for_engine(&Credentials::Anonymous, "a.example").is_none());
    }
}
