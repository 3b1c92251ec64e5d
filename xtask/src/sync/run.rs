//! `cargo xtask sync`: read the files, look at the registries, copy, report.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Result, anyhow};
use futures_util::FutureExt as _;
use futures_util::future::FusedFuture as _;

use super::command_line::Named;
use super::{Inputs, Request, WrongRule, read};
use crate::cli::{self, CopyArgs, SyncArgs, SyncOptions};
use crate::copy::{self, Attestations, MissingPlatform, Mode, Options, Referrers};
use crate::credentials::Credentials;
use crate::exit::{Exit, bad_input, interrupted};
use crate::report::{Console, SyncReport, is_same_file};
use crate::settings::Settings;

use super::catalog;
use super::files::{self, Failures};
use super::formats::{asked_for, printed};
use super::local;
use super::os_and_arch::any_of;
use super::probe::Registries;
use super::progress::ProgressReporter;
use super::resolve::{Resolved, resolve};
use super::shard::Shard;
use super::waiting::Waiting;

/// Makes every destination hold what the files say.
pub async fn run(settings: &Settings, console: &Arc<Console>, args: &SyncArgs) -> Result<Exit> {
    let interrupt = interrupted();
    let inputs = Inputs {
        files: [&args.files[..], &args.images, &args.config].concat(),
        to: match (&args.registry, &args.namespace) {
            (Some(registry), Some(namespace)) => Some(format!("{registry}/{namespace}")),
            (Some(registry), None) => Some(registry.clone()),
            (None, _) => args.to.clone(),
        },
        ..inputs(&args.options)?
    };
    let request = begin(settings, console, &args.options, &inputs)?;
    if args.print {
        let printed = console.print(&printed(&request).map_err(bad_input)?);
        for WrongRule { origin, reason, .. } in &request.wrong {
            console.error(&anyhow!("{origin}: {reason}"));
        }
        return Ok(match (printed, request.wrong.is_empty()) {
            (Exit::Done, false) => Exit::Partial,
            (printed, _) => printed,
        });
    }
    let shard = shard(
        settings,
        &args.options,
        settings.environment.get("SYNC_SHARD"),
    )?;
    let nothing = match request.may_be_empty && args.options.tags.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    };
    carry_out(
        settings,
        console,
        &args.options,
        request,
        shard,
        nothing,
        interrupt,
    )
    .await
}

/// `cargo xtask copy`: the same for one source that the command line names.
pub async fn copy(settings: &Settings, console: &Arc<Console>, args: &CopyArgs) -> Result<Exit> {
    let interrupt = interrupted();
    let inputs = Inputs {
        named: Some(Named {
            source: args.source.clone(),
            destinations: args.destinations.clone(),
        }),
        ..inputs(&args.options)?
    };
    let request = begin(settings, console, &args.options, &inputs)?;
    let shard = shard(settings, &args.options, None)?;
    let nothing = Exit::Failed;
    carry_out(
        settings,
        console,
        &args.options,
        request,
        shard,
        nothing,
        interrupt,
    )
    .await
}

/// Reads what is to be done, tells what is odd about it, and sees to it that no login is shown.
fn begin(
    settings: &Settings,
    console: &Console,
    args: &SyncOptions,
    inputs: &Inputs,
) -> Result<Request> {
    if let Some(path) = &args.log {
        console.open_log(path).map_err(bad_input)?;
    }
    let request = request(settings, console, inputs)?;
    let mask = |it: &Credentials| console.mask(|redactor| it.hide(redactor));
    request.logins.credentials().for_each(mask);
    warn(console, &request.warnings);
    Ok(request)
}

/// Which part of the work this is, by the option or else by `SYNC_SHARD`.
fn shard(settings: &Settings, args: &SyncOptions, variable: Option<&str>) -> Result<Option<Shard>> {
    let (text, said) = match (args.shard.as_deref(), variable) {
        (Some(text), _) => (text, format!("--shard {text}")),
        (None, Some(text)) => (text, format!("SYNC_SHARD={text}")),
        (None, None) => return Ok(None),
    };
    let index = settings.environment.get("JOB_COMPLETION_INDEX");
    Shard::read(text, args.shard_by, index, &said).map(Some)
}

