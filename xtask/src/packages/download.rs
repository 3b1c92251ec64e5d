//! One package, from whichever source has it, verified. The file has its own name only once it is verified; until then
//! it is `NAME.part`, from which the next attempt or the next run goes on.

use std::io;
use std::path::Path;

use reqwest::Client;
use tokio::fs;
use tokio::sync::Mutex;
use url::Url;

use super::error::Error;
use super::get::{Failure, TRIES};
use super::package::Package;
use super::partial_file::{PartialFile, Progress};
use super::record;
use super::verify::verify_or_remove;
use crate::http;
use crate::secret::{Secret, public_url};

/// Brings a package into `dir`, which is made if need be, and returns how many bytes it read from the network: 0 when
/// the file was there already. `client` is from [`http::client`].
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
    progress: Progress<'_>,
) -> Result<u64, Error> {
    fs::create_dir_all(dir)
        .await
        .map_err(Error::io("create", dir))?;
    let path = dir.join(&package.name);
    match verify_or_remove(&path, package).await {
        Ok(true) => {
            remember(&path, package).await?;
            progress(package.size);
            return Ok(0);
        }
        // What had its name was something else, and is gone.
        Ok(false) | Err(Error::Refused { .. }) => {}
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
    let policy = http::transient(TRIES - 1, http::FIRST_WAIT, Failure::is_transient);
    let round = |_| async { download.lock().await.round().await };
    let rounds = http::retry(policy, round).await;
    let download = download.into_inner();
    match rounds {
        Ok(()) => {
            let renamed = fs::rename(&part, &path).await;
            renamed.map_err(Error::io("create", &path))?;
            remember(&path, package).await?;
            Ok(download.bytes_fetched)
        }
        Err(Failure::Machine(error)) => Err(error),
        Err(failure @ (Failure::Transient(_) | Failure::Final(_))) => {
            // Nothing to go on from.
            if fs::metadata(&part).await.is_ok_and(|part| part.len() == 0) {
                let removed = fs::remove_file(&part).await;
                removed.map_err(Error::io("remove", &part))?;
            }
            Err(Error::Download {
                name: package.name.clone(),
                complaints: download.complaints,
                is_network: failure.is_transient(),
            })
        }
    }
}

/// Records the digest of the verified package, so that it need not be read again.
async fn remember(path: &Path, package: &Package) -> Result<(), Error> {
    let (file, digest) = (path.to_owned(), package.digest.clone());
    let work = move || match digest {
        Some(digest) if record::known(&file).as_ref() != Some(&digest) => {
            record::remember(&file, &digest);
            Ok(())
        }
        Some(_) => Ok(()),
        None => record::digest(&file).map(drop),
    };
    let remembered = tokio::task::spawn_blocking(work).await;
    remembered.map_err(|error| Error::io("read", path)(io::Error::other(error)))?
}

/// A download in progress.
struct Download<'a> {
    client: &'a Client,
    package: &'a Package,
    part: &'a Path,
    progress: Progress<'a>,
    /// Sources that may still give it.
    willing: Vec<&'a Secret<Url>>,
    /// Each different one once.
    complaints: Vec<String>,
    bytes_fetched: u64,
}

impl Download<'_> {
    /// Asks each willing source in turn for the complete and verified partial file. The failure is transient if a
    /// source is still willing.
    async fn round(&mut self) -> Result<(), Failure> {
        for source in std::mem::take(&mut self.willing) {
            let mut file = PartialFile::open(self.part, self.package.size, self.progress).await?;
            let attempt = self.attempt(source, &mut file).await;
            self.bytes_fetched += file.fetched;
            let failure = match attempt {
                Ok(()) | Err(Failure::Machine(_)) => return attempt,
                Err(failure) => failure,
            };
            let complaint = format!("{}: {failure}", public_url(source.expose()));
            if !self.complaints.contains(&complaint) {
                self.complaints.push(complaint);
            }
            if failure.is_transient() {
                self.willing.push(source);
            }
        }
        let reason = "no source gave it".to_owned();
        Err(match self.willing.is_empty() {
            true => Failure::Final(reason),
            false => Failure::Transient(reason),
        })
    }

    /// Completes and verifies the partial file from one source.
    async fn attempt(
        &self,
        source: &Secret<Url>,
        file: &mut PartialFile<'_>,
    ) -> Result<(), Failure> {
        let resumed = file.have > 0;
        file.complete(self.client, source).await?;
        match verify_or_remove(self.part, self.package).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Transient(
                "the partial file disappeared".to_owned(),
            )),
            // Pieces of different times or sources may not fit; one whole wrong file is this source's fault.
            Err(Error::Refused { reason, .. }) if resumed => Err(Failure::Transient(reason)),
            Err(Error::Refused { reason, .. }) => Err(Failure::Final(reason)),
            Err(error) => Err(error.into()),
        }
    }
}
