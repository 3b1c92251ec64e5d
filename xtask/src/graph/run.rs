//! Runs a [`Plan`]: starts what is ready, isolates failures, stops on cancel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::FuturesUnordered;

use super::event::{Event, Listener};
use super::outcome::{Row, Status, Summary};
use super::plan::{Graph, Plan, Step};
use super::target::{Context, Target, TargetResult};
use crate::exit;

impl<'a> Graph<'a> {
    /// Runs every step of `plan`. When `cancel` completes, no more steps start, and running ones are dropped.
    pub async fn run(
        self,
        plan: &Plan,
        listener: &'a dyn Listener,
        cancel: impl Future<Output = ()>,
    ) -> Summary {
        let mut targets: BTreeMap<String, Target<'a>> = self
            .targets
            .into_iter()
            .map(|target| (target.name.clone(), target))
            .collect();
        let scheduled = plan.steps.iter().filter(|step| !step.skipped);
        let scheduled: Arc<[String]> = scheduled.map(|step| step.target.clone()).collect();
        let mut ended: BTreeMap<String, Row> = BTreeMap::new();
        let mut started: BTreeMap<String, Instant> = BTreeMap::new();
        let mut running: FuturesUnordered<BoxFuture<'a, Row>> = FuturesUnordered::new();
        let mut cancel = std::pin::pin!(cancel.fuse());
        let mut interrupted = (&mut cancel).now_or_never().is_some();

        while !interrupted && ended.len() < plan.steps.len() {
            let ready: Vec<&Step> = plan
                .steps
                .iter()
                .filter(|step| !started.contains_key(&step.target))
                .filter(|step| step.waits_for.iter().all(|name| ended.contains_key(name)))
                .collect();
            for step in ready {
                started.insert(step.target.clone(), Instant::now());
                let target = targets
                    .remove(&step.target)
                    .expect("a plan names the targets of its graph");
                running.push(match skip_reason(step, &target, &ended) {
                    Some(row) => std::future::ready(row).boxed(),
                    None => {
                        let scheduled = Arc::clone(&scheduled);
                        perform(target, failed(step, &ended), scheduled, listener).boxed()
                    }
                });
            }
            tokio::select! {
                biased;
                () = &mut cancel => interrupted = true,
                Some(row) = running.next() => {
                    listener.on_event(Event::Finished { row: &row });
                    ended.insert(row.target.clone(), row);
                }
            }
        }
        drop(running);

        let rows = plan.steps.iter().map(|step| {
            let name = &step.target;
            ended
                .remove(name)
                .unwrap_or_else(|| match started.get(name) {
                    Some(since) => Row {
                        duration: since.elapsed(),
                        ..Row::idle(name, Status::Aborted, "interrupted")
                    },
                    None => Row::idle(name, Status::NotRun, "interrupted before it started"),
                })
        });
        Summary {
            rows: rows.collect(),
            interrupted,
        }
    }
}

/// The result of a step that is ready but must not run.
fn skip_reason(step: &Step, target: &Target<'_>, ended: &BTreeMap<String, Row>) -> Option<Row> {
    let row = |status, note: &str| Some(Row::idle(&step.target, status, note));
    if step.skipped {
        return row(Status::Skipped, "left out by --skip");
    }
    for name in &step.needs {
        let before = &ended[name];
        let how = match before.status {
            Status::NotRun => "did not run",
            Status::Failed if !before.proceeds => "failed",
            _ => continue,
        };
        return row(Status::NotRun, &format!("`{name}` {how}"));
    }
    let failed = failed(step, ended);
    let succeeded =
        |name: &String| matches!(ended[name].status, Status::Succeeded | Status::Partial);
    if target.is_group && !failed.is_empty() && !step.needs.iter().any(succeeded) {
        return row(Status::NotRun, &format!("{} failed", failed.join(", ")));
    }
    let mut conditions = target.only_when.iter();
    let (sentence, _) = conditions.find(|(_, condition)| !condition())?;
    row(Status::Skipped, sentence)
}

/// What of the targets before this one failed, through groups.
fn failed(step: &Step, ended: &BTreeMap<String, Row>) -> Vec<String> {
    let names = step.needs.iter().flat_map(|name| match ended[name].status {
        Status::Failed => vec![format!("`{name}`")],
        _ => ended[name].lacks.clone(),
    });
    names.collect()
}

async fn perform<'a>(
    target: Target<'a>,
    failed: Vec<String>,
    scheduled: Arc<[String]>,
    listener: &'a dyn Listener,
) -> Row {
    let name = target.name;
    listener.on_event(Event::Started { target: &name });
    let start = Instant::now();
    let result = match target.action {
        Some(action) => {
            let target = name.clone();
            let context = Context {
                target,
                listener,
                scheduled,
            };
            action(context).await
        }
        None if failed.is_empty() => Ok(TargetResult::Done(String::new())),
        None => Ok(TargetResult::Done(format!("without {}", failed.join(", ")))),
    };
    let lacks = if target.is_group { failed } else { Vec::new() };
    let failure = result.as_ref().err().map(exit::code);
    let (status, note) = match result {
        Ok(TargetResult::Done(note)) if lacks.is_empty() => (Status::Succeeded, note),
        Ok(TargetResult::Done(note)) => (Status::Partial, note),
        Ok(TargetResult::Skipped(reason)) => (Status::Skipped, reason),
        Err(error) => (Status::Failed, exit::sentence(&error)),
    };
    Row {
        target: name,
        status,
        duration: start.elapsed(),
        note,
        lacks,
        failure,
        proceeds: target.proceed_after_failure,
    }
}
