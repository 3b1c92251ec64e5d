//! The command line as types: no input, no output.

mod choices;
mod image_syncer;
mod promote;
mod report;
mod tags;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

pub use choices::{Attestations, Choices, Listing, MissingPlatform, Referrers, ShardBy};
pub use image_syncer::ImageSyncerOptions;
pub use promote::PromoteArgs;
pub use report::{MergeArgs, ReportCommand};
pub use tags::TagsArgs;

/// Release one container image to many registries.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Exit codes: 0 all done, 1 failed, 2 usage or configuration, 3 something failed and the rest was completed, 130 interrupted.\n\
                        Without a target, the targets are listed. Settings come from the environment and `.env`: see `.env.example`."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub release: ReleaseArgs,
}

impl Cli {
    /// Reads the command line; usage texts call the program by the name `program`.
    pub fn parse_as(program: &'static str, arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
        let command = Cli::command().name(program).bin_name(program);
        let is_many = |it: &OsString| it == "--tags" || it == "--platform";
        let takes_all = arguments.iter().any(is_many);
        let matches = command.try_get_matches_from(arguments);
        let matches = matches.map_err(|mut error| {
            if takes_all && error.kind() == ErrorKind::MissingRequiredArgument {
                let hint = "`--tags` and `--platform` take all that follows: what is copied stands before them";
                let hint = ContextValue::StyledStrs(vec![hint.into()]);
                error.insert(ContextKind::Suggested, hint);
            }
            error
        });
        Cli::from_arg_matches(&matches?)
    }

    /// Whether the run ends with an outcome, for the files of a step too: a dry run of a release does nothing that
    /// could be reported.
    pub fn has_outcome(&self) -> bool {
        match &self.command {
            None => !self.release.dry_run && self.release.plan.is_none(),
            Some(Command::Check(_) | Command::Tags(_)) => false,
            Some(
                Command::Sync(_)
                | Command::Copy(_)
                | Command::Verify(_)
                | Command::Promote(_)
                | Command::Report(_),
            ) => true,
        }
    }

    /// Whether the files of the command may refer to variables by any name.
    pub fn reads_lists(&self) -> bool {
        self.copying().is_some() || matches!(self.command, Some(Command::Tags(_)))
    }

    /// The options of a command that copies between registries.
    pub fn copying(&self) -> Option<&SyncOptions> {
        match self.command.as_ref()? {
            Command::Sync(args) => Some(&args.options),
            Command::Copy(args) => Some(&args.options),
            _ => None,
        }
    }

    /// The file of `--report`.
    pub fn report(&self) -> Option<&Path> {
        match &self.command {
            None if !self.has_outcome() => None,
            None => self.release.report.as_deref(),
            Some(Command::Sync(_) | Command::Copy(_)) => self.copying()?.report.as_deref(),
            Some(Command::Report(ReportCommand::Merge(args))) => args.report.as_deref(),
            Some(Command::Promote(args)) => args.report.as_deref().filter(|_| !args.dry_run),
            Some(Command::Check(_) | Command::Verify(_) | Command::Tags(_)) => None,
        }
    }

    /// Every file that the command is to write.
    pub fn outputs(&self) -> impl Iterator<Item = &Path> {
        let sync = match (&self.command, self.copying()) {
            (Some(Command::Report(ReportCommand::Merge(it))), _) => [&it.succeeded, &None, &None],
            (_, Some(it)) if it.dry_run => [&it.log, &None, &None],
            (_, Some(it)) => [
                &it.succeeded,
                &it.image_syncer.output_success_images,
                &it.log,
            ],
            _ => [&None; 3],
        };
        let sync = sync.map(Option::as_deref);
        self.report().into_iter().chain(sync.into_iter().flatten())
    }