/// `nothing` is the exit code if no image is chosen.
async fn carry_out(
    settings: &Settings,
    console: &Arc<Console>,
    args: &SyncOptions,
    mut request: Request,
    shard: Option<Shard>,
    nothing: Exit,
    interrupt: impl Future<Output = ()>,
) -> Result<Exit> {
    let mut interrupt = std::pin::pin!(interrupt.fuse());
    let mode = match args.dry_run {
        true => Mode::DryRun,
        false => Mode::Apply,
    };
    // Before anything is cut or listed: the same for each part.
    let asked = asked_for(&request);
    let finish = |done: SyncReport, exit, report| {
        let mapping = files::images_in_place(args, &done.images, mode);
        let done = SyncReport {
            dry_run: args.dry_run,
            shard: shard.map(|it| it.report(asked.clone())),
            ..done
        };
        let mut outcome = super::report::outcome(done, exit, args.succeeded.as_deref());
        outcome.files.extend(mapping);
        console.finish(outcome, report)
    };
    let failures = match &args.only_failed {
        Some(path) => Failures::read(path)?,
        None => None,
    };
    if let Some(path) = args.only_failed.as_ref().filter(|_| failures.is_none()) {
        console.warning(&format!(
            "`{}` is of a run that ended before it knew its images: everything is looked at",
            path.display()
        ));
    }
    if failures.as_ref().is_some_and(|it| it.count() == 0) {
        console.info("nothing failed according to the report: there is nothing to do");
        return Ok(finish(
            SyncReport::default(),
            Exit::Done,
            args.report.as_deref(),
        ));
    }
    let mask = |it: &Credentials| console.mask(|redactor| it.hide(redactor));
    let share = shard.map_or(1, |it| it.of());
    let looked_at = match request.local {
        Some(_) => LOCAL,
        None => SOURCES,
    };
    console.follow(looked_at);
    let tell = |hosts: &str| console.note(looked_at, hosts);
    let waiting = Waiting::new(&tell);
    let resolved: Result<Resolved> = tokio::select! {
        resolved = async {
            let is_listed = !request.projects.is_empty();
            let listed = catalog::expand(settings, &mut request, args.retries, share, &waiting).await?;
            if let Some(asked) = &listed.registries {
                asked.credentials().for_each(mask);
                asked.warnings.iter().for_each(|it| console.warning(it));
            }
            if let Some(shard) = shard {
                shard.cut_rules(&mut request, is_listed);
            }
            let registries = Registries::open(settings, &request, args.retries, mode, share, &waiting).await?;
            registries.credentials().for_each(mask);
            let told = listed.registries.iter().flat_map(|it| &it.warnings);
            let told: HashSet<&String> = told.collect();
            let warnings = registries.warnings.iter().filter(|it| !told.contains(it));
            warnings.for_each(|it| console.warning(it));
            let mut resolved = resolve(&request, &registries, &waiting).await?;
            if let Some(image) = &request.local {
                local::resolve(image, settings, &registries, args.force, &mut resolved).await?;
            }
            resolved.failed.extend(listed.failed);
            resolved.warnings.extend(listed.warnings);
            resolved.empty_rules.extend(listed.empty_rules);
            Ok(resolved)
        } => resolved,
        () = &mut interrupt => Ok(Resolved::default()),
    };
    console.unfollow(looked_at);
    let mut resolved = resolved?;
    if let Some(shard) = shard {
        shard.cut_images(&mut resolved);
    }
    let is_unknown = interrupt.is_terminated();
    if let Some(failures) = failures {
        let gone = failures.keep(&mut resolved);
        let failed = resolved.failed.len() + resolved.wrong.len();
        let is_nothing = resolved.jobs.is_empty() && failed == 0;
        if is_nothing && !is_unknown {
            let count = failures.count();
            let problem = format!("none of the {count} failed images of the report is in the file");
            return Err(bad_input(problem));
        }
        let shown = |(image, place): &&_| format!("`{image}` to `{place}`");
        let first = gone.iter().map(shown).min();
        // Another part may have them.
        if let Some(first) = first.filter(|_| shard.is_none() && !is_unknown) {
            console.warning(&format!(
                "{} of the {} failed images of the report are not asked for any more, such as {first}; hint: what the files ask for instead is copied without `--only-failed`",
                gone.len(),
                failures.count()
            ));
        }
    }
    warn(console, &resolved.warnings);
    warn(console, &resolved.empty_rules);

    let options = Options {
        mode,
        concurrency: usize::from(args.proc),
        retries: args.retries,
        timeout: args.timeout,
        force: args.force,
    };
    if args.listing == cli::Listing::Auto {
        copy::use_listings(&resolved.jobs);
    }
    let watch = ProgressReporter::new(console, args.log_level, mode, &resolved.jobs);
    let mut rows = [resolved.wrong, resolved.failed].concat();
    rows.extend(copy::run(resolved.jobs, &options, watch.clone(), &mut interrupt).await);
    warn(console, &super::report::nothing_fits(&request.rules, &rows));

    let exit = if interrupt.is_terminated() {
        Exit::Interrupted
    } else {
        // More parts than sources leave some with nothing to do.
        match (rows.is_empty(), shard.is_some()) {
            (true, true) => Exit::Done,
            (true, false) => nothing,
            (false, _) => super::report::exit(&rows),
        }
    };
    let report = args.report.as_deref();
    let report = report.filter(|_| !(is_unknown && keeps_report(args)));
    let done = SyncReport {
        bytes_read: watch.read() + resolved.bytes_read.load(Ordering::Relaxed),
        is_unlisted: is_unknown,
        empty_rules: resolved.empty_rules,
        images: rows,
        ..SyncReport::default()
    };
    Ok(finish(done, exit, report))
}

