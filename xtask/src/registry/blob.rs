//! Reading blobs: each byte once and in order, however often the connection breaks, and an error at the end if size or
//! digest are wrong.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use reqwest::header::{CONTENT_LENGTH, HeaderValue, RANGE};
use reqwest::{Method, Request, Response, StatusCode};

use super::auth::Access;
use super::error::Error;
use super::repository::{Repository, found, lacks_method, proves};
use crate::http::{self, Sent};
use crate::oci::{Descriptor, Digest, Hasher};
use crate::secret::public_url;

impl Repository {
    /// Whether the blob is in this repository: whole, as far as the registry states its size.
    pub async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        let ask = || self.look_for_blob(&blob.digest, Some(blob.size), Access::Pull);
        self.connection.retry(ask).await
    }

    /// One try. A registry that does not know HEAD is asked for the first byte.
    pub(super) async fn look_for_blob(
        &self,
        digest: &Digest,
        size: Option<u64>,
        access: Access,
    ) -> Result<bool, Error> {
        let scope = self.scope(access);
        let head = self.blob_request(Method::HEAD, digest);
        let response = match self.connection.attempt(head, &scope).await {
            // The registry sends to a storage whose signature is for reading only: it has said nothing itself.
            Err(error) if self.connection.is_of_another(&error) => return Ok(false),
            Err(error) if lacks_method(&error) => {
                let mut get = self.blob_request(Method::GET, digest);
                let first = HeaderValue::from_static("bytes=0-0");
                get.headers_mut().insert(RANGE, first);
                self.connection.attempt(get, &scope).await
            }
            response => response,
        };
        let Some(response) = found(response)? else {
            return Ok(false);
        };
        proves(&response, digest)?;
        // What broke off half-way has another size.
        let stated = response.headers().get(CONTENT_LENGTH);
        let stated = stated.and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
        let is_whole = response.status() == StatusCode::OK;
        Ok(!is_whole || stated.is_none() || size.is_none() || stated == size)
    }

    /// Begins to read the blob; `None` if it is not there.
    pub async fn get_blob(&self, blob: &Descriptor) -> Result<Option<Blob>, Error> {
        let open = || self.blob_from(&blob.digest, 0);
        let Some(response) = found(self.connection.retry(open).await)? else {
            return Ok(None);
        };
        Ok(Some(Blob {
            repository: self.clone(),
            hasher: Some(blob.digest.hasher()),
            digest: blob.digest.clone(),
            size: blob.size,
            position: 0,
            skip: 0,
            failures: 0,
            since_failure: 0,
            watched: (Duration::ZERO, 0),
            response,
        }))
    }

    /// One try. The registry may redirect to a storage service, which does not get the credentials; its signed URLs
    /// expire, so every try begins at the registry.
    async fn blob_from(&self, digest: &Digest, position: u64) -> Result<Response, Error> {
        let mut request = self.blob_request(Method::GET, digest);
        if position > 0 {
            let range =
                HeaderValue::try_from(format!("bytes={position}-")).expect("digits are a header");
            request.headers_mut().insert(RANGE, range);
        }
        let (scope, sent) = (self.scope(Access::Pull), Sent::default());
        self.connection.attempt_blob(request, &scope, &sent).await
    }

    /// The blob from `position` on, and how many bytes before it come again: all of them where the rest alone cannot be
    /// had.
    async fn blob_after(&self, digest: &Digest, position: u64) -> Result<(Response, u64), Error> {
        let is_refused = |error: &Error| matches!(error.status(), Some(400 | 416));
        match self.blob_from(digest, position).await {
            Err(error) if !is_refused(&error) || position == 0 => return Err(error),
            Err(_) => {}
            Ok(response) if response.status() != StatusCode::PARTIAL_CONTENT => {
                return Ok((response, position));
            }
            Ok(response) => {
                let range = http::content_range(response.headers());
                if let Some(range) = range.filter(|range| range.first <= position) {
                    return Ok((response, position - range.first));
                }
            }
        }
        Ok((self.blob_from(digest, 0).await?, position))
    }

    pub(super) fn blob_request(&self, method: Method, digest: &Digest) -> Request {
        Request::new(method, self.url(format_args!("blobs/{digest}")))
    }
}