    pub fn verbose(&self) -> u8 {
        match &self.command {
            Some(Command::Check(args)) => args.verbose,
            Some(Command::Sync(args)) => args.options.verbose,
            Some(Command::Copy(args)) => args.options.verbose,
            Some(Command::Report(ReportCommand::Merge(args))) => args.verbose,
            Some(
                Command::Verify(VerifyArgs { verbose, .. })
                | Command::Promote(PromoteArgs { verbose, .. })
                | Command::Tags(TagsArgs { verbose, .. }),
            ) => *verbose,
            None => self.release.common.verbose,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Validate all settings and ask every registry whether these credentials may push; change nothing
    Check(CommonArgs),
    /// Keep repositories equal between registries; each blob is read from the source once for all of them
    Sync(Box<SyncArgs>),
    /// Copy one image or repository to one or many places, as `sync` does
    Copy(Box<CopyArgs>),
    /// Show which tags of a repository patterns choose, the newest first
    Tags(TagsArgs),
    /// Compare every tag on every registry with the report of a release
    Verify(VerifyArgs),
    /// Work with the reports of a `sync` that was done in parts
    #[command(subcommand)]
    Report(ReportCommand),
    /// Point a tag at a released version on every registry (also used to roll back)
    Promote(PromoteArgs),
}

#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Targets to perform: `release`, `docker-push`, …; Nuke's spelling (`DockerPush`) works too
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
    /// Who makes the image: this program, layer by layer, or the engine; `auto` if not given: the engine only if the
    /// Dockerfile runs something
    #[arg(long, value_name = "BUILDER")]
    pub builder: Option<BuilderChoice>,
    /// Also give the engine the image for its platform, to try it, under its name and version
    #[arg(long)]
    pub load: bool,
    /// Who compresses and uploads: this program, once for all registries, or the engine, for each of them; `auto`: the
    /// engine only for a single image that it holds compressed
    #[arg(long, value_name = "TRANSPORT", default_value = "auto")]
    pub via: Via,
    /// How layers are compressed with `--via direct`: `gzip`, `zstd`, with a level `gzip:6`; `gzip` if not given
    #[arg(long, value_name = "NAME[:LEVEL]")]
    pub compression: Option<String>,
    /// Publish this image and build none: `docker:NAME`, `oci:DIRECTORY`, `oci-archive:FILE`, `docker-archive:FILE`
    #[arg(long, value_name = "KIND:WHERE")]
    pub image: Option<String>,
    /// When tags such as `latest` move: once `require` is met, or at each registry as soon as it holds the version
    #[arg(long, value_name = "WHEN", default_value = "require")]
    pub tags_when: TagsWhen,
    /// Set these tags besides the version's own, whatever they name now; if not given, `1.2`, `1` and `latest`, each
    /// only where no newer version of its line is there
    #[arg(long, value_name = "TAG", num_args = 1.., value_delimiter = ',')]
    pub tags: Option<Vec<String>>,
    /// Write what was done to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Debug, Args)]
#[command(after_help = choices::IN_PLACE)]
pub struct SyncArgs {
    /// What to copy, in any of the formats in README.md, told apart by content; `-` is standard input
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The same as FILE, for users of image-syncer
    #[arg(long, value_name = "FILE")]
    pub images: Vec<PathBuf>,
    /// The same as FILE, for users of image-syncer's old single file
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Where images go whose destination is written without a registry, instead of `REGISTRY`
    #[arg(long, value_name = "REGISTRY[/PATH]")]
    pub to: Option<String>,
    /// The same as `--to REGISTRY`, for users of image-syncer
    #[arg(long, value_name = "REGISTRY", conflicts_with = "to")]
    pub registry: Option<String>,
    /// The path after `--registry`
    #[arg(
        long,
        value_name = "PATH",
        requires = "registry",
        conflicts_with = "to"
    )]
    pub namespace: Option<String>,
    /// Write what the files ask for in our own format, without logins, and do nothing
    #[arg(long, conflicts_with_all = ["tags", "dry_run", "force", "only_failed", "succeeded", "report", "shard", "os", "arch"])]
    pub print: bool,
    #[command(flatten)]
    pub options: SyncOptions,
}

#[derive(Debug, Args)]
#[command(after_help = choices::IN_PLACE)]
pub struct CopyArgs {
    /// `nginx:1.27`, a repository with all its tags (`acme/app`), patterns of tags (`acme/app:v*`), those of a project
    /// (`acme.io/team/*`), `acme/app@sha256:…`; or in no registry: `docker:NAME`, `oci:DIRECTORY`, `oci-archive:FILE`,
    /// `docker-archive:FILE`
    #[arg(value_name = "SRC")]
    pub source: String,
    /// Repositories, each with tags (`ghcr.io/acme/app:v1`), or without: then the tags are the source's
    #[arg(value_name = "DST", required = true)]
    pub destinations: Vec<String>,
    #[command(flatten)]
    pub options: SyncOptions,
}