/// What is shown while the registries are looked at.
const SOURCES: &str = "logins and lists of tags";
const LOCAL: &str = "logins and the image";

/// As many as somebody reads.
const MOST_WARNINGS: usize = 100;

pub(super) fn warn(console: &Console, warnings: &[String]) {
    for warning in warnings.iter().take(MOST_WARNINGS) {
        console.warning(warning);
    }
    if let Some(more @ 1..) = warnings.len().checked_sub(MOST_WARNINGS) {
        console.warning(&format!("and {more} more warnings"));
    }
}

/// Whether a run that did not come to know its images leaves the report as it was: it is the list of what failed.
pub fn keeps_report(args: &SyncOptions) -> bool {
    let files = args.report.as_deref().zip(args.only_failed.as_deref());
    files.is_some_and(|(report, failed)| is_same_file(report, failed))
}

/// What the options say, whatever is copied.
fn inputs(args: &SyncOptions) -> Result<Inputs> {
    Ok(Inputs {
        auth: args.auth.clone(),
        tags: args.tags.clone(),
        platforms: args.platform.clone(),
        missing_platform: args.choices.missing_platform.map(|it| match it {
            cli::MissingPlatform::Fail => MissingPlatform::Fail,
            cli::MissingPlatform::Skip => MissingPlatform::Skip,
        }),
        attestations: args.choices.attestations.map(|it| match it {
            cli::Attestations::Keep => Attestations::Keep,
            cli::Attestations::Strip => Attestations::Strip,
            cli::Attestations::Auto => Attestations::Auto,
        }),
        referrers: args.choices.referrers.map(|it| match it {
            cli::Referrers::Keep => Referrers::Keep,
            cli::Referrers::Strip => Referrers::Strip,
        }),
        any_platform_of: any_of(&args.image_syncer.os, &args.image_syncer.arch)
            .map_err(bad_input)?,
        ..Inputs::default()
    })
}

/// What `inputs` ask for, with the variables of the run.
pub(super) fn request(settings: &Settings, console: &Console, inputs: &Inputs) -> Result<Request> {
    let asked = RefCell::new(HashSet::new());
    let request = read(inputs, &|name| {
        asked.borrow_mut().insert(name.to_owned());
        settings.environment.get(name).map(str::to_owned)
    });
    let asked = asked.into_inner();
    let misspelled = settings.misspelled(|name| asked.contains(name));
    warn(console, &misspelled);
    request
}
