//! `cargo xtask [TARGET…]`: plan, check, run, report.

use std::sync::atomic::Ordering;

use anyhow::Result;
use clap::CommandFactory as _;
use futures_util::FutureExt as _;

use super::builder::{self, Builder};
use super::clients::Clients;
use super::logins::{self, RegistryLogins};
use super::plan::ReleasePlan;
use super::push::Pushes;
use super::run_state::RunState;
use super::transport::Transport;
use super::{digests, download, held_version, lock, preflight, recipe_check, report, targets};
use crate::cli::{Cli, PlanFormat, ReleaseArgs, Via};
use crate::credentials::Resolver;
use crate::exit::{Exit, bad_input, interrupted, nearest, no_problems};
use crate::graph::Graph;
use crate::image::Compression;
use crate::report::{Console, ReleaseReport};
use crate::settings::{RegistrySettings, ReleaseSettings, Require, Settings};

/// Runs the targets that `args` names, or prints what they would do.
pub async fn run(settings: &Settings, console: &Console, args: &ReleaseArgs) -> Result<Exit> {
    // Shared, because every wait of the run must see an interrupt.
    let cancel = interrupted().shared();
    let (mut resolver, _) = settings.resolver();
    let settings = &settings.release(args.common.release_version.as_deref())?;
    let mut plan = ReleasePlan::new(settings, transport(args)?)?;
    if let Some(tags) = &args.tags {
        plan.choose_tags(tags)?;
    }
    let (requested, strict) = (&args.targets, args.common.strict);
    let outline = Graph::new(targets::outline(&plan))?;
    if requested.is_empty() {
        return Err(no_target(&outline, args));
    }
    for name in requested {
        not_a_command(&outline, name)?;
    }
    let steps = outline.plan(requested, &args.skip)?;
    if let Some(format) = args.plan {
        return Ok(console.print(&match format {
            PlanFormat::Text => steps.to_text(),
            PlanFormat::Mermaid => steps.to_mermaid(),
            PlanFormat::Json => steps.to_json(),
        }));
    }
    let scheduled: Vec<&str> = steps
        .steps
        .iter()
        .filter(|step| !step.skipped)
        .map(|step| step.target.as_str())
        .collect();
    if plan.makes_image(&scheduled) {
        let transport = &mut plan.transport;
        (transport.builder, transport.builder_reason) = builder::choose(args, settings)?;
        if plan.transport.builder == Builder::Layers && scheduled.contains(&"docker-build") {
            for warning in recipe_check::check(&plan, settings)? {
                console.warning(&warning);
            }
        }
    }
    if settings.is_index_left_empty && scheduled.contains(&"download") {
        let index = &plan.package_index;
        console.warning(&format!(
            "`RELEASE_PACKAGE_INDEX_URL` is empty, so the packages are those of `{index}`, as `Cargo.toml` says"
        ));
    }
    if args.load && (args.image.is_some() || !scheduled.contains(&"docker-build")) {
        return Err(bad_input(
            "`--load` is for an image that this run builds; hint: `docker-build --load`",
        ));
    }
    let planned = planned(settings, &mut resolver, &scheduled)?;
    if settings.release.is_none() && !args.dry_run {
        return tokio::select! {
            problem = download::no_version(settings) => Err(problem),
            () = cancel => Ok(Exit::Interrupted),
        };
    }
    let logins = match args.dry_run {
        true => planned,
        false => tokio::select! {
            logins = logins(settings, &mut resolver, &scheduled) => logins,
            () = cancel.clone() => planned,
        },
    };
    logins::mask(&logins, console);
    let state = RunState::default();
    let clients = Clients::new(settings, &logins, resolver)?;
    if !args.dry_run {
        let held = held_version::find(&plan, &clients, &scheduled, requested);
        let held = tokio::select! {
            held = held => held,
            () = cancel.clone() => None,
        };
        plan.transport.image = plan.transport.image.take().or(held);
        let pushes_itself = tokio::select! {
            pushes_itself = preflight::engine_pushes(&plan, &clients, &scheduled) => pushes_itself,
            () = cancel.clone() => false,
        };
        if pushes_itself {
            plan.transport.via = Via::Engine;
        }
    }
    let pushes = Pushes::new(&plan, &clients, &state, &settings.require, args.tags_when);
    let graph = Graph::new(targets::targets(
        settings, &plan, &clients, &state, &pushes, &steps, strict,
    ))?;
    let unmet = graph.unmet(&steps);
    if args.dry_run {
        let mut text = plan.to_text(&steps, settings, &logins, &unmet);
        for sentence in unmet {
            text += &format!("it would not start: {sentence}\n");
        }
        return Ok(console.print(&text));
    }
    if !unmet.is_empty() {
        return Err(bad_input(unmet.join("\n")));
    }
    let warnings = tokio::select! {
        biased;
        () = cancel.clone() => Ok(None),
        warnings = preflight::run(settings, &plan, &clients, &state, &scheduled) => warnings.map(Some),
    };
    if !matches!(warnings, Ok(Some(_))) {
        clients.registries.cancel_uploads().await;
    }
    let warnings = warnings?;
    let output = settings.root.join("output");
    let _lock = warnings
        .is_some()
        .then(|| lock::lock(&output))
        .transpose()?;
    for warning in warnings.into_iter().flatten() {
        console.warning(&warning);
    }
    let summary = graph.run(&steps, console, cancel).await;
    clients.registries.cancel_uploads().await;
    let exit = match summary.exit() {
        Exit::Done | Exit::Partial if state.require_unmet.load(Ordering::Relaxed) => Exit::Failed,
        exit => exit,
    };
    digests::compare(&state, console);
    let earlier = args.report.as_deref();
    let earlier = earlier.and_then(|path| ReleaseReport::read(path).ok());
    let outcome = report::outcome(&plan, &state, &summary, exit, earlier.as_ref());
    Ok(console.finish(outcome, args.report.as_deref()))
}

