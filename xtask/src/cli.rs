//! The command line as types: no input, no output.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Release one container image to many registries.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    args_conflicts_with_subcommands = true
)]
#[command(
    after_help = "Exit codes: 0 all done, 1 failed, 2 usage or configuration, 3 some registries failed, 130 interrupted.\n\
                        Without a target, the targets are listed. Settings come from the environment and `.env`: see `.env.example`."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub release: ReleaseArgs,
}

impl Cli {
    pub fn common(&self) -> &CommonArgs {
        match &self.command {
            Some(Command::Check(args)) => &args.common,
            None => &self.release.common,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Validate all settings and ask every registry whether these credentials may push; change nothing
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// What to do: `release`, `docker-push`, … ; Nuke's spelling (`DockerPush`) works too
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Print what would be done, and do nothing: needs no network, no engine and no credentials
    #[arg(long)]
    pub dry_run: bool,
    /// Leave these targets out
    #[arg(long, value_name = "TARGET", num_args = 1..)]
    pub skip: Vec<String>,
    /// Print the targets in order, as text, a Mermaid chart or JSON, and do nothing
    #[arg(long, value_name = "FORMAT")]
    pub plan: Option<PlanFormat>,
    /// Write what was done to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Debug, Args)]
pub struct CommonArgs {
    /// The version to release; a leading `v` is dropped
    #[arg(long, value_name = "VERSION")]
    pub release_version: Option<String>,
    /// A registry without credentials is an error instead of a skip (for CI)
    #[arg(long)]
    pub strict: bool,
    /// Say more: `-v` shows build logs on a terminal, `-vv` also what the libraries log
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PlanFormat {
    Text,
    Mermaid,
    Json,
}
