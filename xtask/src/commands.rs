//! A line for each subcommand.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use clap::CommandFactory as _;

use crate::cli::{Cli, Command, ReportCommand};
use crate::exit::{Exit, bad_input, nearest};
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
        Some(Command::Copy(args)) => sync::copy(settings, console, args).await,
        Some(Command::Tags(args)) => sync::list_tags(settings, console, args).await,
        Some(Command::Verify(args)) => release::verify(settings, console, args).await,
        Some(Command::Promote(args)) => release::promote(settings, console, args).await,
        None => release::run(settings, console, &cli.release).await,
    }
}

/// The error that the first of `arguments` after the program's name is nearly a command: with the options of that
/// command, or outside of a workspace, whatever else would be said is beside the point.
pub fn misspelled(arguments: &[OsString], program: &str) -> Option<anyhow::Error> {
    let word = arguments.get(1)?.to_str()?;
    let cli = Cli::command();
    let names: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    let right = nearest(&word.to_lowercase(), names.iter().copied())?;
    (!names.contains(&word)).then(|| {
        bad_input(format!(
            "unknown target `{word}`\nhint: did you mean `{right}`? It is a command of its own: `{program} {right}`"
        ))
    })
}

/// Where the command reports to, and what it reports if it ends before it could do anything.
pub fn report(cli: &Cli) -> Option<(&Path, Content)> {
    let content = match &cli.command {
        None | Some(Command::Promote(_)) => Content::Release(ReleaseReport::default()),
        Some(Command::Sync(_) | Command::Copy(_)) => {
            let options = cli.copying().filter(|it| !sync::keeps_report(it))?;
            Content::Sync(SyncReport {
                dry_run: options.dry_run,
                is_unlisted: true,
                ..SyncReport::default()
            })
        }
        Some(Command::Check(_) | Command::Verify(_) | Command::Tags(_) | Command::Report(_)) => {
            return None;
        }
    };
    Some((cli.report()?, content))
}