/// What counts as progress: a connection, or a stall limit, that brings less has brought nothing.
const PROGRESS: u64 = 16 << 10;

/// A blob that is being read.
pub struct Blob {
    repository: Repository,
    digest: Digest,
    size: u64,
    response: Response,
    /// `None` once the digest has been checked.
    hasher: Option<Hasher>,
    /// Bytes handed out.
    position: u64,
    /// Bytes that were handed out before and come again.
    skip: u64,
    /// Failures in a row, with less than [`PROGRESS`] bytes in between.
    failures: u32,
    /// Bytes since the last failure.
    since_failure: u64,
    /// How long the last bytes were waited for, and how many they are, so that a drip is no progress.
    watched: (Duration, u64),
}

impl Blob {
    /// The next bytes; `None` at the end. After a transient failure it asks for the rest, as often in a row as the
    /// registry's options allow.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        while self.hasher.is_some() {
            let stall = self.repository.connection.options.stall.blob;
            let begun = Instant::now();
            let error = match http::chunk(&mut self.response, stall).await {
                Ok(Some(chunk)) if !self.drips(chunk.len(), begun.elapsed(), stall) => {
                    match self.take(chunk)? {
                        Some(chunk) => return Ok(Some(chunk)),
                        None => continue,
                    }
                }
                Ok(Some(_)) => {
                    let reason = format!("less than {PROGRESS} bytes in {stall:?}");
                    Error::unreachable(self.response.url(), reason)
                }
                // Also after an error: every byte is there.
                _ if self.position == self.size => return self.finish(),
                Ok(None) => {
                    let reason = format!("it ended after {} of {} bytes", self.position, self.size);
                    Error::unreachable(self.response.url(), reason)
                }
                Err(error) => Error::http(self.response.url(), &error),
            };
            self.resume(error).await?;
        }
        Ok(None)
    }

    /// Whether less than [`PROGRESS`] bytes came in more than the stall limit of waiting for them.
    fn drips(&mut self, bytes: usize, waited: Duration, stall: Duration) -> bool {
        let (time, counted) = &mut self.watched;
        *time += waited;
        *counted += bytes as u64;
        let is_over = *time > stall;
        let is_little = *counted < PROGRESS;
        if is_over || !is_little {
            self.watched = (Duration::ZERO, 0);
        }
        is_over && is_little
    }

    /// The part of `chunk` that was not handed out before.
    fn take(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>, Error> {
        let known = self.skip.min(chunk.len() as u64);
        self.skip -= known;
        chunk.advance(known as usize);
        if chunk.is_empty() {
            return Ok(None);
        }
        self.since_failure += chunk.len() as u64;
        if self.since_failure >= PROGRESS {
            self.failures = 0;
        }
        self.position += chunk.len() as u64;
        if self.position > self.size {
            let reason = format!("more than the {} bytes that its manifest says", self.size);
            return Err(Error::protocol(self.response.url(), reason));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&chunk);
        }
        Ok(Some(chunk))
    }

    fn finish(&mut self) -> Result<Option<Bytes>, Error> {
        match self.hasher.take().map(Hasher::finish) {
            Some(actual) if actual != self.digest => Err(Error::DigestMismatch {
                url: public_url(self.response.url()),
                expected: self.digest.clone(),
                actual,
            }),
            _ => Ok(None),
        }
    }

    /// Opens the rest of the blob, after `error`.
    async fn resume(&mut self, error: Error) -> Result<(), Error> {
        let (repository, digest, position) = (&self.repository, &self.digest, self.position);
        let mut policy = repository.connection.policy();
        self.since_failure = 0;
        let mut broken = Some(error);
        let reopen = |_| {
            let broken = broken.take();
            async move {
                match broken {
                    Some(error) => Err(error),
                    None => repository.blob_after(digest, position).await,
                }
            }
        };
        let count = |error: &Error, _| {
            self.failures += 1;
            policy(error, self.failures)
        };
        (self.response, self.skip) = http::retry(count, reopen).await?;
        self.watched = (Duration::ZERO, 0);
        Ok(())
    }
}
