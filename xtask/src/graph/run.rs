//! Runs a [`Plan`]: starts what is ready, isolates failures, stops on cancel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::FuturesUnordered;

use super::event::{Event, Listener};
use super::outcome::{Row, Status, Summary};
use super::plan::{Graph, Plan, Step};
use super::target::{Context, Target, TargetResult};

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
        let mut ended: BTreeMap<&str, Row> = BTreeMap::new();
        let mut started: BTreeMap<&str, Instant> = BTreeMap::new();
        let mut running: FuturesUnordered<BoxFuture<'a, Row>> = FuturesUnordered::new();
        let mut cancel = std::pin::pin!(cancel.fuse());
        let mut interrupted = (&mut cancel).now_or_never().is_some();

        while !interrupted && ended.len() < plan.steps.len() {
            let ready: Vec<&Step> = plan
                .steps
                .iter()
                .filter(|step| !started.contains_key(step.target.as_str()))
                .filter(|step| {
                    step.waits_for
                        .iter()
                        .all(|name| ended.contains_key(name.as_str()))
                })
                .collect();
            for step in ready {
                started.insert(&step.target, Instant::now());
                let target = targets
                    .remove(&step.target)
                    .expect("a plan names the targets of its graph");
                running.push(match skip_reason(step, &target, &ended) {
                    Some(row) => std::future::ready(row).boxed(),
                    None => perform(
                        target,
                        without(step, &ended),
                        Arc::clone(&scheduled),
                        listener,
                    )
                    .boxed(),
                });
            }
            tokio::select! {
                biased;
                () = &mut cancel => interrupted = true,
                Some(row) = running.next() => {
                    listener.on_event(Event::Finished { row: &row });
                    let step = plan.steps.iter().find(|step| step.target == row.target);
                    ended.insert(&step.expect("only steps run").target, row);
                }
            }
        }
        drop(running);

        let rows = plan.steps.iter().map(|step| {
            let name = step.target.as_str();
            ended
                .remove(name)
                .unwrap_or_else(|| match started.get(name) {
                    Some(since) => Row::ended(
                        name,
                        Status::Aborted,
                        since.elapsed(),
                        "interrupted".to_owned(),
                    ),
                    None => Row::ended(
                        name,
                        Status::NotRun,
                        Duration::ZERO,
                        "interrupted before it started".to_owned(),
                    ),
                })
        });
        Summary {
            rows: rows.collect(),
            interrupted,
        }
    }
}

/// The result of a step that is ready but must not run.
fn skip_reason(step: &Step, target: &Target<'_>, ended: &BTreeMap<&str, Row>) -> Option<Row> {
    let row = |status, note| Some(Row::ended(&step.target, status, Duration::ZERO, note));
    if step.skipped {
        return row(Status::Skipped, "left out by --skip".to_owned());
    }
    for name in &step.needs {
        let before = &ended[name.as_str()];
        if before.status == Status::NotRun || before.status == Status::Failed && !before.proceeds {
            let how = if before.status == Status::Failed {
                "failed"
            } else {
                "did not run"
            };
            return row(Status::NotRun, format!("`{name}` {how}"));
        }
    }
    let failed = failed(step, ended);
    let succeeded = |name: &String| ended[name.as_str()].status == Status::Succeeded;
    if target.is_group && !failed.is_empty() && !step.needs.iter().any(succeeded) {
        return row(Status::NotRun, format!("{} failed", failed.join(", ")));
    }
    let (sentence, _) = target
        .only_when
        .iter()
        .find(|(_, condition)| !condition())?;
    row(Status::Skipped, sentence.clone())
}

/// The note of a group: which of its targets failed.
fn without(step: &Step, ended: &BTreeMap<&str, Row>) -> String {
    match &failed(step, ended)[..] {
        [] => String::new(),
        names => format!("without {}", names.join(", ")),
    }
}

fn failed(step: &Step, ended: &BTreeMap<&str, Row>) -> Vec<String> {
    let failed = |name: &&String| ended[name.as_str()].status == Status::Failed;
    let names = step.needs.iter().filter(failed);
    names.map(|name| format!("`{name}`")).collect()
}

async fn perform<'a>(
    target: Target<'a>,
    without: String,
    scheduled: Arc<[String]>,
    listener: &'a dyn Listener,
) -> Row {
    let name = target.name;
    listener.on_event(Event::Started { target: &name });
    let start = Instant::now();
    let result = match target.action {
        Some(action) => {
            action(Context {
                target: name.clone(),
                listener,
                scheduled,
            })
            .await
        }
        None => Ok(TargetResult::Done(without)),
    };
    let row = match result {
        Ok(TargetResult::Done(note)) => Row::ended(&name, Status::Succeeded, start.elapsed(), note),
        Ok(TargetResult::Skipped(reason)) => {
            Row::ended(&name, Status::Skipped, start.elapsed(), reason)
        }
        Err(error) => Row::failed(&name, start.elapsed(), &error),
    };
    Row {
        proceeds: target.proceed_after_failure,
        ..row
    }
}
