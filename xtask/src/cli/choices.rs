//! What options choose between.

use clap::ValueEnum;

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
