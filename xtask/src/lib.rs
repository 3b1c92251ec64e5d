//! Releases one container image to many registries.
//!
//! The house, in reading order. Each module says in its first lines what it refuses to know; `tests/offline/tidy.rs`
//! reads this table and fails on an import that its last column does not allow.
//!
//! | module | is | may import |
//! |---|---|---|
//! | [`exit`] | the exit codes, and the request to stop | |
//! | [`secret`] | values that must not be printed | |
//! | [`machine`] | open files, and the folder for temporary ones | |
//! | [`buffer`] | buffers that are used again | |
//! | [`foreign`] | texts of others, in the form in which they may be shown | |
//! | [`cli`] | the command line as types | |
//! | [`http`] | what every HTTP client here shares: its making, the one retry loop, limits on bodies, headers | |
//! | [`oci`] | the nouns: references, digests, platforms, manifests | foreign |
//! | [`credentials`] | who signs in where, in one order for every command | foreign, oci, secret |
//! | [`registry`] | an OCI distribution client | credentials, foreign, http, oci, secret |
//! | [`copy`] | one source, many registries | buffer, http, machine, oci, registry |
//! | [`image`] | images that are not in a registry | foreign, buffer, oci |
//! | [`engine`] | the container engine | credentials, foreign, image, oci, secret |
//! | [`packages`] | package index, download, extract | foreign, http, oci, secret |
//! | [`github`] | releases and assets | foreign, http, oci, secret |
//! | [`graph`] | a target graph: plan, run, outcome | exit |
//! | [`settings`] | everything read from outside | cli, credentials, exit, oci, secret |
//! | [`report`] | all printing, and the report | copy, exit, foreign, graph, oci, secret |
//! | [`release`] | the targets of a release, and the commands about one | cli, copy, credentials, engine, exit, github, graph, http, image, oci, packages, registry, report, settings |
//! | [`sync`] | repositories kept equal: input, run, report | cli, copy, credentials, engine, exit, foreign, graph, image, oci, registry, report, secret, settings |
//! | [`fuzzing`] | what must hold of whatever others write; tests call it, the program does not | credentials, http, image, oci, packages, registry, release, sync |
//! | [`commands`] | a line for each subcommand | cli, exit, release, report, settings, sync |
//!
//! [`run`] is the program.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::panic))]

pub mod buffer;
pub mod cli;
pub mod commands;
pub mod copy;
pub mod credentials;
pub mod engine;
pub mod exit;
pub mod foreign;
#[doc(hidden)]
pub mod fuzzing;
pub mod github;
pub mod graph;
pub mod http;
pub mod image;
pub mod machine;
pub mod oci;
pub mod packages;
pub mod registry;
pub mod release;
pub mod report;
pub mod secret;
pub mod settings;
pub mod sync;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use cli::Cli;
use exit::Exit;
use report::{ActionsFiles, Console, Screen};
use settings::{Environment, Settings};

/// The program: `arguments` begin with its name, `directory` is where it was started.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: Environment,
    directory: &Path,
) -> Exit {
    // The one provider of TLS; that somebody installed it before is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    http::look_for_certificates_in(environment.certificate_directories());
    let actions = environment.is_actions().then(ActionsFiles::default);
    let (redactor, screen) = (environment.redactor(), Screen::default());
    let early = |verbose| Console::new(redactor, verbose, screen, actions);
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = environment.program();
    if let Some(error) = commands::misspelled(&arguments, program) {
        return early(0).fail(&error, None);
    }
    let cli = match Cli::parse_as(program, arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let printed = error.print();
            return match (error.use_stderr(), printed) {
                (true, _) => Exit::Usage,
                (false, Ok(())) => Exit::Done,
                (false, Err(_)) => Exit::Failed,
            };
        }
    };
    let early = early(cli.verbose());
    let (console, ended) = match start(environment, directory, &cli) {
        Ok((settings, console)) => {
            let ended = commands::run(&cli, &settings, &console).await;
            (console, ended)
        }
        Err(error) => (early, Err(error)),
    };
    ended.unwrap_or_else(|error| console.fail(&error, commands::report(&cli)))
}

fn start(
    environment: Environment,
    directory: &Path,
    cli: &Cli,
) -> Result<(Settings, Arc<Console>)> {
    report::check_writable(cli.outputs())?;
    let settings = Settings::load(environment, directory)?;
    let proxies = http::Proxies::read(|name| settings.environment.get(name));
    let proxies = proxies.map_err(exit::bad_input)?;
    let mut warnings = settings.environment.warnings().to_vec();
    warnings.extend_from_slice(proxies.warnings());
    // Lists may refer to any name.
    if !cli.reads_lists() {
        warnings.extend(settings.misspelled(|_| false));
    }
    http::use_proxies(proxies);
    let redactor = settings.environment.redactor();
    let actions = settings.actions.as_ref().map(|files| ActionsFiles {
        summary: files.summary.clone(),
        output: files.output.clone(),
    });
    if let Some(files) = actions.as_ref().filter(|_| cli.has_outcome()) {
        let files = files.summary.iter().chain(&files.output);
        report::check_writable(files.map(PathBuf::as_path))?;
    }
    let screen = Screen {
        columns: settings.columns(),
        is_dumb: settings.has_dumb_terminal(),
    };
    let console = Console::new(redactor, cli.verbose(), screen, actions);
    report::start_heartbeat(&console);
    report::show_logs(&console);
    for warning in &warnings {
        console.warning(warning);
    }
    if let Some(why) = &settings.foreign_dotenv {
        console.warning(&format!("nothing of `.env` is used: {why}"));
    }
    Ok((settings, console))
}