/// # Errors
/// [`BadInput`](crate::exit::BadInput): `name` is a subcommand after something else, or nearly one.
fn not_a_command(graph: &Graph<'_>, name: &str) -> Result<()> {
    let cli = Cli::command();
    let commands: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    let targets = graph.names().map(|(target, _)| target);
    match nearest(
        &name.to_lowercase(),
        targets.chain(commands.iter().copied()),
    ) {
        Some(command) if commands.contains(&command) => Err(bad_input(format!(
            "unknown target `{name}`\nhint: did you mean `{command}`? It is a command of its own: `cargo xtask {command}`"
        ))),
        _ => Ok(()),
    }
}

fn transport(args: &ReleaseArgs) -> Result<Transport> {
    if let (Via::Engine, Some(text)) = (args.via, &args.compression) {
        return Err(bad_input(format!(
            "`--compression {text}` is for `--via direct`; an engine compresses as it likes"
        )));
    }
    let transport = Transport {
        via: match (args.via, &args.compression) {
            // Whoever chooses one wants to see it.
            (Via::Auto, Some(_)) => Via::Direct,
            (via, _) => via,
        },
        load: args.load,
        compression: match &args.compression {
            Some(text) => text.parse().map_err(bad_input)?,
            None => Compression::default(),
        },
        image: match &args.image {
            Some(text) => Some(text.parse().map_err(bad_input)?),
            None => None,
        },
        ..Transport::default()
    };
    transport.check().map_err(bad_input)?;
    Ok(transport)
}

/// The logins as far as they are known before a helper is asked.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): half a login where this run pushes to.
fn planned(
    settings: &ReleaseSettings,
    resolver: &mut Resolver,
    scheduled: &[&str],
) -> Result<RegistryLogins> {
    let registries = &settings.registries;
    let pushed_to = registries
        .iter()
        .filter(|it| scheduled.contains(&&*it.target));
    let planned = logins::planned(registries, resolver);
    no_problems(&logins::halves(pushed_to, &planned))?;
    Ok(planned)
}

/// The logins of the registries. A helper is asked where a scheduled target pushes to, or asks what is there.
async fn logins(
    settings: &ReleaseSettings,
    resolver: &mut Resolver,
    scheduled: &[&str],
) -> RegistryLogins {
    let is_scheduled = |target: &str| scheduled.contains(&target);
    let pushes = settings
        .registries
        .iter()
        .any(|it| is_scheduled(&it.target));
    let needed = |it: &RegistrySettings| {
        let is_required = match &settings.require {
            Require::Any => false,
            Require::All => true,
            Require::These(names) => names.contains(&it.name),
        };
        is_scheduled(&it.target) || is_scheduled("github-release") || pushes && is_required
    };
    logins::find(&settings.registries, resolver, needed).await
}

/// The error that no target is named, with the names of all.
fn no_target(graph: &Graph<'_>, args: &ReleaseArgs) -> anyhow::Error {
    let width = graph.names().map(|(name, _)| name.len()).max().unwrap_or(0);
    let list: String = graph
        .names()
        .map(|(name, about)| format!("\n    {name:<width$}  {about}"))
        .collect();
    let takes_all = "takes every name that follows it: put the targets before it";
    let hint = match (&args.skip[..], &args.tags) {
        ([], None) => "`cargo xtask --help`".to_owned(),
        ([], Some(_)) => format!("`--tags` {takes_all}"),
        _ => format!("`--skip` {takes_all}"),
    };
    bad_input(format!(
        "no target is named; the targets are{list}\nhint: {hint}"
    ))
}
