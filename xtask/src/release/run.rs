//! `cargo xtask [TARGET…]`: plan, check, run, report.

use std::sync::atomic::Ordering;

use anyhow::Result;
use futures_util::FutureExt as _;

use super::clients::Clients;
use super::plan::ReleasePlan;
use super::push::Pushes;
use super::run_state::RunState;
use super::targets::targets;
use super::transport::Transport;
use super::{digests, download, lock, logins, preflight, report};
use crate::cli::{PlanFormat, ReleaseArgs, Via};
use crate::credentials::Login;
use crate::exit::{Exit, bad_input, interrupted};
use crate::graph::Graph;
use crate::image::Compression;
use crate::report::Console;
use crate::settings::Settings;

/// Runs the targets that `args` names, or prints what they would do.
pub async fn run(settings: &Settings, console: &Console, args: &ReleaseArgs) -> Result<Exit> {
    let mut resolver = settings.resolver()?;
    let settings = &settings.release(args.common.release_version.as_deref())?;
    let plan = ReleasePlan::new(settings, transport(args)?)?;
    let state = RunState::default();
    let (requested, strict) = (&args.targets, args.common.strict);

    let planned = logins::planned(&settings.registries, &mut resolver);
    let clients = Clients::new(settings, &planned)?;
    let pushes = Pushes::new(&plan, &clients, &state, &settings.require, args.tags_when);
    let graph = Graph::new(targets(
        settings, &plan, &clients, &state, &pushes, requested, strict,
    ))?;
    if requested.is_empty() {
        return Err(no_target(&graph, args));
    }
    let steps = graph.plan(requested, &args.skip)?;
    if let Some(format) = args.plan {
        console.print(&match format {
            PlanFormat::Text => steps.to_text(),
            PlanFormat::Mermaid => steps.to_mermaid(),
            PlanFormat::Json => steps.to_json(),
        });
        return Ok(Exit::Done);
    }
    let scheduled: Vec<&str> = steps
        .steps
        .iter()
        .filter(|step| !step.skipped)
        .map(|step| step.target.as_str())
        .collect();
    let halves = logins::halves(
        settings
            .registries
            .iter()
            .filter(|it| scheduled.contains(&&*it.target)),
        &planned,
    );
    if !halves.is_empty() {
        return Err(bad_input(halves.join("\n")));
    }
    if args.dry_run {
        console.print(&plan.to_text(&steps, settings, &planned));
        for sentence in graph.unmet(&steps) {
            console.print(&format!("it would not start: {sentence}\n"));
        }
        return Ok(Exit::Done);
    }
    if settings.release.is_none() {
        return Err(download::no_version(settings).await);
    }

    // From here on helpers are asked, if a scheduled target asks a registry.
    let asking = plan.pushes.iter().map(|push| &*push.target);
    let logins = match asking
        .chain(["github-release"])
        .any(|it| scheduled.contains(&it))
    {
        true => logins::find(&settings.registries, &mut resolver).await,
        false => planned,
    };
    console.mask(logins.values().flatten().filter_map(Login::secret));
    let clients = Clients::new(settings, &logins)?;
    let pushes = Pushes::new(&plan, &clients, &state, &settings.require, args.tags_when);
    let graph = Graph::new(targets(
        settings, &plan, &clients, &state, &pushes, requested, strict,
    ))?;
    let unmet = graph.unmet(&steps);
    if !unmet.is_empty() {
        return Err(bad_input(unmet.join("\n")));
    }
    // Shared, because the graph must also see an interrupt during the preflight.
    let cancel = interrupted().shared();
    let warnings = tokio::select! {
        warnings = preflight::run(settings, &plan, &clients, &state, &scheduled) => Some(warnings?),
        () = cancel.clone() => None,
    };
    let output = settings.root.join("output");
    let _lock = warnings
        .is_some()
        .then(|| lock::lock(&output))
        .transpose()?;
    for warning in warnings.into_iter().flatten() {
        console.warning(&warning);
    }
    let summary = graph.run(&steps, console, cancel).await;
    let exit = match summary.exit() {
        Exit::Done | Exit::Partial if state.require_unmet.load(Ordering::Relaxed) => Exit::Failed,
        exit => exit,
    };
    digests::compare(&state, console);
    let outcome = report::outcome(&plan, &state, &summary, exit);
    Ok(console.finish(outcome, args.report.as_deref()))
}

fn transport(args: &ReleaseArgs) -> Result<Transport> {
    if let (Via::Engine, Some(text)) = (args.via, &args.compression) {
        return Err(bad_input(format!(
            "`--compression {text}` is for `--via direct`; an engine compresses as it likes"
        )));
    }
    let transport = Transport {
        via: args.via,
        compression: match &args.compression {
            Some(text) => text.parse().map_err(bad_input)?,
            None => Compression::default(),
        },
        image: match &args.image {
            Some(text) => Some(text.parse().map_err(bad_input)?),
            None => None,
        },
    };
    transport.check().map_err(bad_input)?;
    Ok(transport)
}

/// The error that no target is named, with the names of all.
fn no_target(graph: &Graph<'_>, args: &ReleaseArgs) -> anyhow::Error {
    let width = graph.names().map(|(name, _)| name.len()).max().unwrap_or(0);
    let list: String = graph
        .names()
        .map(|(name, about)| format!("\n    {name:<width$}  {about}"))
        .collect();
    let hint = match args.skip.is_empty() {
        true => "`cargo xtask --help`",
        false => "`--skip` takes every name that follows it: put the targets before it",
    };
    bad_input(format!(
        "no target is named; the targets are{list}\nhint: {hint}"
    ))
}
