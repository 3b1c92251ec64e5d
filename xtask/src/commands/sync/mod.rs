//! `cargo xtask sync`: read the files, list the sources, copy, report.

mod connect;
mod outcome;
mod resolve;
mod watch;

use std::sync::Arc;

use anyhow::Result;

use super::interrupt::interrupted;
use crate::cli::SyncArgs;
use crate::copy::{self, Mode, Options};
use crate::exit::Exit;
use crate::report::Console;
use crate::settings::Settings;
use crate::sync::{Inputs, Request, read};

use connect::Registries;
use watch::Watch;

/// Makes every destination hold what the files say.
pub async fn sync(settings: &Settings, console: &Arc<Console>, args: &SyncArgs) -> Result<Exit> {
    if let Some(path) = &args.log {
        console.open_log(path)?;
    }
    let request = request(settings, args)?;
    console.mask(request.logins.secrets());
    let registries = Registries::new(settings, &request.logins, args.retries)?;
    let resolved = resolve::resolve(&request, &registries).await?;
    for warning in &resolved.warnings {
        console.warning(warning);
    }
    let mut jobs = resolved.jobs;
    let mut rows = resolved.failed;
    if let Some(path) = &args.only_failed {
        let wanted = outcome::failed_in(path)?;
        jobs.retain_mut(|job| {
            let image = job.name.clone();
            job.places
                .retain(|place| wanted.contains(&(image.clone(), place.reference(&job.at))));
            !job.places.is_empty()
        });
        rows.retain(|row| wanted.contains(&(row.image.clone(), row.reference.clone())));
    }
    registries.sign_in(&jobs).await?;

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
    let watch = Watch::new(console, args.log_level, options.mode, &jobs);
    let mut is_interrupted = false;
    let cancel = async {
        interrupted().await;
        is_interrupted = true;
    };
    rows.iter().for_each(|row| watch.tell(row));
    rows.extend(copy::run(jobs, &options, watch.clone(), cancel).await);
    console.clear();

    if let Some(path) = &args.succeeded {
        outcome::write_succeeded(path, &rows)?;
    }
    let exit = if is_interrupted {
        Exit::Interrupted
    } else {
        outcome::exit(&rows)
    };
    console.finish(
        &outcome::outcome(&rows, watch.read(), options.mode, exit),
        args.report.as_deref(),
    )?;
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
