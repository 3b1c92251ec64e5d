//! Releases one container image to many registries.
//!
//! The house, in reading order. Each module says in its first lines what it refuses to know; `tests/it/tidy.rs` reads
//! this table and fails on an import that its last column does not allow.
//!
//! | module | is | may import |
//! |---|---|---|
//! | [`exit`] | the exit codes | |
//! | [`secret`] | values that must not be printed | |
//! | [`net`] | waits and readable reasons, for every HTTP client here | |
//! | [`cli`] | the command line as types | |
//! | [`graph`] | a target graph: plan, run, outcome | exit, secret |
//! | [`registry`] | an OCI distribution client | net, secret |
//! | [`copy`] | one source, many registries | net, registry, secret |
//! | [`archive`] | images that are not in a registry | registry |
//! | [`sync`] | what `sync` is asked for: five forms of input, one request | copy, exit, registry, secret |
//! | [`settings`] | everything read from outside | exit, registry, secret |
//! | [`engine`] | the container engine | registry, secret |
//! | [`packages`] | package index, download, extract | net, secret |
//! | [`github`] | releases and assets | net, secret |
//! | [`pipeline`] | the targets of a release | archive, copy, engine, exit, github, graph, net, packages, registry, secret, settings |
//! | [`report`] | all printing | exit, graph, secret |
//! | [`commands`] | a file for each subcommand | archive, cli, copy, exit, graph, pipeline, registry, report, settings, sync |
//!
//! [`run`] is the program.

pub mod archive;
pub mod cli;
pub mod commands;
pub mod copy;
pub mod engine;
pub mod exit;
pub mod github;
pub mod graph;
pub mod net;
pub mod packages;
pub mod pipeline;
pub mod registry;
pub mod report;
pub mod secret;
pub mod settings;
pub mod sync;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser as _;

use cli::{Cli, Command};
use exit::Exit;
use report::Console;
use settings::{Environment, Settings};

/// The program: `arguments` begin with its name, `directory` is where it was started.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Environment,
    directory: &Path,
) -> Exit {
    // The one provider of TLS; that somebody installed it before is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
        }
    };
    let early = Console::new(environment.redactor(), cli.verbose());
    let (settings, console) = match start(environment, directory, &cli) {
        Ok(started) => started,
        Err(error) => return failed(&early, &error),
    };
    let exit = match &cli.command {
        Some(Command::Check(args)) => commands::check(&settings, &console, args).await,
        Some(Command::Sync(args)) => commands::sync(&settings, &console, args).await,
        Some(Command::Verify(args)) => commands::verify(&settings, &console, args).await,
        Some(Command::Promote(args)) => commands::promote(&settings, &console, args).await,
        None => commands::release(&settings, &console, &cli.release).await,
    };
    exit.unwrap_or_else(|error| failed(&console, &error))
}

fn start(
    environment: Environment,
    directory: &Path,
    cli: &Cli,
) -> Result<(Settings, Arc<Console>)> {
    let settings = Settings::load(environment, directory, cli.release_version())?;
    let redactor = settings.environment.redactor();
    let console = match &settings.actions {
        Some(files) => Console::for_actions(
            redactor,
            cli.verbose(),
            files.summary.as_deref(),
            files.output.as_deref(),
        ),
        None => Console::new(redactor, cli.verbose()),
    };
    console.show_logs();
    Ok((settings, console))
}

fn failed(console: &Console, error: &anyhow::Error) -> Exit {
    console.error(error);
    exit::code(error)
}
