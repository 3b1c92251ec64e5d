//! `cargo xtask promote VERSION --tag latest`: move tags everywhere, by manifest only. This is also the rollback, so a
//! registry that is down fails alone, and the same command brings it level later.
//!
//! `promote --back REPORT` puts back what the moving tags named before a release.

use std::time::Instant;

use anyhow::Result;
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::clients::Registries;
use super::logins::{self, NO_CREDENTIALS};
use super::move_tags::{INTERRUPTED, fulfil};
use super::promote_report::{Ended, Task, outcome};
use super::promote_wishes::{back, not_asked, of_version};
use super::tags::is_version;
use crate::cli::PromoteArgs;
use crate::exit::{Exit, bad_input, interrupted, no_problems};
use crate::graph::same_name;
use crate::oci::Tag;
use crate::report::{Console, RegistryStatus, ReleaseReport, seconds};
use crate::settings::{RegistrySettings, Settings};

/// Moves tags on every registry with credentials.
pub async fn promote(settings: &Settings, console: &Console, args: &PromoteArgs) -> Result<Exit> {
    // Shared, because every registry must see an interrupt.
    let cancel = interrupted().shared();
    let started = Instant::now();
    let task = task(args)?;
    let (mut resolver, _) = settings.resolver();
    let mut settings = settings.registries()?;
    leave_out(&mut settings, &args.skip)?;
    let finish = |ended: &[Ended<'_>]| {
        let mut outcome = outcome(&task, ended, args.dry_run, seconds(started.elapsed()));
        if cancel.peek().is_some() {
            outcome.exit = Exit::Interrupted;
        }
        console.finish(outcome, args.report.as_deref().filter(|_| !args.dry_run))
    };
    let logins = tokio::select! {
        logins = logins::find(&settings, &mut resolver, |_| true) => logins,
        () = cancel.clone() => return Ok(finish(&[])),
    };
    no_problems(&logins::halves(&settings, &logins))?;
    logins::mask(&logins, console);
    let registries = Registries::new(&settings, &logins)?;
    let mut ended = Vec::new();
    for registry in registries.iter() {
        let Err(why) = &registry.login else { continue };
        let is_broken = why.is_helper_failure();
        if !is_broken {
            let name = &registry.settings.name;
            console.warning(&format!("registry `{name}` is skipped: {why}"));
        }
        let status = match is_broken {
            true => RegistryStatus::Failed,
            false => RegistryStatus::Skipped,
        };
        ended.push(Ended {
            registry,
            moved: Err((status, why.to_string())),
        });
    }
    if ended.len() == settings.len() && ended.iter().all(Ended::is_skipped) {
        return Err(bad_input(NO_CREDENTIALS));
    }
    let warn = |warning: &str| console.warning(warning);
    let wishes = async {
        match &task {
            Task::Version { version, tags } => of_version(&registries, version, tags, &warn).await,
            Task::Back(report) => back(&registries, report, args.force, &warn).await,
        }
    };
    let wishes = tokio::select! {
        wishes = wishes => wishes?,
        () = cancel.clone() => not_asked(&registries),
    };
    let moves = wishes.into_iter().map(|(registry, wishes)| {
        let cancel = cancel.clone();
        async move {
            let wishes = tokio::select! {
                biased;
                wishes = wishes => wishes,
                () = cancel.clone() => Err(INTERRUPTED.to_owned()),
            };
            let moved = match wishes {
                Ok(wishes) => Ok(fulfil(registry, wishes, args.dry_run, cancel).await),
                Err(why) => Err((RegistryStatus::Failed, why)),
            };
            Ended { registry, moved }
        }
    });
    ended.extend(join_all(moves).await);
    let place = |it: &Ended<'_>| {
        registries
            .iter()
            .position(|all| all.settings.name == it.registry.settings.name)
    };
    ended.sort_by_key(place);
    for it in &ended {
        it.tell(console, &task);
    }
    Ok(finish(&ended))
}

/// # Errors
/// [`BadInput`](crate::exit::BadInput): what is no tag, a tag that is a version's own, a report of something else.
fn task(args: &PromoteArgs) -> Result<Task> {
    let parse = |text: &str| {
        text.parse::<Tag>()
            .map_err(|error| bad_input(format!("`{text}`: {error}")))
    };
    let Some(version) = &args.version else {
        return match &args.back {
            Some(report) => Ok(Task::Back(ReleaseReport::read(report)?)),
            None => Err(bad_input(
                "which version? hint: `promote 1.2.3 --tag latest`, or `promote --back REPORT`",
            )),
        };
    };
    let version = parse(version.strip_prefix('v').unwrap_or(version))?;
    let tags: Vec<Tag> = args
        .tag
        .iter()
        .map(|tag| parse(tag))
        .collect::<Result<_>>()?;
    if let Some(tag) = tags.iter().find(|tag| is_version(tag) && !args.force) {
        return Err(bad_input(format!(
            "`{tag}` is the tag of one version, which nobody expects to move; nothing was moved\n\
             hint: `--force` overwrites it, and says what it named"
        )));
    }
    Ok(Task::Version { version, tags })
}

/// Leaves out the registries that are named, or whose push targets are.
fn leave_out(settings: &mut Vec<RegistrySettings>, skip: &[String]) -> Result<()> {
    for name in skip {
        let all: Vec<String> = settings.iter().map(|it| it.name.clone()).collect();
        let count = settings.len();
        settings.retain(|it| !same_name(name, &it.name) && !same_name(name, &it.target));
        if settings.len() == count {
            let all = all.join(", ");
            let problem = format!("`--skip {name}`: no such registry\nhint: they are {all}");
            return Err(bad_input(problem));
        }
    }
    match settings.is_empty() {
        true => Err(bad_input("`--skip` leaves no registry")),
        false => Ok(()),
    }
}
