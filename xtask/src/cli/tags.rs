//! The options of `tags`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct TagsArgs {
    /// `nginx`, `ghcr.io/acme/app`
    #[arg(value_name = "REPOSITORY")]
    pub repository: String,
    /// Only the tags that match: `v*`, `!*-nightly`, `semver:>=1.2`, `newer:90d`, `newest:10`
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// Logins, in image-syncer's format
    #[arg(long, value_name = "FILE")]
    pub auth: Option<PathBuf>,
    /// `-vv` shows each request to a registry, and what the libraries log
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}
