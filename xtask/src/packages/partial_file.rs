//! The partial file of a package, and how one body continues it. It always holds a beginning of the package as some
//! source sent it, and is never longer than the package.

use std::io::SeekFrom;
use std::path::Path;

use reqwest::{Client, Response, StatusCode};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use url::Url;

use super::error::Error;
use super::get::{Failure, STALL, get};
use crate::http::{self, ContentRange};
use crate::secret::Secret;

/// Gets how many bytes of a package are there.
pub(super) type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

pub(super) struct PartialFile<'a> {
    file: File,
    path: &'a Path,
    /// Bytes that are there, of `size`.
    pub have: u64,
    size: u64,
    /// Bytes that came over the network.
    pub fetched: u64,
    progress: Progress<'a>,
}

impl<'a> PartialFile<'a> {
    /// Opens the file of an earlier attempt, or a new one.
    pub async fn open(path: &'a Path, size: u64, progress: Progress<'a>) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .await
            .map_err(Error::io("create", path))?;
        let length = file.metadata().await.map_err(Error::io("read", path))?;
        let mut part = PartialFile {
            file,
            path,
            have: 0,
            size,
            fetched: 0,
            progress,
        };
        // What is longer than the package is not its beginning.
        let have = length.len();
        part.restart_at(if have > size { 0 } else { have }).await?;
        Ok(part)
    }

    /// Fetches what is missing.
    pub async fn complete(&mut self, client: &Client, source: &Secret<Url>) -> Result<(), Failure> {
        let outcome = self.fetch(client, source).await;
        // Writes finish in the background: none may outlive this attempt.
        let flushed = self.file.flush().await;
        flushed.map_err(Error::io("write", self.path))?;
        outcome
    }

    async fn fetch(&mut self, client: &Client, source: &Secret<Url>) -> Result<(), Failure> {
        if self.have == self.size {
            return Ok(());
        }
        let mut response = get(client, source, self.have).await?;
        if self.have > 0 && !continues(&response, self.have, self.size) {
            self.restart_at(0).await?;
            if response.status() != StatusCode::OK {
                let reason = format!("it cannot resume ({})", response.status());
                return Err(Failure::Transient(reason));
            }
        }
        if let Some(length) = response.content_length()
            && self.have + length != self.size
        {
            let (length, size) = (self.have + length, self.size);
            let reason = format!("it has {length} bytes, expected {size}");
            return self.discard(reason).await;
        }
        while let Some(chunk) = http::chunk(&mut response, STALL).await? {
            let length = chunk.len() as u64;
            if self.have + length > self.size {
                let size = self.size;
                return self.discard(format!("it has more than {size} bytes")).await;
            }
            let written = self.file.write_all(&chunk).await;
            written.map_err(Error::io("write", self.path))?;
            self.have += length;
            self.fetched += length;
            (self.progress)(self.have);
        }
        if self.have < self.size {
            let reason = format!("it ended after {} of {} bytes", self.have, self.size);
            return Err(Failure::Transient(reason));
        }
        Ok(())
    }

    /// This source has something else: nothing of it is kept.
    async fn discard(&mut self, reason: String) -> Result<(), Failure> {
        self.restart_at(0).await?;
        Err(Failure::Final(reason))
    }

    async fn restart_at(&mut self, offset: u64) -> Result<(), Error> {
        self.have = offset;
        let set = self.file.set_len(offset).await;
        set.map_err(Error::io("write", self.path))?;
        let sought = self.file.seek(SeekFrom::Start(offset)).await;
        sought.map_err(Error::io("write", self.path))?;
        (self.progress)(offset);
        Ok(())
    }
}

/// Whether the response is the rest of a file of `size` bytes from byte `have` on.
fn continues(response: &Response, have: u64, size: u64) -> bool {
    response.status() == StatusCode::PARTIAL_CONTENT
        && http::content_range(response.headers()).is_some_and(|range| is_rest(range, have, size))
}

fn is_rest(range: ContentRange, have: u64, size: u64) -> bool {
    range.first == have
        && range.last.checked_add(1) == Some(size)
        && range.size.is_none_or(|total| total == size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_rest_of_the_file_continues_it() {
        let is_rest = |first, last, size| is_rest(ContentRange { first, last, size }, 100, 200);
        assert!(is_rest(100, 199, Some(200)));
        assert!(is_rest(100, 199, None));
        assert!(!is_rest(0, 199, Some(200)));
        assert!(!is_rest(100, 198, Some(200)));
        assert!(!is_rest(100, 199, Some(300)));
        assert!(!is_rest(100, u64::MAX, None));
    }
}
