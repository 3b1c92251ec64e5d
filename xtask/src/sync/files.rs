//! The files that one run writes and a later one, or a person, reads: what succeeded, and what failed.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::resolve::Resolved;
use crate::copy::{CopyResult, CopyStatus, Destination, Job, Mode};
use crate::exit::bad_input;
use crate::oci::TagOrDigest;

/// Finds out before anything is done whether a file can be written at the end.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): it cannot.
pub(super) fn check_writable(path: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(path);
    file.map_err(|error| bad_input(format!("`{}` cannot be written: {error}", path.display())))?;
    Ok(())
}

/// One reference on a line for each tag that is in place.
pub(super) fn write_succeeded(path: &Path, rows: &[CopyResult], mode: Mode) -> Result<()> {
    let in_place = rows.iter().filter(|row| is_in_place(row, mode));
    let lines: String = in_place
        .flat_map(CopyResult::references)
        .map(|reference| reference + "\n")
        .collect();
    std::fs::write(path, lines).with_context(|| format!("`{}` cannot be written", path.display()))
}

/// A dry run puts nothing in its place.
pub(super) fn is_in_place(row: &CopyResult, mode: Mode) -> bool {
    match mode {
        Mode::Apply => row.status != CopyStatus::Failed,
        Mode::DryRun => row.status == CopyStatus::Equal,
    }
}

/// What failed according to an earlier report: images, and where they were to go.
pub(super) struct Failures(HashSet<(String, String)>);

impl Failures {
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): this is not the report of a sync.
    pub fn read(path: &Path) -> Result<Failures> {
        #[derive(Deserialize)]
        struct Report {
            images: Vec<Image>,
        }
        #[derive(Deserialize)]
        struct Image {
            image: String,
            reference: String,
            status: CopyStatus,
            incomplete: bool,
        }
        let file = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| bad_input(format!("`{file}` cannot be read: {error}")))?;
        let report: Report = serde_json::from_str(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            bad_input(format!(
                "`{file}`, line {line}, column {column}: this is not the report of a sync; hint: what `--report` wrote"
            ))
        })?;
        let failed = report
            .images
            .into_iter()
            .filter(|it| it.status == CopyStatus::Failed || it.incomplete);
        Ok(Failures(
            failed.map(|it| (it.image, it.reference)).collect(),
        ))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        let repository = format!("{}/{}", destination.host.name, destination.path);
        let suffix = at.map_or(0, |at| 1 + at.to_string().len());
        let source = &name[..name.len() - suffix];
        let pairs = [
            (name.to_owned(), destination.reference(at)),
            (source.to_owned(), repository),
        ];
        pairs.iter().any(|pair| self.0.contains(pair))
    }
}
