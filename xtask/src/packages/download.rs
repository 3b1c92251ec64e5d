//! One package, from whichever source has it, verified. The file has its own name only once it is verified; until then
//! it is `NAME.part`, from which the next attempt or the next run goes on.

use std::path::{Path, PathBuf};

use reqwest::Client;
use tokio::fs;
use tokio::sync::Mutex;
use url::Url;

use super::error::Error;
use super::get::{Failure, TRIES};
use super::package::Package;
use super::partial_file::{AttemptError, PartialFile};
use super::verify::verify_or_remove;
use crate::http;
use crate::oci::Digest;
use crate::secret::{Secret, public_url};

/// A package that is there and verified.
#[derive(Clone, Debug)]
pub struct Downloaded {
    pub path: PathBuf,
    /// Bytes that this call read from the network: 0 when the file was there already.
    pub bytes_fetched: u64,
    pub digest: Digest,
}

/// Brings a package into `dir`, which is made if need be. `client` is from [`http::client`].
///
/// `progress` gets how many bytes of the package are there; fewer than before when a source makes it start again.
/// Each source is asked in turn, and again in later rounds while its failures may pass.
///
/// # Errors
/// [`Error::Download`] when no source gave it, with each one's reason; [`Error::Io`] at once.
pub async fn download(
    client: &Client,
    package: &Package,
    dir: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Downloaded, Error> {
    fs::create_dir_all(dir)
        .await
        .map_err(Error::io("create", dir))?;
    let path = dir.join(&package.name);
    match verify_or_remove(&path, package).await {
        Ok(Some(digest)) => {
            progress(package.size);
            return Ok(Downloaded {
                path,
                bytes_fetched: 0,
                digest,
            });
        }
        // What had its name was something else, and is gone.
        Ok(None) | Err(Error::Refused { .. }) => {}
        Err(error) => return Err(error),
    }
    let part = dir.join(format!("{}.part", package.name));
    let download = Mutex::new(Download {
        client,
        package,
        part: &part,
        progress,
        willing: package.sources.iter().collect(),
        complaints: Vec::new(),
        bytes_fetched: 0,
    });
    let may_pass = |error: &AttemptError| {
        matches!(
            error,
            AttemptError::Source(Failure {
                transient: true,
                ..
            })
        )
    };
    let policy = http::transient(TRIES - 1, http::FIRST_WAIT, may_pass);
    let outcome = http::retry(policy, |_| async { download.lock().await.round().await }).await;
    let Download {
        complaints,
        bytes_fetched,
        ..
    } = download.into_inner();
    match outcome {
        Ok(digest) => {
            let renamed = fs::rename(&part, &path).await;
            renamed.map_err(Error::io("create", &path))?;
            Ok(Downloaded {
                path,
                bytes_fetched,
                digest,
            })
        }
        Err(AttemptError::Machine(error)) => Err(error),
        Err(AttemptError::Source(_)) => {
            // Nothing to go on from.
            if fs::metadata(&part).await.is_ok_and(|part| part.len() == 0) {
                fs::remove_file(&part)
                    .await
                    .map_err(Error::io("remove", &part))?;
            }
            Err(Error::Download {
                name: package.name.clone(),
                complaints,
            })
        }
    }
}

/// A download in progress.
struct Download<'a> {
    client: &'a Client,
    package: &'a Package,
    part: &'a Path,
    progress: &'a (dyn Fn(u64) + Send + Sync),
    /// Sources that may still give it.
    willing: Vec<&'a Secret<Url>>,
    /// Each different one once.
    complaints: Vec<String>,
    bytes_fetched: u64,
}

impl Download<'_> {
    /// Asks each willing source in turn; returns the digest of the complete and verified partial file. The failure is
    /// transient if a source is still willing.
    async fn round(&mut self) -> Result<Digest, AttemptError> {
        for source in std::mem::take(&mut self.willing) {
            let mut file = PartialFile::open(self.part, self.package.size, self.progress).await?;
            let attempt = self.attempt(source, &mut file).await;
            self.bytes_fetched += file.fetched;
            let Err(AttemptError::Source(failure)) = attempt else {
                return attempt;
            };
            let complaint = format!("{}: {}", public_url(source.expose()), failure.reason);
            if !self.complaints.contains(&complaint) {
                self.complaints.push(complaint);
            }
            if failure.transient {
                self.willing.push(source);
            }
        }
        Err(AttemptError::Source(Failure {
            reason: "no source gave it".to_owned(),
            transient: !self.willing.is_empty(),
        }))
    }

    /// Completes and verifies the partial file from one source; returns its digest.
    async fn attempt(
        &self,
        source: &Secret<Url>,
        file: &mut PartialFile<'_>,
    ) -> Result<Digest, AttemptError> {
        let resumed = file.have() > 0;
        file.complete(self.client, source).await?;
        match verify_or_remove(self.part, self.package).await {
            Ok(Some(digest)) => Ok(digest),
            Ok(None) => Err(Failure::passing("the partial file disappeared".to_owned()).into()),
            // Pieces of different times or sources may not fit; one whole wrong file is this source's fault.
            Err(Error::Refused { reason, .. }) if resumed => Err(Failure::passing(reason).into()),
            Err(Error::Refused { reason, .. }) => Err(Failure::lasting(reason).into()),
            Err(error) => Err(error.into()),
        }
    }
}
