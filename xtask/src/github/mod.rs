//! github
use std::path::{Path, PathBuf};
#[derive(Debug)]
pub struct Asset {
    pub path: PathBuf,
    pub name: String,
    pub size: u64,
    pub sha256: Option<String>,
}
#[derive(Debug)]
pub struct Plan {
    pub tag: String,
    pub name: String,
    pub prerelease: bool,
    pub notes: String,
    pub assets: Vec<Asset>,
    pub target_commitish: Option<String>,
}
pub struct Github;
pub struct Published {
    pub url: String,
    pub created: bool,
    pub uploaded: Vec<String>,
    pub skipped: Vec<String>,
    pub replaced: Vec<String>,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Error;
impl Github {
    pub fn new(
        _: reqwest::Client,
        _: &url::Url,
        _: &str,
        _: crate::secret::Secret<String>,
    ) -> Result<Self, Error> {
        Ok(Github)
    }
    pub async fn publish(
        &self,
        _: &Plan,
        _: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Published, Error> {
        Err(Error)
    }
}
impl Asset {
    pub fn from_file(_: &Path) -> Result<Self, Error> {
        Err(Error)
    }
}
