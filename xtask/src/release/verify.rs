//! `cargo xtask verify REPORT`: does every registry still hold what the release report says?

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use super::held;
use crate::cli::VerifyArgs;
use crate::exit::{Exit, bad_input};
use crate::oci::Tag;
use crate::report::{Console, Outcome, Table};
use crate::settings::Settings;

/// The part of a release report that can be verified.
#[derive(Deserialize)]
struct Report {
    version: String,
    registries: Vec<Published>,
}

#[derive(Deserialize)]
struct Published {
    registry: String,
    tags: Vec<String>,
    /// Of what was published; none where nothing was.
    digest: Option<String>,
}

/// Compares every tag on every registry with the report, and prints the differences.
pub async fn verify(settings: &Settings, console: &Console, args: &VerifyArgs) -> Result<Exit> {
    let problem =
        |error: &dyn std::fmt::Display| bad_input(format!("`{}`: {error}", args.report.display()));
    let text = std::fs::read_to_string(&args.report).map_err(|error| problem(&error))?;
    let report: Report = serde_json::from_str(&text).map_err(|error| problem(&error))?;
    let mut expected: BTreeMap<(String, String), &str> = BTreeMap::new();
    let mut tags: Vec<Tag> = Vec::new();
    for published in &report.registries {
        let Some(digest) = &published.digest else {
            continue;
        };
        for tag in &published.tags {
            expected.insert((published.registry.clone(), tag.clone()), digest);
            let tag = tag.parse().map_err(|error| problem(&error))?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    if expected.is_empty() {
        return Err(problem(
            &"the release published nothing that could be verified",
        ));
    }

    let registries = settings.registries()?;
    let mut table = Table {
        columns: vec!["registry", "reference", "reported", "held now"],
        rows: Vec::new(),
    };
    let mut equal = 0;
    for held in held::held(&registries, &tags).await? {
        let Some(reported) = expected.remove(&(held.registry.name.clone(), held.tag.to_string()))
        else {
            continue;
        };
        let now = match held.digest {
            Ok(Some(digest)) => digest.to_string(),
            Ok(None) => "nothing".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if now == reported {
            equal += 1;
            continue;
        }
        let reference = format!("{}:{}", held.registry.repository, held.tag);
        table.rows.push(vec![
            held.registry.name.clone(),
            reference,
            reported.to_owned(),
            now,
        ]);
    }
    for ((registry, tag), reported) in expected {
        let now = "not asked: the settings know no such registry".to_owned();
        table
            .rows
            .push(vec![registry, tag, reported.to_owned(), now]);
    }
    let exit = if table.rows.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    };
    let differences = table.rows.len();
    let title = format!(
        "verify {}: {equal} tags as reported, {differences} not",
        report.version
    );
    console.finish(&Outcome::table(title, exit, table), None)?;
    Ok(exit)
}
