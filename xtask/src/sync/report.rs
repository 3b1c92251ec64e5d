//! What came of it: tables, facts, the exit code.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use indicatif::DecimalBytes;
use serde_json::json;

use super::files::is_in_place;
use crate::copy::{Mode, Row, Verdict};
use crate::exit::Exit;
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
    let in_place = rows.iter().filter(|row| is_in_place(row, mode)).count();
    let title = match mode {
        Mode::Apply => format!(
            "sync: {in_place} of {} in place, {} read",
            rows.len(),
            DecimalBytes(read)
        ),
        Mode::DryRun => format!(
            "dry run of a sync: {equal} equal, {} to do, {failed} cannot be done",
            rows.len() - failed - equal
        ),
    };
    Outcome {
        title,
        exit,
        tables: vec![remarkable(rows, mode), by_destination(rows, mode)],
        facts: json!({ "images": rows, "bytes_read": read, "dry_run": mode == Mode::DryRun }),
        outputs: vec![
            ("exit_code", (exit as u8).to_string()),
            ("in_place", in_place.to_string()),
            ("failed", failed.to_string()),
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

/// Everything that was not simply in place: in a dry run the whole difference, otherwise what failed or is less. What
/// failed at one destination for one reason is told once.
fn remarkable(rows: &[Row], mode: Mode) -> Table {
    let is_remarkable = |row: &&Row| match row.verdict {
        Verdict::Equal => false,
        Verdict::Created | Verdict::Updated => mode == Mode::DryRun,
        Verdict::Degraded | Verdict::Failed => true,
    };
    let mut alike: IndexMap<(&str, &str), Vec<&Row>> = IndexMap::new();
    for row in rows.iter().filter(is_remarkable) {
        let why = row.reason.as_ref().unwrap_or(&row.reference);
        alike.entry((&row.destination, why)).or_default().push(row);
    }
    let lines = alike.into_values().map(|rows| {
        let row = rows[0];
        let more = match rows.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let bytes = rows.iter().map(|row| row.bytes.uploaded).sum();
        let reason = row.reason.as_ref().or(row.digest.as_ref());
        vec![
            row.image.clone() + &more,
            row.reference.clone(),
            word(row.verdict, mode).to_owned(),
            DecimalBytes(bytes).to_string(),
            reason.cloned().unwrap_or_default(),
        ]
    });
    Table {
        columns: vec!["image", "to", "result", "bytes", "digest, or reason"],
        rows: lines.collect(),
    }
}
