//! What options choose between.

use clap::{Args, ValueEnum};

/// What becomes of parts of images.
#[derive(Args, Clone, Debug)]
pub struct Choices {
    /// What an image is that lacks one of these platforms, instead of what a file says; `fail` if none does
    #[arg(long, value_name = "WHAT")]
    pub missing_platform: Option<MissingPlatform>,
    /// What becomes of the attestations that BuildKit lists beside images: `auto` leaves them out where the registry
    /// refuses them
    #[arg(long, value_name = "HOW")]
    pub attestations: Option<Attestations>,
    /// What becomes of signatures, SBOMs and other referrers, instead of what a file says; `keep` if none does
    #[arg(long, value_name = "HOW")]
    pub referrers: Option<Referrers>,
}

/// What an image is that lacks a wanted platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MissingPlatform {
    Skip,
    Fail,
}

/// What becomes of attestations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attestations {
    Keep,
    Strip,
    Auto,
}

/// What is cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShardBy {
    Repository,
    Tag,
}

/// How tags are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    Auto,
    Tags,
}

/// What becomes of signatures and other referrers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Referrers {
    Keep,
    Strip,
}

/// The exit codes of `sync` and `copy`.
pub(super) const IN_PLACE: &str = "Exit codes: 0 everything is in place, 1 nothing is, 2 usage or configuration, 3 something failed and the rest was completed, 130 interrupted.";
