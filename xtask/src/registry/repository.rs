//! One repository: what may be done there, and its manifests, which are handed out only after their digest was checked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request, Response, StatusCode};
use url::Url;

use super::auth::{Access, Scope};
use super::connection::Connection;
use super::error::Error;
use crate::http;
use crate::oci::{Descriptor, Digest, Manifest, TagOrDigest, media_type};
use crate::secret::public_url;

/// A repository of a registry; cheap to clone.
#[derive(Clone)]
pub struct Repository {
    pub(super) connection: Arc<Connection>,
    pub(super) path: Arc<str>,
}

impl Repository {
    /// Its path at the registry: `library/nginx`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether both are at the same registry, with whatever logins.
    pub fn is_at_registry_of(&self, other: &Repository) -> bool {
        self.connection.base == other.connection.base
    }

    /// The wait before something is sent again: what this client does not repeat itself waits as long as what it does.
    pub fn first_wait(&self) -> Duration {
        self.connection.options.first_wait
    }

    /// Checks that these credentials may push here: opens an upload and cancels it.
    pub async fn check_push_access(&self) -> Result<(), Error> {
        let session = self.open_upload().await?;
        let cancel = Request::new(Method::DELETE, session);
        // GitHub answers 405; an abandoned session expires by itself.
        let scope = self.scope(Access::Push);
        let _ = self.connection.attempt(cancel, &scope).await;
        Ok(())
    }

    /// Finds out whether the login is right, without writing anything. Returns whether that is known now: where everybody
    /// may read, and `/v2/` is open, only [`Self::check_push_access`] can tell.
    ///
    /// # Errors
    /// [`Error::Rejected`]
    pub async fn check_login(&self) -> Result<bool, Error> {
        let scope = self.scope(Access::Pull);
        self.connection.check_login(&scope).await
    }

    /// What is at `at`, or `None`. At Docker Hub this does not count as a pull, which [`Self::get_manifest`] does.
    pub async fn head_manifest(&self, at: &TagOrDigest) -> Result<Option<Descriptor>, Error> {
        let request = self.manifest_request(Method::HEAD, at);
        let Some(response) = found(self.send(request, Access::Pull).await)? else {
            return Ok(None);
        };
        if let Some(descriptor) = described(response.headers(), at) {
            return Ok(Some(descriptor));
        }
        // Some registries leave out headers of a HEAD.
        let manifest = self.get_manifest(at).await?;
        Ok(manifest.map(|manifest| manifest.descriptor()))
    }

    /// The manifest at `at`, its digest checked, or `None`.
    pub async fn get_manifest(&self, at: &TagOrDigest) -> Result<Option<Manifest>, Error> {
        let scope = self.scope(Access::Pull);
        let fetch = async || {
            let request = self.manifest_request(Method::GET, at);
            let (response, bytes) = self
                .connection
                .document(request, &scope, LARGEST_MANIFEST)
                .await?;
            verified(&response, at, bytes)
        };
        found(self.connection.retry(fetch).await)
    }

    /// Puts `manifest`, byte for byte, at `at`; returns the digest under which the registry has it.
    pub async fn put_manifest(
        &self,
        at: &TagOrDigest,
        manifest: &Manifest,
    ) -> Result<Digest, Error> {
        let mut request = self.manifest_request(Method::PUT, at);
        let media_type = manifest.media_type();
        let media_type = HeaderValue::from_str(media_type).map_err(|_| {
            let reason = format!("`{media_type}` cannot be sent as a media type");
            Error::protocol(request.url(), reason)
        })?;
        request.headers_mut().insert(CONTENT_TYPE, media_type);
        *request.body_mut() = Some(manifest.bytes().clone().into());
        let response = self.send(request, Access::Push).await?;
        let Some(actual) = stated_digest(response.headers()) else {
            return Ok(manifest.digest().clone());
        };
        let expected = actual.same_algorithm(manifest.bytes());
        if actual == expected {
            Ok(actual)
        } else {
            let reason = format!("it took the manifest `{expected}` for `{actual}`");
            Err(Error::protocol(response.url(), reason))
        }
    }

    /// Opens an upload; returns where it goes on.
    pub(super) async fn open_upload(&self) -> Result<Url, Error> {
        let request = Request::new(Method::POST, self.url(format_args!("blobs/uploads/")));
        let response = self.send(request, Access::Push).await?;
        match response.status() {
            StatusCode::ACCEPTED => location(&response),
            status => {
                let reason = format!("{status} where an upload should have been opened");
                Err(Error::protocol(response.url(), reason))
            }
        }
    }

    pub(super) async fn send(&self, request: Request, access: Access) -> Result<Response, Error> {
        self.connection.send(request, &self.scope(access)).await
    }

    pub(super) fn scope(&self, access: Access) -> Scope {
        Scope {
            repository: self.path.to_string(),
            access,
        }
    }

    pub(super) fn url(&self, rest: fmt::Arguments<'_>) -> Url {
        let mut url = self.connection.base.clone();
        url.set_path(&format!("/v2/{}/{rest}", self.path));
        url
    }

    fn manifest_request(&self, method: Method, at: &TagOrDigest) -> Request {
        let mut request = Request::new(method, self.url(format_args!("manifests/{at}")));
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static(media_type::ACCEPT));
        request
    }
}

/// Registries take manifests up to 4 MiB (distribution specification); this leaves room for those that take more.
const LARGEST_MANIFEST: usize = 16 << 20;

/// 404 as an absence.
pub(super) fn found<T>(outcome: Result<T, Error>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a response says to go on.
pub(super) fn location(response: &Response) -> Result<Url, Error> {
    http::location(response.headers(), response.url())
        .ok_or_else(|| Error::protocol(response.url(), "no usable `Location`"))
}

fn stated_digest(headers: &HeaderMap) -> Option<Digest> {
    let digest = headers.get("docker-content-digest")?;
    digest.to_str().ok()?.parse().ok()
}

/// The descriptor that the headers of a HEAD give, if they are complete.
fn described(headers: &HeaderMap, at: &TagOrDigest) -> Option<Descriptor> {
    let media_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = media_type.split(';').next()?.trim();
    let size = headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()?;
    let digest = match at {
        TagOrDigest::Digest(digest) => digest.clone(),
        TagOrDigest::Tag(_) => stated_digest(headers)?,
    };
    media_type::is_manifest(media_type).then(|| Descriptor::new(media_type, digest, size))
}

/// The received manifest, if it has the digest that was asked for or stated.
fn verified(response: &Response, at: &TagOrDigest, bytes: Bytes) -> Result<Manifest, Error> {
    let expected = match at {
        TagOrDigest::Digest(digest) => Some(digest.clone()),
        TagOrDigest::Tag(_) => stated_digest(response.headers()),
    };
    let actual = match &expected {
        Some(expected) => expected.same_algorithm(&bytes),
        None => Digest::sha256_of(&bytes),
    };
    if let Some(expected) = expected.filter(|expected| *expected != actual) {
        return Err(Error::DigestMismatch {
            url: public_url(response.url()),
            expected,
            actual,
        });
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    Ok(Manifest::received(content_type, bytes, actual))
}
