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
use super::session::Session;
use crate::http::{self, is_loopback};
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

    /// Its URL, which no other repository has.
    pub fn identity(&self) -> String {
        self.url(format_args!("")).into()
    }

    /// Whether both are at the same registry, with whatever logins. Names of this machine with one port count as one,
    /// which may be wrong: a mount that is declined is an upload.
    pub fn is_at_registry_of(&self, other: &Repository) -> bool {
        let (base, other) = (&self.connection.base, &other.connection.base);
        let are_here = is_loopback(base) && is_loopback(other);
        base == other || are_here && base.port() == other.port()
    }

    /// The wait before something is sent again: what this client does not repeat itself waits as long as what it does.
    pub fn first_wait(&self) -> Duration {
        self.connection.options.first_wait
    }

    /// Checks that these credentials may push here: opens an upload and cancels it.
    pub async fn check_push_access(&self) -> Result<(), Error> {
        let session = self.open_upload().await?;
        session.cancel().await;
        Ok(())
    }

    /// Finds out whether the login is right, without writing anything. Returns whether that is known now: where
    /// everybody may read, and `/v2/` is open, only [`Self::check_push_access`] can tell.
    ///
    /// # Errors
    /// [`Error::Rejected`]
    pub async fn check_login(&self) -> Result<bool, Error> {
        let scope = self.scope(Access::Pull);
        self.connection.check_login(&scope).await
    }

    /// What is at `at`, or `None`. At Docker Hub this does not count as a pull, which [`Self::get_manifest`] does.
    pub async fn head_manifest(&self, at: &TagOrDigest) -> Result<Option<Descriptor>, Error> {
        let look = || self.look(at, Access::Pull);
        self.connection.retry(look).await
    }

    /// One try at [`Self::head_manifest`]. Registries and proxies that serve manifests do not all know HEAD; some call
    /// every manifest absent or forbidden then (Nexus), so that counts only where HEAD has worked.
    async fn look(&self, at: &TagOrDigest, access: Access) -> Result<Option<Descriptor>, Error> {
        let scope = self.scope(access);
        let support = &self.connection.head_support;
        if !support.is_missing() {
            let request = self.manifest_request(Method::HEAD, at);
            match self.connection.attempt(request, &scope).await {
                Ok(response) => {
                    support.works();
                    if let Some(descriptor) = described(response.headers(), at) {
                        return Ok(Some(descriptor));
                    }
                    // Some registries leave out headers of a HEAD.
                }
                Err(error) if support.is_doubtful(&error) => {
                    let manifest = found(self.fetch(at, &scope).await)?;
                    support.compare(manifest.is_some());
                    return match (manifest, error) {
                        (Some(manifest), _) => Ok(Some(manifest.descriptor())),
                        (None, error @ Error::Denied { .. }) => Err(error),
                        (None, _) => Ok(None),
                    };
                }
                Err(error) => return found(Err(error)),
            }
        }
        let manifest = found(self.fetch(at, &scope).await)?;
        Ok(manifest.map(|manifest| manifest.descriptor()))
    }

    /// The manifest at `at`, its digest checked, or `None`.
    pub async fn get_manifest(&self, at: &TagOrDigest) -> Result<Option<Manifest>, Error> {
        let scope = self.scope(Access::Pull);
        found(self.connection.retry(|| self.fetch(at, &scope)).await)
    }

    /// One try.
    async fn fetch(&self, at: &TagOrDigest, scope: &Scope) -> Result<Manifest, Error> {
        let request = self.manifest_request(Method::GET, at);
        let document = self.connection.document(request, scope, LARGEST_MANIFEST);
        let (response, bytes) = document.await?;
        verified(&response, at, bytes)
    }

    /// Puts `manifest`, byte for byte, at `at`; returns the digest under which the registry has it.
    ///
    /// 201 that names the digest is the registry's word. After any other success `at` is read back: not every server
    /// that says 200 or 202 has stored something. A tag of a manifest that is known by another digest than sha256 is
    /// put with that digest (distribution specification, "Pushing Manifests", `PUT …/manifests/TAG?digest=`).
    pub async fn put_manifest(
        &self,
        at: &TagOrDigest,
        manifest: &Manifest,
    ) -> Result<Digest, Error> {
        let mut request = self.manifest_request(Method::PUT, at);
        let digest = manifest.digest();
        if let (TagOrDigest::Tag(_), false) = (at, digest.algorithm() == "sha256") {
            // A registry that does not know this calls the manifest by its sha256 digest.
            let query = format!("digest={digest}");
            request.url_mut().set_query(Some(&query));
        }
        let media_type = manifest.media_type();
        let media_type = HeaderValue::from_str(media_type).map_err(|_| {
            let reason = format!("`{media_type}` cannot be sent as a media type");
            Error::protocol(request.url(), reason)
        })?;
        request.headers_mut().insert(CONTENT_TYPE, media_type);
        *request.body_mut() = Some(manifest.bytes().clone().into());
        let scope = self.scope(Access::Push);
        let put = async || {
            let request = request.try_clone().expect("the body is in memory");
            let response = self.connection.attempt(request, &scope).await?;
            self.prove(&response, at, manifest).await
        };
        let writes = &self.connection.manifest_writes;
        writes.run(self.connection.policy(), put).await
    }

    /// The digest under which `at` names `manifest`, after `response`, a success.
    async fn prove(
        &self,
        response: &Response,
        at: &TagOrDigest,
        manifest: &Manifest,
    ) -> Result<Digest, Error> {
        let is_of = |digest: &Digest| *digest == digest.same_algorithm(manifest.bytes());
        match stated_digest(response.headers()) {
            Some(stated) if !is_of(&stated) => {
                let expected = stated.same_algorithm(manifest.bytes());
                let reason = format!("it took the manifest `{expected}` for `{stated}`");
                return Err(Error::protocol(response.url(), reason));
            }
            Some(stated) if response.status() == StatusCode::CREATED => return Ok(stated),
            _ => {}
        }
        match self.look(at, Access::Push).await? {
            Some(found) if is_of(&found.digest) => Ok(found.digest),
            _ => Err(Error::unproven(response, manifest.digest().as_str())),
        }
    }

    /// Opens an upload, for [`upload_bytes`](Self::upload_bytes).
    pub async fn open_upload(&self) -> Result<Session, Error> {
        let scope = self.scope(Access::Push);
        let post = || {
            let request = Request::new(Method::POST, self.url(format_args!("blobs/uploads/")));
            self.connection.attempt(request, &scope)
        };
        let response = self.write_blob(post).await?;
        match response.status() {
            StatusCode::ACCEPTED => Ok(self.opened(location(&response)?)),
            status => {
                let reason = format!("{status} where an upload should have been opened");
                Err(Error::protocol(response.url(), reason))
            }
        }
    }

    /// Runs a small request that is on the way to a blob, with its tries.
    pub(super) async fn write_blob<T, F>(&self, attempt: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let writes = &self.connection.blob_writes;
        writes.run(self.connection.policy(), attempt).await
    }

    pub(super) fn opened(&self, url: Url) -> Session {
        Session::new(&self.connection, url, self.scope(Access::Push))
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

/// Whether a registry, or a proxy before it, refuses the method rather than what was asked for.
pub(super) fn lacks_method(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 405 | 501))
}

/// # Errors
/// The response is of something else than of the content with `digest`: a page to sign in at, for one.
pub(super) fn proves(response: &Response, digest: &Digest) -> Result<(), Error> {
    let headers = response.headers();
    let is_page = |value: &HeaderValue| value.as_bytes().starts_with(b"text/html");
    let stated = stated_digest(headers).filter(|stated| stated.algorithm() == digest.algorithm());
    if headers.get(CONTENT_TYPE).is_some_and(is_page) || stated.is_some_and(|it| it != *digest) {
        return Err(Error::protocol(
            response.url(),
            format!("this is not `{digest}`"),
        ));
    }
    Ok(())
}

/// Where a response says to go on.
pub(super) fn location(response: &Response) -> Result<Url, Error> {
    http::location(response.headers(), response.url())
        .ok_or_else(|| Error::protocol(response.url(), "no usable `Location`"))
}

pub(super) fn stated_digest(headers: &HeaderMap) -> Option<Digest> {
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
