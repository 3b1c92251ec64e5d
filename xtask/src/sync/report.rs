//! The outcome of a sync: tables, report and exit code.

use std::path::Path;

use indexmap::IndexMap;
use indicatif::DecimalBytes;

use super::files::{self, is_in_place};
use super::rule::Rule;
use crate::copy::{CopyResult, CopyStatus, Mode};
use crate::exit::Exit;
use crate::report::{Content, Outcome, SyncReport, Table};

/// 0 everything is in place; 1 nothing is; 3 something is not. What was skipped on purpose does not count.
pub(super) fn exit(images: &[CopyResult]) -> Exit {
    let wanted = || images.iter().filter(|it| it.status != CopyStatus::Skipped);
    match wanted().filter(|image| image.is_failed()).count() {
        0 if images.is_empty() => Exit::Failed,
        0 => Exit::Done,
        failed if failed == wanted().count() && wanted().all(|it| !it.incomplete) => Exit::Failed,
        _ => Exit::Partial,
    }
}

/// The word for a status in tables and lines; a dry run has done nothing yet.
pub(super) fn word(status: CopyStatus, mode: Mode) -> &'static str {
    match (status, mode) {
        (CopyStatus::Created, Mode::Apply) => "created",
        (CopyStatus::Created, Mode::DryRun) => "missing",
        (CopyStatus::Updated, Mode::Apply) => "updated",
        (CopyStatus::Updated, Mode::DryRun) => "changed",
        (CopyStatus::Equal, _) => "equal",
        (CopyStatus::Degraded, _) => "degraded",
        (CopyStatus::Skipped, _) => "skipped",
        (CopyStatus::Failed, _) => "failed",
    }
}

