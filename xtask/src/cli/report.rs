//! The commands about reports.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Make one report, one summary and one exit code of those of all parts of a `sync`
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
pub struct MergeArgs {
    /// What `sync --shard K/N --report` wrote, one file for each part
    #[arg(value_name = "REPORT", required = true)]
    pub files: Vec<PathBuf>,
    /// Write the merged report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write the reference of each image that is in place to this file, one per line
    #[arg(long, value_name = "FILE")]
    pub succeeded: Option<PathBuf>,
    /// `-vv` shows what the libraries log
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}
