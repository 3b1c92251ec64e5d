//! `cargo xtask report merge`: the reports of all parts of a run as one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::Result;
use indexmap::IndexSet;

use super::report::{exit, outcome};
use super::shard::MOST;
use crate::cli::MergeArgs;
use crate::copy::{CopyResult, CopyStatus};
use crate::exit::{Exit, bad_input};
use crate::oci::{Digest, Reference, Tag};
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
    let mut empty_rules = IndexSet::new();
    let mut unlisted = HashSet::new();
    let (mut absent, mut lacks) = (Vec::new(), Vec::new());
    for path in &args.files {
        // Who names the parts beforehand names the one that was lost, too.
        if args.files.len() > 1 && !path.exists() {
            absent.push(format!("there is no `{}`", path.display()));
            continue;
        }
        let (report, knows_all, error) = SyncReport::read_any(path)?;
        let wrong = |why: String| bad_input(format!("`{}`: {why}", path.display()));
        if *is_dry.get_or_insert(report.dry_run) != report.dry_run {
            return Err(wrong("a dry run and a run are not one".to_owned()));
        }
        if let Some(shard) = &report.shard
            && (shard.of > MOST || !(1..=shard.of).contains(&shard.number))
        {
            let (number, of) = (shard.number, shard.of);
            return Err(wrong(format!(
                "it is of part {number} of {of}; there are at most {MOST}"
            )));
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
        if parts_of.is_none() && says_part && args.files.len() > 1 {
            return Err(wrong(
                "it is of a whole run, not of a part of one".to_owned()
                    + "\nhint: merge the reports of one `--shard K/N` each",
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
            let number = shard.number;
            let why = match other == path {
                true => "it is named twice".to_owned(),
                false => format!("it is of part {number}, as `{}`", other.display()),
            };
            return Err(wrong(why));
        }
        if !knows_all {
            let why = error.map_or_else(String::new, |error| {
                format!(": {}", error.replace('\n', " "))
            });
            lacks.push(format!(
                "`{}` is of a run that ended before it knew its images{why}",
                path.display()
            ));
        }
        merged.bytes_read = merged.bytes_read.saturating_add(report.bytes_read);
        // With `--shard-by tag`, each part tells the same of a rule, also that its source cannot be listed.
        let mut images = report.images;
        images.retain(|row| !unlisted.contains(&failure(row)));
        unlisted.extend(images.iter().filter(|it| it.tags.is_empty()).map(failure));
        merged.images.extend(images);
        empty_rules.extend(report.empty_rules);
    }
    let missing = (1..=of.flatten().unwrap_or(0)).filter(|it| !parts.contains_key(it));
    if let Some(missing) = named(missing) {
        lacks.push(format!("there is no report of part {missing}"));
    }
    if is_dry.is_none() {
        return Err(bad_input(absent.join("\n")));
    }
    // Else the part that it was is named already.
    if lacks.is_empty() {
        lacks.append(&mut absent);
    }
    merged.is_unlisted = !lacks.is_empty();
    absent
        .iter()
        .chain(&lacks)
        .for_each(|it| console.warning(it));
    let conflicts = conflicts(&merged.images);
    let shown = conflicts.values().take(SHOWN);
    shown.for_each(|conflict| console.warning(conflict));
    if conflicts.len() > SHOWN {
        let more = conflicts.len() - SHOWN;
        console.warning(&format!("and so were {more} more"));
    }
    let is_twice = !conflicts.is_empty();
    // Which of them is there now depends on who came last.
    for (at, reason) in conflicts {
        let row = &mut merged.images[at];
        (row.status, row.digest, row.reason) = (CopyStatus::Failed, None, Some(reason));
    }
    merged.empty_rules = Vec::from_iter(empty_rules);
    merged.dry_run = is_dry.unwrap_or_default();
    let ended = match exit(&merged.images) {
        _ if is_twice => Exit::Partial,
        Exit::Done if merged.is_unlisted => Exit::Partial,
        ended => ended,
    };
    let has_failed = merged.images.iter().any(CopyResult::is_failed);
    let mut outcome = outcome(merged, ended, args.succeeded.as_deref());
    if !lacks.is_empty() {
        let shown = lacks.iter().take(SHOWN).map(String::as_str);
        outcome.title += &format!(", {}", shown.collect::<Vec<_>>().join(", "));
        outcome.lack = (!has_failed).then(|| "partly done".to_owned());
    }
    Ok(console.finish(outcome, args.report.as_deref()))
}

/// What failed, where and why.
fn failure(row: &CopyResult) -> (String, Reference, Option<String>) {
    (row.image.clone(), row.reference.clone(), row.reason.clone())
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

/// Of many, those that are named.
const SHOWN: usize = 10;

/// Numbers in their order, as ranges.
fn named(numbers: impl Iterator<Item = usize>) -> Option<String> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown = ranges
        .iter()
        .take(SHOWN)
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first} to {last}"),
        });
    let shown: Vec<String> = shown.collect();
    let more = match ranges.len().saturating_sub(SHOWN) {
        0 => "",
        _ => " and more",
    };
    (!shown.is_empty()).then(|| shown.join(", ") + more)
}

/// A sentence for each image with a tag that another one was written to as well: the parts of a run do not see each
/// other's.
fn conflicts(images: &[CopyResult]) -> BTreeMap<usize, String> {
    let mut written: HashMap<(String, &Tag), (usize, &Digest)> = HashMap::new();
    let mut found = BTreeMap::new();
    for (at, row) in images.iter().enumerate() {
        let Some(digest) = &row.digest else { continue };
        for tag in &row.tags {
            let repository = &row.reference.repository;
            let sentence = format!("`{repository}:{tag}`");
            let (first, before) = *written
                .entry((repository.identity(), tag))
                .or_insert((at, digest));
            let image = &images[first].image;
            if *image != row.image && before != digest {
                let sentence = format!(
                    "{sentence} was written twice: from `{image}` and from `{}`",
                    row.image
                );
                found.extend([(first, sentence.clone()), (at, sentence)]);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_parts_are_named_as_ranges_and_not_all_of_many() {
        let named = |numbers: &[usize]| named(numbers.iter().copied());
        assert_eq!(named(&[]), None);
        assert_eq!(named(&[3]).unwrap(), "3");
        assert_eq!(named(&[1, 3, 4, 5, 9]).unwrap(), "1, 3 to 5, 9");
        let odd: Vec<usize> = (0..5_000).map(|it| it * 2 + 1).collect();
        assert_eq!(
            named(&odd).unwrap(),
            "1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and more"
        );
    }
}
