//! The options of `promote`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// A version that the registries hold
    #[arg(value_name = "VERSION", required_unless_present = "back")]
    pub version: Option<String>,
    /// The tag to move; may be given several times
    #[arg(
        long,
        value_name = "TAG",
        required_unless_present = "back",
        value_delimiter = ','
    )]
    pub tag: Vec<String>,
    /// Put back what the moving tags named before the run that wrote this report
    #[arg(long, value_name = "REPORT", conflicts_with_all = ["version", "tag"])]
    pub back: Option<PathBuf>,
    /// Print what each tag names and would name, and move nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Leave these registries out
    #[arg(long, value_name = "REGISTRY", num_args = 1..)]
    pub skip: Vec<String>,
    /// Move also a version's own tag, and with `--back` a tag that was moved again since
    #[arg(long)]
    pub force: bool,
    /// Write what was done to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// `-vv` shows each request to a registry, and what the libraries log
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}
