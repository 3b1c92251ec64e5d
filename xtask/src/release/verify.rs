//! `cargo xtask verify REPORT`: does every registry still hold what the release report says?

use std::collections::BTreeMap;

use anyhow::Result;

use super::clients::Registries;
use super::registry_state::resolve_tags;
use crate::cli::VerifyArgs;
use crate::exit::{Exit, bad_input};
use crate::oci::{Digest, Tag};
use crate::report::{Console, Outcome, ReleaseReport, Table};
use crate::settings::Settings;

/// Compares every tag on every registry with the report, and prints the differences.
pub async fn verify(settings: &Settings, console: &Console, args: &VerifyArgs) -> Result<Exit> {
    let report = ReleaseReport::read(&args.report)?;
    let mut expected: BTreeMap<(String, Tag), &Digest> = BTreeMap::new();
    let mut tags: Vec<Tag> = Vec::new();
    for published in &report.registries {
        let Some(digest) = &published.digest else {
            continue;
        };
        for tag in &published.tags {
            expected.insert((published.registry.clone(), tag.clone()), digest);
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
    }
    if expected.is_empty() {
        return Err(bad_input(format!(
            "`{}`: the release published nothing that could be verified",
            args.report.display()
        )));
    }

    let settings = settings.registries()?;
    let registries = Registries::new(&settings)?;
    let mut table = Table {
        columns: vec!["registry", "reference", "reported", "held now"],
        rows: Vec::new(),
    };
    let mut equal = 0;
    for resolved in resolve_tags(registries.iter(), &tags).await {
        let registry = resolved.registry.settings;
        let key = (registry.name.clone(), resolved.tag.clone());
        let Some(reported) = expected.remove(&key) else {
            continue;
        };
        let now = match resolved.digest {
            Ok(Some(digest)) if digest == *reported => {
                equal += 1;
                continue;
            }
            Ok(Some(digest)) => digest.to_string(),
            Ok(None) => "nothing".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        table.rows.push(vec![
            registry.name.clone(),
            registry.repository.at(resolved.tag).to_string(),
            reported.to_string(),
            now,
        ]);
    }
    for ((registry, tag), reported) in expected {
        let now = "not asked: the settings know no such registry".to_owned();
        let cells = [registry.as_str(), tag.as_str(), reported.as_str(), &now];
        table.rows.push(cells.map(str::to_owned).to_vec());
    }
    let exit = if table.rows.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    };
    let differences = table.rows.len();
    let title = format!(
        "verify {}: {equal} tags as reported, {differences} not",
        report.version.as_deref().unwrap_or("a release")
    );
    Ok(console.finish(Outcome::table(title, exit, table), None))
}
