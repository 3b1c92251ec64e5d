//! `cargo xtask tags`: which tags patterns choose, the newest first.

use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::command_line::Named;
use super::created::{CreationDates, SHOWN};
use super::probe::Registries;
use super::resolve::{list_one, wrong_tags};
use super::run::{request, warn};
use super::tags::{Dates, newest_first};
use super::waiting::Waiting;
use super::{Inputs, Select};
use crate::cli::TagsArgs;
use crate::copy::Mode;
use crate::credentials::Credentials;
use crate::exit::{Exit, bad_input};
use crate::report::Console;
use crate::settings::Settings;

/// As `sync`, if not told otherwise.
const RETRIES: u32 = 3;

/// Prints the tags, one on a line. Only what the registry lists is shown, whatever a pattern names.
pub async fn list_tags(
    settings: &Settings,
    console: &Arc<Console>,
    args: &TagsArgs,
) -> Result<Exit> {
    let inputs = Inputs {
        named: Some(Named {
            source: args.repository.clone(),
            destinations: Vec::new(),
        }),
        tags: args.patterns.clone(),
        auth: args.auth.clone(),
        ..Inputs::default()
    };
    let request = request(settings, console, &inputs)?;
    let mask = |it: &Credentials| console.mask(|redactor| it.hide(redactor));
    request.logins.credentials().for_each(mask);
    warn(console, &request.warnings);
    let [rule] = &request.rules[..] else {
        return Err(bad_input("no repository is named"));
    };
    let Select::Tags(filter) = &rule.select else {
        return Err(bad_input(
            "the repository has a digest; hint: `REPOSITORY`, then patterns of tags",
        ));
    };
    let waiting = Waiting::new(&|_| ());
    let registries =
        Registries::open(settings, &request, RETRIES, Mode::DryRun, 1, &waiting).await?;
    registries.credentials().for_each(mask);
    let warnings = registries.warnings.iter();
    warnings.for_each(|it| console.warning(it));
    let list = list_one(&rule.source, true, &registries).await;
    let list = list.map_err(|refusal| anyhow!(refusal.reason))?;
    if let Some(wrong) = wrong_tags(&rule.source, &list) {
        console.warning(&wrong);
    }
    let choose = |dates: &Dates| {
        let chosen = filter.narrow(filter.offered(&list.tags), dates)?;
        match &rule.only {
            Some(only) => only.narrow(chosen, dates),
            None => Ok(chosen),
        }
    };
    let dates = CreationDates::of(&registries);
    let dated = dates.choose(&rule.source, choose).await;
    let told = dated.warnings(&rule.source);
    told.for_each(|it| console.warning(&it));
    let mut failures = dated.failed.iter().map(|(tag, why)| {
        let image = rule.source.at(tag.clone());
        format!("`{image}`: {}", why.reason)
    });
    let mut chosen = dated.chosen;
    if chosen.is_empty() {
        if let Some(failure) = failures.next() {
            return Err(anyhow!(failure));
        }
        return Err(anyhow!("no tag of `{}` is chosen", rule.source));
    }
    newest_first(&mut chosen);
    let lines: String = chosen.iter().map(|tag| format!("{tag}\n")).collect();
    let printed = console.print(&lines);
    failures
        .by_ref()
        .take(SHOWN)
        .for_each(|it| console.warning(&it));
    match failures.count() {
        0 => {}
        more => console.warning(&format!("{more} more images could not be read either")),
    }
    Ok(match (printed, dated.failed.is_empty()) {
        (Exit::Done, false) => Exit::Partial,
        _ => printed,
    })
}
