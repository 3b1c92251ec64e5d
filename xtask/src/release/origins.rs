//! The way from files of the build context back to the zips that they came from, kept beside the context between the
//! targets `extract` and `docker-build`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::plan::ReleasePlan;
use crate::image::layers::{Origins, ZipOrigin};
use crate::oci::Platform;
use crate::packages::DeflatedFile;

/// Records where `deflated`, the files that were extracted from `zip` into `lib`, are in it. Blocking.
pub fn save(file: &Path, zip: &Path, lib: &Path, deflated: &[DeflatedFile]) -> Result<()> {
    let folder = lib.file_name().unwrap_or_default();
    let mut origins = Origins::new();
    for entry in deflated {
        let modified = fs::metadata(lib.join(&entry.path))?.modified()?;
        let name = Path::new(folder).join(&entry.path);
        // What is not UTF-8 is compressed like any other file.
        let Some(name) = name.to_str() else { continue };
        let origin = ZipOrigin {
            zip: zip.to_owned(),
            offset: entry.offset,
            compressed: entry.compressed,
            size: entry.size,
            crc: entry.crc,
            modified,
        };
        origins.insert(name.to_owned(), origin);
    }
    let text = serde_json::to_vec(&origins)?;
    fs::write(file, text).with_context(|| format!("`{}`", file.display()))
}

/// What was recorded for all platforms. Without it, or if it cannot be read, files are compressed.
pub fn load(plan: &ReleasePlan) -> Origins {
    let texts = plan
        .platforms
        .iter()
        .map(|platform| fs::read(path(plan, platform)));
    let read = texts.filter_map(|text| serde_json::from_slice::<Origins>(&text.ok()?).ok());
    read.flatten().collect()
}

/// The record of one platform.
pub fn path(plan: &ReleasePlan, platform: &Platform) -> PathBuf {
    let name = format!("lib-{}.origins.json", platform.architecture);
    plan.packages.join(name)
}
