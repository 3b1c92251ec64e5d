//! A line for each subcommand.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::cli::{Cli, Command, ReportCommand};
use crate::exit::Exit;
use crate::release;
use crate::report::{Console, Content, ReleaseReport, SyncReport};
use crate::settings::Settings;
use crate::sync;

/// Does what the command line asks for.
pub async fn run(cli: &Cli, settings: &Settings, console: &Arc<Console>) -> Result<Exit> {
    match &cli.command {
        Some(Command::Check(args)) => release::check(settings, console, args).await,
        Some(Command::Sync(args)) => sync::run(settings, console, args).await,
        Some(Command::Report(ReportCommand::Merge(args))) => sync::merge(console, args),
        Some(Command::Verify(args)) => release::verify(settings, console, args).await,
        Some(Command::Promote(args)) => release::promote(settings, console, args).await,
        None => release::run(settings, console, &cli.release).await,
    }
}

/// Where the command reports to, and what it reports if it ends before it could do anything.
pub fn report(cli: &Cli) -> Option<(&Path, Content)> {
    let content = match &cli.command {
        None | Some(Command::Promote(_)) => Content::Release(ReleaseReport::default()),
        Some(Command::Sync(args)) if sync::keeps_report(args) => return None,
        Some(Command::Sync(args)) => Content::Sync(SyncReport {
            dry_run: args.dry_run,
            ..SyncReport::default()
        }),
        Some(Command::Check(_) | Command::Verify(_) | Command::Report(_)) => return None,
    };
    Some((cli.report()?, content))
}
