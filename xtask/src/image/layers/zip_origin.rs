//! The way from a file of the build context back to the zip entry that it was extracted from.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::zip_entry::ZipEntry;

/// By path in the build context.
pub type Origins = HashMap<String, ZipOrigin>;

/// A deflated entry of a zip, and the file that was extracted from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZipOrigin {
    pub entry: ZipEntry,
    /// When the extracted file was changed, in seconds and nanoseconds, which no program can set back: one that was
    /// changed since is compressed instead.
    pub changed: (i64, i64),
}

/// The origins that can be used, as long as the context is read.
pub(super) struct Usable<'a> {
    origins: &'a Origins,
    zips: HashMap<&'a PathBuf, u64>,
}

impl<'a> Usable<'a> {
    pub fn new(origins: &'a Origins) -> Usable<'a> {
        // A zip that was removed meanwhile is no error: the files are there.
        let zips: HashSet<&PathBuf> = origins.values().map(|origin| &origin.entry.zip).collect();
        let zips = zips.into_iter().filter_map(|zip| {
            let metadata = fs::metadata(zip).ok()?;
            Some((zip, metadata.len()))
        });
        Usable {
            origins,
            zips: zips.collect(),
        }
    }

    /// The origin of a file of the context.
    pub fn origin(&self, name: &str, size: u64, changed: (i64, i64)) -> Option<ZipEntry> {
        let ZipOrigin {
            entry,
            changed: then,
        } = self.origins.get(name)?;
        let is_unchanged = (entry.size, *then) == (size, changed);
        let zip = self.zips.get(&entry.zip)?;
        let end = entry.offset.checked_add(entry.compressed)?;
        (is_unchanged && end <= *zip).then(|| entry.clone())
    }
}
