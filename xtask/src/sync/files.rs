//! The files that one run writes and a later one, or a person, reads: what succeeded, and what failed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use indexmap::IndexMap;
use serde_json::Value;

use super::project::RepositoryPattern;
use super::resolve::Resolved;
use crate::cli::SyncOptions;
use crate::copy::{CopyResult, CopyStatus, Destination, Job, Mode};
use crate::oci::{Reference, RepositoryName, TagOrDigest};
use crate::report::SyncReport;

/// The file of `--output-success-images`: what is in place, as image-syncer's images. A dry run writes none.
pub(super) fn images_in_place(
    args: &SyncOptions,
    images: &[CopyResult],
    mode: Mode,
) -> Option<(PathBuf, String)> {
    let path = args.image_syncer.output_success_images.clone()?;
    let is_json = args.image_syncer.output_images_format == "json";
    (mode == Mode::Apply).then(|| (path, mapping(images, is_json)))
}

fn mapping(images: &[CopyResult], is_json: bool) -> String {
    let mut mapping: IndexMap<&str, Vec<String>> = IndexMap::new();
    for image in images.iter().filter(|it| is_in_place(it, Mode::Apply)) {
        let references = image.references().into_iter().map(|it| it.to_string());
        mapping.entry(&image.image).or_default().extend(references);
    }
    let quoted = |text: &str| Value::from(text).to_string();
    if is_json {
        let entries = mapping.into_iter();
        let entries = entries.map(|(source, there)| (source.to_owned(), there.into()));
        return format!("{}\n", Value::Object(entries.collect()));
    }
    let mut text = String::new();
    for (source, there) in mapping {
        text += &format!("{}:\n", quoted(source));
        there
            .iter()
            .for_each(|it| text += &format!("- {}\n", quoted(it)));
    }
    // Of an empty text no reader makes a mapping.
    if text.is_empty() {
        "{}\n".to_owned()
    } else {
        text
    }
}

/// The text of `--succeeded`: one reference on a line for each tag that is in place.
pub(super) fn succeeded(images: &[CopyResult]) -> String {
    let in_place = images.iter().filter(|it| is_in_place(it, Mode::Apply));
    in_place
        .flat_map(CopyResult::references)
        .map(|reference| format!("{reference}\n"))
        .collect()
}

/// A dry run puts nothing in its place.
pub(super) fn is_in_place(row: &CopyResult, mode: Mode) -> bool {
    match mode {
        Mode::Apply => !matches!(row.status, CopyStatus::Failed | CopyStatus::Skipped),
        Mode::DryRun => row.status == CopyStatus::Equal,
    }
}

/// What failed according to an earlier report: images, and where they were to go.
pub(super) struct Failures {
    images: HashSet<Failure>,
    /// Sources whose repositories were not known.
    patterns: Vec<(RepositoryPattern, Failure)>,
}

/// An image, and where it was to go.
type Failure = (String, Reference);

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
        let images: HashSet<Failure> = failed.collect();
        let patterns = images.iter().filter_map(|failure| {
            let (name, _) = RepositoryPattern::split(&failure.0)?;
            Some((RepositoryPattern::parse(name).ok()?, failure.clone()))
        });
        Ok(Some(Failures {
            patterns: patterns.collect(),
            images,
        }))
    }

    pub fn count(&self) -> usize {
        self.images.len()
    }

    /// Leaves nothing else to do. Returns what failed then and is not asked for now, as far as that is known.
    pub fn keep(&self, resolved: &mut Resolved) -> Vec<&Failure> {
        let mut asked = HashSet::new();
        resolved.jobs.retain_mut(|job| {
            let Job {
                name,
                source,
                destinations,
                ..
            } = job;
            destinations.retain(|destination| {
                let of_it = self.of(name, source.at(), destination);
                asked.extend(of_it.iter().copied());
                !of_it.is_empty()
            });
            !destinations.is_empty()
        });
        // Without tags, it stands for a source that could not be listed: who knows what is there.
        let failure = |row: &CopyResult| (row.image.clone(), row.reference.clone());
        let known = |row: &CopyResult| self.images.get(&failure(row));
        resolved
            .failed
            .retain(|row| row.tags.is_empty() || known(row).is_some());
        if resolved.failed.iter().any(|row| row.tags.is_empty()) {
            return Vec::new();
        }
        let rows = resolved.failed.iter().chain(&resolved.wrong);
        asked.extend(rows.filter_map(known));
        let images = self.images.iter().filter(|it| !asked.contains(it));
        images.collect()
    }

    /// The failures of the image itself there, of its whole repository, and of its project.
    fn of(&self, name: &str, at: Option<&TagOrDigest>, destination: &Destination) -> Vec<&Failure> {
        let repository = Reference::from(destination.repository.clone());
        let source = at.and_then(|at| name.strip_suffix(&at.to_string()));
        let source = source.map_or(name, |it| it.trim_end_matches([':', '@']));
        let pairs = [
            (name.to_owned(), destination.reference(at)),
            (source.to_owned(), repository),
        ];
        let of_pairs = pairs.iter().filter_map(|pair| self.images.get(pair));
        let mut found: Vec<&Failure> = of_pairs.collect();
        if let Ok(source) = source.parse::<RepositoryName>() {
            let of_patterns = self.patterns.iter().filter(|(it, _)| it.fits(&source));
            found.extend(of_patterns.map(|(_, failure)| failure));
        }
        found
    }
}