/// `succeeded` is the file of `--succeeded`, which a dry run does not write.
pub(super) fn outcome(report: SyncReport, exit: Exit, succeeded: Option<&Path>) -> Outcome {
    let rows = &report.images[..];
    let mode = match report.dry_run {
        true => Mode::DryRun,
        false => Mode::Apply,
    };
    let count = |status| rows.iter().filter(|row| row.status == status).count();
    let (failed, equal) = (count(CopyStatus::Failed), count(CopyStatus::Equal));
    let skipped = count(CopyStatus::Skipped);
    let and_skipped = match skipped {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    let and_empty = match report.empty_rules.len() {
        0 => String::new(),
        1 => ", 1 rule chose nothing".to_owned(),
        count => format!(", {count} rules chose nothing"),
    };
    let part = report.shard.as_ref().map_or_else(String::new, |shard| {
        format!(", part {} of {}", shard.number, shard.of)
    });
    let in_place = rows.iter().filter(|row| is_in_place(row, mode)).count();
    let referrers = match rows.iter().map(|row| row.referrers).sum() {
        0 => String::new(),
        1 => ", with 1 referrer".to_owned(),
        count => format!(", with {count} referrers"),
    };
    let title = match mode {
        Mode::Apply => format!(
            "sync: {in_place} of {} in place{and_skipped}{and_empty}{referrers}, {} read{part}",
            rows.len(),
            DecimalBytes(report.bytes_read)
        ),
        Mode::DryRun => format!(
            "dry run of a sync: {equal} equal, {} to do, {failed} cannot be done{and_skipped}{and_empty}{part}",
            rows.len() - failed - equal - skipped
        ),
    };
    Outcome {
        title,
        exit,
        lack: lack(&report),
        tables: vec![remarkable(rows, mode), by_destination(rows, mode)],
        outputs: vec![
            ("in_place", in_place.to_string()),
            ("failed", failed.to_string()),
        ],
        files: succeeded
            .filter(|_| mode == Mode::Apply)
            .map(|path| (path.to_owned(), files::succeeded(rows)))
            .into_iter()
            .collect(),
        content: Some(Content::Sync(report)),
    }
}

/// Rules of which no image is copied, because each lacks a platform: it may be misspelled.
pub(super) fn nothing_fits(rules: &[Rule], rows: &[CopyResult]) -> Vec<String> {
    let is_skipped = |it: &&CopyResult| it.status == CopyStatus::Skipped;
    if !rows.iter().any(|it| is_skipped(&it)) {
        return Vec::new();
    }
    let warnings = rules.iter().filter_map(|rule| {
        let source = rule.source.to_string();
        let is_of_rule = |row: &&CopyResult| {
            let rest = row.image.strip_prefix(&source);
            let mut places = rule.destinations.iter().map(|it| &it.repository);
            rest.is_some_and(|rest| rest.starts_with([':', '@']))
                && places.any(|it| *it == row.reference.repository)
        };
        let own: Vec<&CopyResult> = rows.iter().filter(is_of_rule).collect();
        let is_nothing = !own.is_empty() && own.iter().all(is_skipped);
        is_nothing.then(|| {
            let origin = &rule.origin;
            format!("{origin}: no image of `{source}` has the platforms, nothing is copied")
        })
    });
    warnings.collect()
}

/// The verdict on images that are as whole as their sources are, where not all that was asked for is there.
fn lack(report: &SyncReport) -> Option<String> {
    let incomplete = report.images.iter().filter(|it| it.incomplete).count();
    let is_failed = |it: &CopyResult| it.status == CopyStatus::Failed;
    if report.is_unlisted || report.images.iter().any(is_failed) {
        return None;
    }
    match incomplete {
        0 => None,
        1 => Some("done but for 1 image that lacks a platform".to_owned()),
        count => Some(format!("done but for {count} images that lack a platform")),
    }
}

const STATUSES: [CopyStatus; 6] = [
    CopyStatus::Created,
    CopyStatus::Updated,
    CopyStatus::Equal,
    CopyStatus::Degraded,
    CopyStatus::Skipped,
    CopyStatus::Failed,
];

fn by_destination(rows: &[CopyResult], mode: Mode) -> Table {
    let mut destinations: IndexMap<&str, Vec<&CopyResult>> = IndexMap::new();
    for row in rows {
        destinations.entry(&row.destination).or_default().push(row);
    }
    // Only where somebody has asked for it.
    let has_skipped = rows.iter().any(|it| it.status == CopyStatus::Skipped);
    let statuses = || {
        let all = STATUSES.into_iter();
        all.filter(move |status| has_skipped || *status != CopyStatus::Skipped)
    };
    let mut columns = vec!["destination"];
    columns.extend(statuses().map(|status| word(status, mode)));
    columns.extend([
        if mode == Mode::DryRun {
            "to move"
        } else {
            "uploaded"
        },
        "mounted",
        "there already",
    ]);
    let lines = destinations.into_iter().map(|(destination, rows)| {
        let count = |status| {
            rows.iter()
                .filter(|row| row.status == status)
                .count()
                .to_string()
        };
        let sum = |bytes: fn(&CopyResult) -> u64| {
            DecimalBytes(rows.iter().map(|row| bytes(row)).sum()).to_string()
        };
        let mut line = vec![destination.to_owned()];
        line.extend(statuses().map(count));
        line.extend([
            sum(|row| row.bytes.uploaded),
            sum(|row| row.bytes.mounted),
            sum(|row| row.bytes.skipped),
        ]);
        line
    });
    Table {
        columns,
        rows: lines.collect(),
    }
}

/// In a dry run all differences, otherwise what failed or is degraded. What failed at one destination for one reason is
/// one row.
fn remarkable(rows: &[CopyResult], mode: Mode) -> Table {
    let is_remarkable = |row: &&CopyResult| match row.status {
        CopyStatus::Equal => false,
        CopyStatus::Created | CopyStatus::Updated => mode == Mode::DryRun,
        CopyStatus::Degraded | CopyStatus::Skipped | CopyStatus::Failed => true,
    };
    let mut alike: IndexMap<(&str, String), Vec<&CopyResult>> = IndexMap::new();
    for row in rows.iter().filter(is_remarkable) {
        let why = row.reason.clone().unwrap_or_else(|| row.place());
        alike.entry((&row.destination, why)).or_default().push(row);
    }
    let lines = alike.into_values().map(|rows| {
        let row = rows[0];
        let more = match rows.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let bytes = rows.iter().map(|row| row.bytes.uploaded).sum();
        let digest = || row.digest.as_ref().map(ToString::to_string);
        vec![
            row.image.clone() + &more,
            row.place(),
            word(row.status, mode).to_owned(),
            DecimalBytes(bytes).to_string(),
            row.reason.clone().or_else(digest).unwrap_or_default(),
        ]
    });
    Table {
        columns: vec!["image", "to", "result", "bytes", "digest, or reason"],
        rows: lines.collect(),
    }
}
