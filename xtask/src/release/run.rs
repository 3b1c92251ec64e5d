//! `cargo xtask [TARGET…]`: plan, check, run, report.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::Result;
use futures_util::FutureExt as _;
use indicatif::DecimalBytes;
use serde_json::json;

use super::{
    Published, ReleasePlan, TagsWhen, Transport, Via, World, download, preflight, targets,
};
use crate::cli::{self, PlanFormat, ReleaseArgs};
use crate::exit::interrupted;
use crate::exit::{Exit, bad_input};
use crate::graph::{self, Graph, Summary};
use crate::image::Compression;
use crate::report::{self, Console, Outcome, Table};
use crate::settings::{Login, Release, Settings};

/// Performs the targets that `args` names, or prints what they would do.
pub async fn run(settings: &Settings, console: &Console, args: &ReleaseArgs) -> Result<Exit> {
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
    if let Some(path) = &args.report {
        let report = File::options().create(true).append(true).open(path);
        report.map_err(|error| {
            bad_input(format!("`{}` cannot be written: {error}", path.display()))
        })?;
    }
    // Shared: an interrupt during the preflight must still be one when the graph asks.
    let cancel = interrupted().shared();
    let warnings = tokio::select! {
        warnings = preflight::run(&world, &scheduled) => Some(warnings?),
        () = cancel.clone() => None,
    };
    let output = settings.root.join("output");
    let _alone = warnings.is_some().then(|| alone(&output)).transpose()?;
    for warning in warnings.into_iter().flatten() {
        console.warning(&warning);
    }
    let summary = graph.run(&steps, console, cancel).await;
    let exit = match summary.exit() {
        Exit::Done | Exit::Partial if world.require_unmet.load(Ordering::Relaxed) => Exit::Failed,
        exit => exit,
    };
    tell_digests(&world, console);
    console.finish(&outcome(&world, &summary, exit), args.report.as_deref())?;
    Ok(exit)
}

/// The right to work in `output`, held until it is dropped or the process ends: two runs would pull the build context
/// from under each other.
fn alone(output: &Path) -> Result<File> {
    let path = output.join("lock");
    let wrong = |why: String| bad_input(format!("`{}`: {why}", path.display()));
    std::fs::create_dir_all(output).map_err(|error| wrong(error.to_string()))?;
    let lock = File::create(&path).map_err(|error| wrong(error.to_string()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(wrong(
            "another run is at work here\nhint: wait until it has ended".to_owned(),
        )),
        // A file system without locks is no reason to refuse.
        Err(TryLockError::Error(_)) => Ok(lock),
    }
}

/// The plan of the release; where no version is known, that of a placeholder, which only a dry run may show.
pub(super) fn plan(settings: &Settings, transport: Transport) -> Result<ReleasePlan> {
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

fn steps(settings: &Settings, plan: &ReleasePlan, args: &ReleaseArgs) -> Result<graph::Plan> {
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

/// The point of it all: one digest everywhere. The tables have it shortened.
fn tell_digests(world: &World<'_>, console: &Console) {
    let mut registries: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (registry, published) in world.published().iter() {
        let digest = published.digest.clone();
        registries.entry(digest).or_default().push(registry.clone());
    }
    let told: Vec<String> = registries
        .iter()
        .map(|(digest, names)| format!("{digest} in {}", names.join(", ")))
        .collect();
    match &told[..] {
        [] => {}
        [one] => console.say(&format!("\n{one}")),
        several => console.warning(&format!(
            "the registries hold different images: {}\n\
             hint: the same content was compressed differently when it was pushed; delete the tags in one of them and push again",
            several.join("; ")
        )),
    }
}

fn outcome(world: &World<'_>, summary: &Summary, exit: Exit) -> Outcome {
    let columns = vec![
        "registry",
        "reference",
        "tags",
        "digest",
        "bytes",
        "seconds",
        "status",
    ];
    let mut table = Table {
        columns,
        rows: Vec::new(),
    };
    let mut registries = Vec::new();
    let mut digest = String::new();
    for push in &world.plan.pushes {
        let Some(row) = summary.rows.iter().find(|row| row.target == push.target) else {
            continue;
        };
        let published = world.published().get(&push.registry).cloned();
        let status = match &published {
            Some(published) if published.set.is_empty() => "equal".to_owned(),
            Some(_) => "pushed".to_owned(),
            None => format!("{:?}", row.status).to_lowercase(),
        };
        let reference = format!("{}:{}", push.repository, push.immutable);
        let cell =
            |text: &dyn Fn(&Published) -> String| published.as_ref().map_or_else(String::new, text);
        table.rows.push(vec![
            push.registry.clone(),
            reference.clone(),
            cell(&|it| it.tags.join(", ")),
            cell(&|it| it.digest.clone()),
            cell(&|it| DecimalBytes(it.bytes).to_string()),
            format!("{:.1}", row.duration.as_secs_f64()),
            status.clone(),
        ]);
        if let Some(published) = &published {
            digest.clone_from(&published.digest);
        }
        registries.push(json!({
            "registry": push.registry,
            "reference": reference,
            "status": status,
            "tags": published.as_ref().map_or(&[][..], |it| &it.tags),
            "digest": published.as_ref().map(|it| &it.digest),
            "bytes": published.as_ref().map_or(0, |it| it.bytes),
            "seconds": row.duration.as_secs_f64(),
            "note": row.note,
        }));
    }
    let version = world.plan.version.to_string();
    Outcome {
        title: format!("release {version}"),
        exit,
        tables: vec![report::targets(summary), table],
        outputs: vec![
            ("version", version.clone()),
            ("digest", digest),
            ("exit_code", (exit as u8).to_string()),
            ("registries", json!(registries).to_string()),
        ],
        facts: json!({ "targets": summary.rows, "version": version, "git_tag": world.plan.git_tag, "registries": registries }),
    }
}
