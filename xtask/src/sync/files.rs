//! The files that one run writes and a later one, or a person, reads: what succeeded, and what failed.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Result;

use super::resolve::Resolved;
use crate::copy::{CopyResult, CopyStatus, Destination, Job, Mode};
use crate::oci::{Reference, TagOrDigest};
use crate::report::SyncReport;

/// The text of `--succeeded`: one reference on a line for each tag that is in place.
pub(super) fn succeeded(images: &[CopyResult], mode: Mode) -> String {
    let in_place = images.iter().filter(|image| is_in_place(image, mode));
    in_place
        .flat_map(CopyResult::references)
        .map(|reference| format!("{reference}\n"))
        .collect()
}

/// A dry run puts nothing in its place.
pub(super) fn is_in_place(row: &CopyResult, mode: Mode) -> bool {
    match mode {
        Mode::Apply => row.status != CopyStatus::Failed,
        Mode::DryRun => row.status == CopyStatus::Equal,
    }
}

/// What failed according to an earlier report: images, and where they were to go.
pub(super) struct Failures(HashSet<(String, Reference)>);

impl Failures {
    /// `None`: the run ended before it knew what it had to do, and anything may be missing.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): this is not the report of a sync.
    pub fn read(path: &Path) -> Result<Option<Failures>> {
        let Some(report) = SyncReport::read(path)? else {
            return Ok(None);
        };
        let failed = report.failed();
        let failed = failed.map(|it| (it.image.clone(), it.reference.clone()));
        Ok(Some(Failures(failed.collect())))
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Leaves nothing else to do.
    pub fn keep(&self, resolved: &mut Resolved) {
        resolved.jobs.retain_mut(|job| {
            let Job {
                name,
                source,
                destinations,
                ..
            } = job;
            destinations.retain(|destination| self.hold(name, source.at(), destination));
            !destinations.is_empty()
        });
        // Without tags, it stands for a source that could not be listed: who knows what is there.
        resolved.failed.retain(|row| {
            row.tags.is_empty() || self.0.contains(&(row.image.clone(), row.reference.clone()))
        });
    }

    /// The image itself failed there, or its whole repository did.
    fn hold(&self, name: &str, at: Option<&TagOrDigest>, destination: &Destination) -> bool {
        let repository = Reference::from(destination.repository.clone());
        let suffix = at.map_or(0, |at| 1 + at.to_string().len());
        let source = &name[..name.len() - suffix];
        let pairs = [
            (name.to_owned(), destination.reference(at)),
            (source.to_owned(), repository),
        ];
        pairs.iter().any(|pair| self.0.contains(pair))
    }
}
