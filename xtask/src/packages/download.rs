//! One package, from whichever source has it, verified.
//!
//! Refuses to know which packages a release needs. Invariant: the file has its own name only once it is verified;
//! until then it is `NAME.part`, from which the next attempt or the next run goes on.

use std::path::{Path, PathBuf};

use reqwest::Client;
use tokio::fs;
use url::Url;

use super::error::Error;
use super::http::{self, Failure, ROUNDS};
use super::package::Package;
use super::part::{Fault, Part};
use super::verify::settle;
use crate::secret::{Secret, public_url};

/// A package that is there and verified.
#[derive(Clone, Debug)]
pub struct Downloaded {
    pub path: PathBuf,
    /// What this call read from the network: 0 when the file was there already.
    pub bytes_fetched: u64,
    /// Lowercase hex.
    pub sha256: String,
}

/// Brings a package into `dir`, which is made if need be.
///
/// `progress` is told how many bytes of the package are there; fewer than before when a source makes it start again.
/// Each source is asked in turn, and again in later rounds while its failures may pass. `http` must be built with
/// `referer(false)`, or a redirect would hand the query of a signed address to another host; its redirect policy and
/// proxy apply.
///
/// # Errors
/// [`Error::Download`] when no source gave it, with each one's reason; [`Error::Io`] at once.
pub async fn download(
    http: &Client,
    package: &Package,
    dir: &Path,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Downloaded, Error> {
    fs::create_dir_all(dir)
        .await
        .map_err(Error::io("create", dir))?;
    let path = dir.join(&package.name);
    let mut bytes_fetched = 0;
    match settle(&path, package).await {
        Ok(Some(sha256)) => {
            progress(package.size);
            return Ok(Downloaded {
                path,
                bytes_fetched,
                sha256,
            });
        }
        // What had its name was something else, and is gone.
        Ok(None) | Err(Error::Refused { .. }) => {}
        Err(error) => return Err(error),
    }
    let part = dir.join(format!("{}.part", package.name));
    let mut sources: Vec<&Secret<Url>> = package.sources.iter().collect();
    let mut complaints = Vec::new();
    for round in 0..ROUNDS {
        if sources.is_empty() {
            break;
        }
        http::pause(round).await;
        let mut willing = Vec::new();
        for source in sources {
            let mut file = Part::open(&part, package.size, progress).await?;
            let attempt = attempt(http, source, package, &mut file, &part).await;
            bytes_fetched += file.fetched;
            match attempt {
                Ok(sha256) => {
                    let renamed = fs::rename(&part, &path).await;
                    renamed.map_err(Error::io("create", &path))?;
                    return Ok(Downloaded {
                        path,
                        bytes_fetched,
                        sha256,
                    });
                }
                Err(Fault::Machine(error)) => return Err(error),
                Err(Fault::Source(failure)) => {
                    let complaint = format!("{}: {}", public_url(source.expose()), failure.reason);
                    if !complaints.contains(&complaint) {
                        complaints.push(complaint);
                    }
                    if failure.transient {
                        willing.push(source);
                    }
                }
            }
        }
        sources = willing;
    }
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

/// Completes and verifies the partial file from one source; returns its digest.
async fn attempt(
    http: &Client,
    source: &Secret<Url>,
    package: &Package,
    file: &mut Part<'_>,
    part: &Path,
) -> Result<String, Fault> {
    let resumed = file.have() > 0;
    file.complete(http, source).await?;
    match settle(part, package).await {
        Ok(Some(sha256)) => Ok(sha256),
        Ok(None) => Err(Failure::passing("the partial file disappeared".to_owned()).into()),
        // Pieces of different times or sources may not fit; one whole wrong file is this source's fault.
        Err(Error::Refused { reason, .. }) if resumed => Err(Failure::passing(reason).into()),
        Err(Error::Refused { reason, .. }) => Err(Failure::lasting(reason).into()),
        Err(error) => Err(error.into()),
    }
}
