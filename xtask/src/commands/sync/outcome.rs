//! What came of it: tables, the report, the exit code, and the files that a later run reads.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::DecimalBytes;
use serde::Deserialize;
use serde_json::json;

use crate::copy::{Mode, Row, Verdict};
use crate::exit::{Exit, bad_input};
use crate::report::{Outcome, Table};

/// 0 everything is in place; 1 nothing is; 3 something is not.
pub(super) fn exit(rows: &[Row]) -> Exit {
    let is_bad = |row: &&Row| row.verdict == Verdict::Failed || row.incomplete;
    match rows.iter().filter(is_bad).count() {
        0 if rows.is_empty() => Exit::Failed,
        0 => Exit::Done,
        bad if bad == rows.len() && rows.iter().all(|row| !row.incomplete) => Exit::Failed,
        _ => Exit::Partial,
    }
}

/// How a verdict is called; a dry run has done nothing yet.
pub(super) fn word(verdict: Verdict, mode: Mode) -> &'static str {
    match (verdict, mode) {
        (Verdict::Created, Mode::Apply) => "created",
        (Verdict::Created, Mode::DryRun) => "missing",
        (Verdict::Updated, Mode::Apply) => "updated",
        (Verdict::Updated, Mode::DryRun) => "changed",
        (Verdict::Equal, _) => "equal",
        (Verdict::Degraded, _) => "degraded",
        (Verdict::Failed, _) => "failed",
    }
}

pub(super) fn outcome(rows: &[Row], read: u64, mode: Mode, exit: Exit) -> Outcome {
    let count = |is: fn(Verdict) -> bool| rows.iter().filter(|row| is(row.verdict)).count();
    let (failed, equal) = (
        count(|it| it == Verdict::Failed),
        count(|it| it == Verdict::Equal),
    );
    let done = rows.len() - failed;
    let title = match mode {
        Mode::Apply => format!(
            "sync: {done} of {} in place, {} read",
            rows.len(),
            DecimalBytes(read)
        ),
        Mode::DryRun => format!(
            "dry run of a sync: {equal} equal, {} to do, {failed} cannot be done",
            done - equal
        ),
    };
    Outcome {
        title,
        exit,
        tables: vec![by_destination(rows, mode), remarkable(rows, mode)],
        facts: json!({ "images": rows, "bytes_read": read, "dry_run": mode == Mode::DryRun }),
        outputs: vec![
            ("exit_code", (exit as u8).to_string()),
            ("in_place", done.to_string()),
            ("failed", (rows.len() - done).to_string()),
        ],
    }
}

const VERDICTS: [Verdict; 5] = [
    Verdict::Created,
    Verdict::Updated,
    Verdict::Equal,
    Verdict::Degraded,
    Verdict::Failed,
];

fn by_destination(rows: &[Row], mode: Mode) -> Table {
    let mut destinations: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        destinations.entry(&row.destination).or_default().push(row);
    }
    let mut columns = vec!["destination"];
    columns.extend(VERDICTS.map(|verdict| word(verdict, mode)));
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
        let count = |verdict| {
            rows.iter()
                .filter(|row| row.verdict == verdict)
                .count()
                .to_string()
        };
        let sum = |bytes: fn(&Row) -> u64| {
            DecimalBytes(rows.iter().map(|row| bytes(row)).sum()).to_string()
        };
        let mut line = vec![destination.to_owned()];
        line.extend(VERDICTS.map(count));
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

/// Everything that was not simply in place: in a dry run the whole difference, otherwise what failed or is less.
fn remarkable(rows: &[Row], mode: Mode) -> Table {
    let is_remarkable = |row: &&Row| match row.verdict {
        Verdict::Equal => false,
        Verdict::Created | Verdict::Updated => mode == Mode::DryRun,
        Verdict::Degraded | Verdict::Failed => true,
    };
    let lines = rows.iter().filter(is_remarkable).map(|row| {
        vec![
            row.image.clone(),
            row.reference.clone(),
            word(row.verdict, mode).to_owned(),
            DecimalBytes(row.bytes.uploaded).to_string(),
            row.reason
                .clone()
                .unwrap_or_else(|| row.digest.clone().unwrap_or_default()),
        ]
    });
    Table {
        columns: vec!["image", "to", "result", "bytes", "digest, or reason"],
        rows: lines.collect(),
    }
}

/// One reference on a line for each tag that is in place.
pub(super) fn write_succeeded(path: &Path, rows: &[Row]) -> Result<()> {
    let in_place = rows.iter().filter(|row| row.verdict != Verdict::Failed);
    let lines: String = in_place
        .flat_map(Row::references)
        .map(|reference| reference + "\n")
        .collect();
    std::fs::write(path, lines).with_context(|| format!("`{}` cannot be written", path.display()))
}

/// The images and places that failed according to an earlier report.
pub(super) fn failed_in(path: &Path) -> Result<HashSet<(String, String)>> {
    #[derive(Deserialize)]
    struct Report {
        images: Vec<Image>,
    }
    #[derive(Deserialize)]
    struct Image {
        image: String,
        reference: String,
        verdict: Verdict,
        incomplete: bool,
    }
    let problem =
        |error: &dyn std::fmt::Display| bad_input(format!("`{}`: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| problem(&error))?;
    let report: Report = serde_json::from_str(&text).map_err(|error| problem(&error))?;
    let failed = report
        .images
        .into_iter()
        .filter(|it| it.verdict == Verdict::Failed || it.incomplete);
    Ok(failed.map(|it| (it.image, it.reference)).collect())
}
