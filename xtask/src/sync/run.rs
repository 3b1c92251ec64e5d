//! `cargo xtask sync`: read the files, look at the registries, copy, report.

use std::sync::Arc;

use anyhow::Result;
use futures_util::FutureExt as _;
use futures_util::future::FusedFuture as _;

use super::{Inputs, Request, read};
use crate::cli::SyncArgs;
use crate::copy::{self, Mode, Options};
use crate::exit::interrupted;
use crate::exit::{Exit, bad_input};
use crate::report::Console;
use crate::settings::Settings;

use super::files::{self, Failures};
use super::probe::Registries;
use super::progress::ProgressReporter;
use super::resolve::{Resolved, resolve};

/// Makes every destination hold what the files say.
pub async fn run(settings: &Settings, console: &Arc<Console>, args: &SyncArgs) -> Result<Exit> {
    if let Some(path) = &args.log {
        console.open_log(path).map_err(bad_input)?;
    }
    let request = request(settings, args)?;
    console.mask(request.logins.secrets());
    let failures = args
        .only_failed
        .as_deref()
        .map(Failures::read)
        .transpose()?;
    if failures.as_ref().is_some_and(Failures::is_empty) {
        console.info("nothing failed according to the report: there is nothing to do");
        return Ok(Exit::Done);
    }
    for path in [&args.report, &args.succeeded].into_iter().flatten() {
        files::check_writable(path)?;
    }

    let mut interrupt = std::pin::pin!(interrupted().fuse());
    let mut resolved = tokio::select! {
        resolved = async {
            let registries = Registries::open(settings, &request, args.retries).await?;
            console.mask(registries.secrets());
            resolve(&request, &registries).await
        } => resolved?,
        () = &mut interrupt => Resolved::default(),
    };
    if let Some(failures) = failures {
        failures.keep(&mut resolved);
    }
    for warning in &resolved.warnings {
        console.warning(warning);
    }

    let options = Options {
        mode: if args.dry_run {
            Mode::DryRun
        } else {
            Mode::Apply
        },
        concurrency: usize::from(args.proc),
        retries: args.retries,
        timeout: args.timeout,
        force: args.force,
    };
    let watch = ProgressReporter::new(console, args.log_level, options.mode, &resolved.jobs);
    let mut rows = resolved.failed;
    rows.extend(copy::run(resolved.jobs, &options, watch.clone(), &mut interrupt).await);

    if let Some(path) = &args.succeeded {
        files::write_succeeded(path, &rows, options.mode)?;
    }
    let exit = if interrupt.is_terminated() {
        Exit::Interrupted
    } else {
        super::report::exit(&rows)
    };
    let outcome = super::report::outcome(&rows, watch.read(), options.mode, exit);
    console.finish(&outcome, args.report.as_deref())?;
    Ok(exit)
}

fn request(settings: &Settings, args: &SyncArgs) -> Result<Request> {
    let inputs = Inputs {
        files: [&args.files[..], &args.images, &args.config].concat(),
        auth: args.auth.clone(),
        tags: args.tags.clone(),
        platforms: args.platform.clone(),
    };
    read(&inputs, &|name| {
        settings.environment.get(name).map(str::to_owned)
    })
}
