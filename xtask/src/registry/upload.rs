//! Blobs that are not there yet: mounted from another repository, or uploaded. Success means that the registry has the
//! blob under its digest. A stream is sent once: its owner, who can make it again, repeats a lost upload.

use std::io;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request, Response, StatusCode};
use url::Url;

use super::auth::Access;
use super::connection::is_retryable;
use super::error::Error;
use super::repository::{Repository, location, stated_digest};
use super::session::Session;
use crate::http::Sent;
use crate::oci::{Descriptor, Digest};

/// How an attempt to mount ended.
pub enum Mount {
    /// The blob is in the repository now.
    Done,
    /// It has to be uploaded, in this session if there is one.
    Declined(Option<Session>),
}

impl Repository {
    /// Asks the registry to take the blob from its repository `from`.
    ///
    /// The specification lets a registry open an upload instead, and some refuse with whatever status what they cannot
    /// do or do not allow across projects; neither is a failure.
    pub async fn mount_blob(&self, digest: &Digest, from: &str) -> Result<Mount, Error> {
        let mut url = self.url(format_args!("blobs/uploads/"));
        url.query_pairs_mut()
            .append_pair("mount", digest.as_str())
            .append_pair("from", from);
        let from = from.to_owned();
        let scope = self.scope(Access::Mount { from });
        let mount = async || {
            let request = Request::new(Method::POST, url.clone());
            match self.connection.attempt(request, &scope).await {
                Ok(response) if response.status() == StatusCode::CREATED => {
                    match self.prove_blob(&response, digest).await {
                        Ok(()) => Ok(Mount::Done),
                        Err(Error::Unproven { .. }) => Ok(Mount::Declined(None)),
                        Err(error) => Err(error),
                    }
                }
                Ok(response) => {
                    let opened = location(&response).ok().map(|url| self.opened(url));
                    Ok(Mount::Declined(opened))
                }
                Err(error @ (Error::Rejected { .. } | Error::RateLimited(_))) => Err(error),
                Err(error) if error.status().is_some() => Ok(Mount::Declined(None)),
                Err(error) => Err(error),
            }
        };
        self.write_blob(mount).await
    }

    /// Uploads a blob from `body`, which has `blob.size` bytes, in one unranged PATCH: what Docker's engine does, so
    /// every registry takes it.
    ///
    /// An error of `body` comes back as [`Error::Source`]. After [`Error::UploadLost`], and only then, try again with a
    /// new `body` and no session: everything else has been tried again already.
    pub async fn upload_blob<S>(
        &self,
        blob: &Descriptor,
        session: Option<Session>,
        body: S,
    ) -> Result<(), Error>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let mut session = self.session(session).await?;
        let sent = Sent::default();
        let fault = Arc::new(OnceLock::new());
        let body = body.inspect({
            let (sent, fault) = (sent.clone(), Arc::clone(&fault));
            move |item| match item {
                Ok(piece) => sent.add(piece.len()),
                Err(error) => fault.set(error.to_string()).unwrap_or_default(),
            }
        });
        let mut request = binary(
            Method::PATCH,
            session.url().clone(),
            Body::wrap_stream(body),
        );
        // Some proxies refuse a chunked body.
        request
            .headers_mut()
            .insert(CONTENT_LENGTH, blob.size.into());
        let scope = self.scope(Access::Push);
        let patch = self.connection.attempt_blob(request, &scope, &sent);
        match (patch.await, fault.get()) {
            (Ok(response), _) => {
                if let Ok(next) = location(&response) {
                    session.move_to(next);
                }
                self.commit(session, &blob.digest, Bytes::new()).await
            }
            (Err(_), Some(reason)) => Err(Error::Source(reason.clone())),
            (Err(error), None) if is_retryable(&error) => Err(Error::UploadLost(Box::new(error))),
            (Err(error), None) => Err(error),
        }
    }

    /// Uploads a blob of a few MiB at most, a config or an empty layer, with its commit.
    pub async fn upload_bytes(
        &self,
        digest: &Digest,
        session: Option<Session>,
        bytes: Bytes,
    ) -> Result<(), Error> {
        let session = self.session(session).await?;
        self.commit(session, digest, bytes).await
    }

    async fn session(&self, given: Option<Session>) -> Result<Session, Error> {
        match given {
            Some(session) => Ok(session),
            None => self.open_upload().await,
        }
    }

    /// Ends an upload. The registry may have stored the blob and yet time out, or not know the session any more
    /// (GoogleContainerTools/jib#4301), so after a failure the blob itself is asked for.
    async fn commit(&self, session: Session, digest: &Digest, bytes: Bytes) -> Result<(), Error> {
        let mut url = session.url().clone();
        add_digest(&mut url, digest);
        let scope = self.scope(Access::Push);
        let put = async || {
            let request = binary(Method::PUT, url.clone(), bytes.clone().into());
            let sent = Sent::default();
            let put = self.connection.attempt_blob(request, &scope, &sent);
            let error = match put.await {
                Ok(response) => return self.prove_blob(&response, digest).await,
                Err(error) => error,
            };
            if let Error::Rejected { .. } | Error::Denied { .. } | Error::RateLimited(_) = error {
                return Err(error);
            }
            match self.look_for_blob(digest, None, Access::Push).await {
                Ok(true) => Ok(()),
                _ => Err(error),
            }
        };
        self.write_blob(put).await?;
        session.end();
        Ok(())
    }
}

impl Repository {
    /// Whether `response`, a success, has left the blob in the repository: 201 that names it is the registry's word,
    /// after anything else it is looked for.
    async fn prove_blob(&self, response: &Response, digest: &Digest) -> Result<(), Error> {
        let is_created = response.status() == StatusCode::CREATED;
        if is_created && stated_digest(response.headers()).as_ref() == Some(digest) {
            return Ok(());
        }
        match self.look_for_blob(digest, None, Access::Push).await? {
            true => Ok(()),
            false => Err(Error::unproven(response, digest.as_str())),
        }
    }
}

fn binary(method: Method, url: Url, body: Body) -> Request {
    let mut request = Request::new(method, url);
    let media_type = HeaderValue::from_static("application/octet-stream");
    request.headers_mut().insert(CONTENT_TYPE, media_type);
    *request.body_mut() = Some(body);
    request
}

/// Appends to the query and leaves the registry's part of it as it is.
fn add_digest(session: &mut Url, digest: &Digest) {
    let mut query = session.query_pairs_mut();
    query.append_pair("digest", digest.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_joins_the_query_that_is_there() {
        let digest = Digest::sha256_of(b"");
        for (session, joined) in [
            ("https://r/u/1", "https://r/u/1?digest=sha256%3A"),
            ("https://r/u/1?", "https://r/u/1?digest=sha256%3A"),
            (
                "https://r/u/1?_state=a%2Fb%3D&x",
                "https://r/u/1?_state=a%2Fb%3D&x&digest=sha256%3A",
            ),
        ] {
            let mut url = Url::parse(session).unwrap();
            add_digest(&mut url, &digest);
            assert_eq!(url.as_str(), format!("{joined}{}", digest.hex()));
        }
    }
}
