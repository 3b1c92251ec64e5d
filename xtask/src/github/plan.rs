//! A release as plain data, before and after.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::error::Error;
use crate::oci::Digest;

/// What the release of `tag` shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub tag: String,
    pub name: String,
    pub prerelease: bool,
    /// In Markdown.
    pub notes: String,
    pub assets: Vec<Asset>,
    /// Where GitHub makes the tag if it is not there yet: a branch or a commit.
    pub target_commitish: Option<String>,
}

/// A file to attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub path: PathBuf,
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Without it an asset that is there is always replaced.
    pub digest: Option<Digest>,
}

/// What the release became; assets by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The page of the release.
    pub url: String,
    /// False when there was a release or a draft of this tag.
    pub created: bool,
    pub uploaded: Vec<String>,
    /// There already with the same size and digest.
    pub skipped: Vec<String>,
    /// There with other bytes, or incomplete.
    pub replaced: Vec<String>,
}

/// What happens while a release is being published.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// `sent` of `size` bytes of an asset are on their way.
    Sent {
        asset: &'a str,
        sent: u64,
        size: u64,
    },
    /// Something failed that may pass; the next try is after `wait`.
    Waiting { reason: String, wait: Duration },
}

/// Who hears of [`Event`]s.
pub(super) type Progress<'a> = &'a (dyn Fn(Event<'_>) + Send + Sync);

impl Plan {
    /// Finds what GitHub would refuse, or silently change, before anything is sent.
    pub(super) fn check(&self) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        for asset in &self.assets {
            let wrong = |reason: String| {
                Err(Error::Asset {
                    name: asset.name.clone(),
                    reason,
                })
            };
            // GitHub puts dots in place of other characters, and then the asset is not found by its name again.
            let kept = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
            let edges = [asset.name.chars().next(), asset.name.chars().next_back()];
            if !asset.name.chars().all(kept) || edges.iter().any(|c| matches!(c, None | Some('.')))
            {
                return wrong(
                    "GitHub would rename it; hint: letters, digits, `.`, `_`, `-`, `+`".to_owned(),
                );
            }
            if !names.insert(&asset.name) {
                return wrong("the release would have it twice".to_owned());
            }
            let length = std::fs::metadata(&asset.path)
                .map_err(|source| Error::Io {
                    path: asset.path.clone(),
                    source,
                })?
                .len();
            if length != asset.size {
                return wrong(format!(
                    "the file has {length} bytes, expected {}",
                    asset.size
                ));
            }
        }
        Ok(())
    }
}