/// How images are copied between registries, whatever says which.
#[derive(Debug, Args)]
pub struct SyncOptions {
    #[command(flatten)]
    pub image_syncer: ImageSyncerOptions,
    /// Logins, in image-syncer's format
    #[arg(long, value_name = "FILE")]
    pub auth: Option<PathBuf>,
    /// Only the tags that match: `v*`, `!*-nightly`, `semver:>=1.2`, `newer:90d`, `newest:10`
    #[arg(long, value_name = "PATTERN", num_args = 1..)]
    pub tags: Vec<String>,
    /// Only these platforms of an index: `linux/amd64`
    #[arg(long, value_name = "PLATFORM", num_args = 1..)]
    pub platform: Vec<String>,
    #[command(flatten)]
    pub choices: Choices,
    /// Images copied concurrently to each registry
    #[arg(short, long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub proc: u16,
    /// Retries of a request after a transient failure
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(..=20))]
    pub retries: u32,
    /// Time limit for one image at one registry: `90s`, `30m`
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Print what is missing, changed or equal at each registry and how many bytes would move; write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How to see that nothing is to be done: ask for each tag, or, where the registry has one that tells digests by
    /// the page, by its listing
    #[arg(long, value_name = "HOW", default_value = "tags")]
    pub listing: Listing,
    /// Copy everything again, whatever is there
    #[arg(long)]
    pub force: bool,
    /// Only what failed or is degraded according to an earlier report
    #[arg(long, value_name = "REPORT")]
    pub only_failed: Option<PathBuf>,
    /// Only part K of N, for as many machines: each image is in exactly one; with N alone, K is
    /// `JOB_COMPLETION_INDEX` of Kubernetes; `sync` takes `SYNC_SHARD` if not given
    #[arg(long, value_name = "K/N")]
    pub shard: Option<String>,
    /// What is cut into parts: source repositories, or the tags of all of them, which each part lists
    #[arg(long, value_name = "WHAT", default_value = "repository")]
    pub shard_by: ShardBy,
    /// Write the reference of each image that is in place to this file, one per line
    #[arg(long, value_name = "FILE")]
    pub succeeded: Option<PathBuf>,
    /// Append the log to this file too
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Log level: `debug`, `info`, `warn` or `error`; `info` if not given, but a terminal shows bars instead
    #[arg(long, value_name = "LEVEL", value_parser = levels())]
    pub log_level: Option<log::Level>,
    /// Write what was done to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// `-vv` shows each request to a registry, and what the libraries log
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What `--report` wrote
    #[arg(value_name = "REPORT")]
    pub report: PathBuf,
    /// `-vv` shows each request to a registry, and what the libraries log
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Args)]
pub struct CommonArgs {
    /// The version to release; a leading `v` is dropped
    #[arg(long, value_name = "VERSION")]
    pub release_version: Option<String>,
    /// A registry without credentials is an error instead of a skip (for CI)
    #[arg(long)]
    pub strict: bool,
    /// More output: `-v` build logs on a terminal, `-vv` also requests to registries and what the libraries log
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Who compresses and uploads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Via {
    // Not documented: the help of the option says it.
    #[default]
    Auto,
    Direct,
    Engine,
}

/// When the moving tags are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TagsWhen {
    Require,
    Any,
}

/// Who makes the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BuilderChoice {
    // Not documented: the help of the option says it.
    #[default]
    Auto,
    Layers,
    Engine,
}

impl BuilderChoice {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            BuilderChoice::Auto => "auto",
            BuilderChoice::Layers => "layers",
            BuilderChoice::Engine => "engine",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PlanFormat {
    Text,
    Mermaid,
    Json,
}

fn levels() -> impl TypedValueParser<Value = log::Level> {
    PossibleValuesParser::new(["debug", "info", "warn", "error"]).try_map(|level| level.parse())
}

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => {
            Err("nothing can be done in no time; hint: `90s`, `30m`, or no `--timeout`".to_owned())
        }
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; hint: `90s`, `30m`")),
    }
}
