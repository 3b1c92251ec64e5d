//! A line for each subcommand.

use std::sync::Arc;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::release;
use crate::report::Console;
use crate::settings::Settings;
use crate::sync;

/// Does what the command line asks for.
pub async fn run(cli: &Cli, settings: &Settings, console: &Arc<Console>) -> Result<Exit> {
    match &cli.command {
        Some(Command::Check(args)) => release::check(settings, console, args).await,
        Some(Command::Sync(args)) => sync::run(settings, console, args).await,
        Some(Command::Verify(args)) => release::verify(settings, console, args).await,
        Some(Command::Promote(args)) => release::promote(settings, console, args).await,
        None => release::run(settings, console, &cli.release).await,
    }
}
