//! Packages that are not extracted: the layer builder takes their files out of the zips, so that nothing of them is
//! written to the disk, and each is inflated once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::download::{self, fault};
use super::origins::zip_entry;
use super::plan::ReleasePlan;
use crate::image::layers::{FileContent, Node, NodeKind, Source};
use crate::packages::{self, ListedEntry, ListedKind};

/// The packages that were not extracted: their zips, and where they would be in the build context.
pub fn packages(plan: &ReleasePlan) -> Result<Vec<(PathBuf, String)>> {
    let platforms = plan.platforms.iter().filter(|it| !plan.lib(it).is_dir());
    let zipped = platforms.map(|platform| {
        let folder = plan.lib(platform);
        let folder = folder.file_name().unwrap_or_default().to_string_lossy();
        Ok((download::package(plan, platform)?, folder.into_owned()))
    });
    zipped.collect()
}

/// What `zip` would be extracted to, below `folder` of the build context. Blocking.
pub fn nodes(zip: &Path, folder: &str) -> Result<Vec<(String, Node)>> {
    let digest = packages::digest(zip).map_err(fault)?;
    let listed = packages::list(zip).map_err(fault)?;
    let mut nodes = vec![(folder.to_owned(), owned_by_root(NodeKind::Directory, 0o755))];
    for (path, ListedEntry { kind, mode }) in listed {
        let path = path.to_str().context("a name that is not UTF-8")?;
        let kind = match kind {
            ListedKind::Directory => NodeKind::Directory,
            ListedKind::Link(target) => NodeKind::Link(target),
            ListedKind::File(file) => NodeKind::File(FileContent {
                size: file.size,
                source: Source::Zip(Arc::new(zip_entry(zip, &digest, &file))),
            }),
        };
        nodes.push((format!("{folder}/{path}"), owned_by_root(kind, mode)));
    }
    Ok(nodes)
}

/// The number of files in `zip`. Blocking.
pub fn count(zip: &Path) -> Result<usize> {
    let listed = packages::list(zip).map_err(fault)?;
    let files = listed
        .values()
        .filter(|entry| matches!(entry.kind, ListedKind::File(_)));
    Ok(files.count())
}

fn owned_by_root(kind: NodeKind, mode: u32) -> Node {
    Node {
        kind,
        mode,
        uid: 0,
        gid: 0,
        has_attributes: false,
    }
}
