//! `cargo xtask [TARGET…]`: plan, check, run, report.

use std::sync::atomic::Ordering;

use anyhow::Result;
use futures_util::FutureExt as _;

use super::{
    ReleasePlan, TagsWhen, Transport, Via, World, digests, download, lock, preflight, report,
    targets,
};
use crate::cli::{self, PlanFormat, ReleaseArgs};
use crate::exit::{Exit, bad_input, interrupted};
use crate::graph::{self, Graph};
use crate::image::Compression;
use crate::report::Console;
use crate::settings::{Login, Release, ReleaseSettings, Settings};

/// Performs the targets that `args` names, or prints what they would do.
pub async fn run(settings: &Settings, console: &Console, args: &ReleaseArgs) -> Result<Exit> {
    let settings = &settings.release(args.common.release_version.as_deref())?;
    let plan = plan(settings, transport(args)?)?;
    let steps = steps(settings, &plan, args)?;
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
    let tags_when = match args.tags_when {
        cli::TagsWhen::Require => TagsWhen::Require,
        cli::TagsWhen::Any => TagsWhen::Any,
    };
    let names = scheduled.iter().map(|&target| target.to_owned()).collect();
    let world = World::new(settings, &plan, names, tags_when);
    check_logins(&world)?;
    let graph = Graph::new(targets(&world, &args.targets, args.common.strict))?;
    let unmet = graph.unmet(&steps);
    if args.dry_run {
        console.print(&plan.to_text(&steps, settings));
        for sentence in unmet {
            console.print(&format!("it would not start: {sentence}\n"));
        }
        return Ok(Exit::Done);
    }
    if settings.release.is_none() {
        return Err(download::no_version(settings).await);
    }
    if !unmet.is_empty() {
        return Err(bad_input(unmet.join("\n")));
    }
    // Shared: an interrupt during the preflight must still be one when the graph asks.
    let cancel = interrupted().shared();
    let warnings = tokio::select! {
        warnings = preflight::run(&world, &scheduled) => Some(warnings?),
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
        Exit::Done | Exit::Partial if world.require_unmet.load(Ordering::Relaxed) => Exit::Failed,
        exit => exit,
    };
    digests::compare(&world, console);
    let outcome = report::outcome(&world, &summary, exit);
    Ok(console.finish(outcome, args.report.as_deref()))
}

/// The plan of the release; where no version is known, that of a placeholder, which only a dry run may show.
pub(super) fn plan(settings: &ReleaseSettings, transport: Transport) -> Result<ReleasePlan> {
    let placeholder = Release {
        version: semver::Version::new(0, 0, 0),
        tag: "v0.0.0".to_owned(),
    };
    let release = settings.release.as_ref().unwrap_or(&placeholder);
    ReleasePlan::new(settings, release, transport).map_err(bad_input)
}

fn transport(args: &ReleaseArgs) -> Result<Transport> {
    if let (cli::Via::Engine, Some(text)) = (args.via, &args.compression) {
        return Err(bad_input(format!(
            "`--compression {text}` is for `--via direct`; an engine compresses as it likes"
        )));
    }
    let transport = Transport {
        via: match args.via {
            cli::Via::Engine => Via::Engine,
            cli::Via::Direct => Via::Direct,
        },
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

fn steps(
    settings: &ReleaseSettings,
    plan: &ReleasePlan,
    args: &ReleaseArgs,
) -> Result<graph::Plan> {
    let world = World::new(settings, plan, Vec::new(), TagsWhen::Require);
    let graph = Graph::new(targets(&world, &args.targets, args.common.strict))?;
    if args.targets.is_empty() {
        let width = graph.names().map(|(name, _)| name.len()).max().unwrap_or(0);
        let list: String = graph
            .names()
            .map(|(name, about)| format!("\n    {name:<width$}  {about}"))
            .collect();
        let hint = match args.skip.is_empty() {
            true => "`cargo xtask --help`",
            false => "`--skip` takes every name that follows it: put the targets before it",
        };
        return Err(bad_input(format!(
            "no target is named; the targets are{list}\nhint: {hint}"
        )));
    }
    graph.plan(&args.targets, &args.skip)
}

/// Half a login is a mistake wherever it is scheduled.
fn check_logins(world: &World<'_>) -> Result<()> {
    let scheduled = world
        .settings
        .registries
        .iter()
        .filter(|registry| world.is_scheduled(&registry.target));
    let problems: Vec<String> = scheduled
        .filter_map(|registry| match &registry.login {
            Login::Incomplete { set, missing } => Some(format!(
                "registry `{}`: `{set}` is set and `{missing}` is not",
                registry.name
            )),
            _ => None,
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(bad_input(problems.join("\n")))
    }
}
