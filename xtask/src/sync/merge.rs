//! `cargo xtask report merge`: the reports of all parts of a run as one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::report::{exit, outcome};
use crate::cli::MergeArgs;
use crate::exit::{Exit, bad_input};
use crate::report::{Console, ShardReport, SyncReport};

/// One summary, one report and one exit code.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): reports that are not of one run.
pub fn merge(console: &Console, args: &MergeArgs) -> Result<Exit> {
    let mut parts: BTreeMap<usize, &Path> = BTreeMap::new();
    let mut of = None;
    let mut first: Option<(&Path, ShardReport)> = None;
    let mut merged = SyncReport::default();
    let mut is_dry = None;
    for path in &args.files {
        let (report, knows_all) = SyncReport::read_any(path)?;
        let wrong = |why: String| bad_input(format!("`{}`: {why}", path.display()));
        if *is_dry.get_or_insert(report.dry_run) != report.dry_run {
            return Err(wrong("a dry run and a run are not one".to_owned()));
        }
        let parts_of = report.shard.as_ref().map(|it| it.of);
        // A run that ended at once, by a wrong setting, does not say which part it was.
        let says_part = parts_of.is_some() || knows_all;
        if says_part && *of.get_or_insert(parts_of) != parts_of {
            let why = "it is of another number of parts than those before".to_owned();
            return Err(wrong(
                why + "\nhint: merge the reports of one `--shard K/N` each",
            ));
        }
        if let Some(shard) = &report.shard {
            let first = first.get_or_insert((path, shard.clone()));
            not_of_one_run(&first.1, shard).map_err(|differs| {
                let first = first.0.display();
                wrong(format!(
                    "{differs} than in `{first}`: they are not of one run"
                ))
            })?;
        }
        if let Some(shard) = &report.shard
            && let Some(other) = parts.insert(shard.number, path)
        {
            let (number, other) = (shard.number, other.display());
            return Err(wrong(format!("it is of part {number}, as `{other}`")));
        }
        if !knows_all {
            merged.is_unlisted = true;
            console.warning(&format!(
                "`{}` is of a run that ended before it knew its images",
                path.display()
            ));
        }
        merged.bytes_read = merged.bytes_read.saturating_add(report.bytes_read);
        merged.images.extend(report.images);
    }
    let missing = (1..=of.flatten().unwrap_or(0)).filter(|it| !parts.contains_key(it));
    for number in missing {
        merged.is_unlisted = true;
        console.warning(&format!("there is no report of part {number}"));
    }
    merged.dry_run = is_dry.unwrap_or_default();
    let ended = match (merged.is_unlisted, exit(&merged.images)) {
        (true, Exit::Done) => Exit::Partial,
        (_, ended) => ended,
    };
    let outcome = outcome(merged, ended, args.succeeded.as_deref());
    Ok(console.finish(outcome, args.report.as_deref()))
}

/// # Errors
/// What differs. Older versions did not say how it was cut, nor what was asked for.
fn not_of_one_run(one: &ShardReport, other: &ShardReport) -> Result<(), String> {
    if let (Some(one), Some(other)) = (&one.by, &other.by)
        && one != other
    {
        return Err(format!("it was cut by {other}, other"));
    }
    match (&one.request, &other.request) {
        (Some(one), Some(other)) if one != other => {
            Err("its files or options ask for something else".to_owned())
        }
        _ => Ok(()),
    }
}
