//! What a release did: the table for people, the outputs for the workflow, and the report.

use indicatif::DecimalBytes;

use super::plan::{PushPlan, ReleasePlan, join};
use super::run_state::{Published, RunState};
use crate::exit::Exit;
use crate::graph::{Row, Status, Summary};
use crate::report::{
    self, Content, Outcome, RegistryReport, RegistryStatus, ReleaseReport, Table, TargetReport,
    seconds,
};

/// The outcome of a run; `earlier` is the report that this one's replaces.
pub fn outcome(
    plan: &ReleasePlan,
    state: &RunState,
    summary: &Summary,
    exit: Exit,
    earlier: Option<&ReleaseReport>,
) -> Outcome {
    let mut published = state.published();
    let rows = plan.pushes.iter().filter_map(|push| {
        let row = summary.rows.iter().find(|row| row.target == push.target)?;
        let mut report = registry(push, row, published.remove(&push.registry));
        if let Some(earlier) = earlier {
            keep_before(&mut report, earlier);
        }
        Some(report)
    });
    let registries: Vec<RegistryReport> = rows.collect();
    let digest = registries.iter().rev().find_map(|it| it.digest.as_ref());
    let digest = digest.map_or_else(String::new, ToString::to_string);
    let version = plan.version.to_string();
    Outcome {
        title: format!("release {version}"),
        exit,
        lack: None,
        tables: vec![report::targets(summary), table(&registries)],
        outputs: vec![("version", version.clone()), ("digest", digest)],
        files: Vec::new(),
        content: Some(Content::Release(ReleaseReport {
            version: Some(version),
            git_tag: Some(plan.git_tag.clone()),
            targets: summary.rows.iter().map(TargetReport::from).collect(),
            registries,
        })),
    }
}

/// What tags named before the first of several runs of one release: the later ones find their own image there, and
/// `promote --back` would put nothing back.
fn keep_before(report: &mut RegistryReport, earlier: &ReleaseReport) {
    let mut of_earlier = earlier.registries.iter();
    let is_it =
        |it: &&RegistryReport| it.reference == report.reference && it.digest == report.digest;
    let Some(earlier) = of_earlier.find(is_it) else {
        return;
    };
    if report.replaced.is_none() {
        report.replaced = earlier.replaced.clone();
    }
    for it in &mut report.before {
        let known = earlier.before.iter().find(|known| known.tag == it.tag);
        if let (Some(known), true) = (known, it.digest == report.digest) {
            it.digest = known.digest.clone();
        }
    }
}

fn registry(push: &PushPlan, row: &Row, published: Option<Published>) -> RegistryReport {
    let status = match (&published, row.status) {
        // The version is there, and a moving tag could not be set.
        (Some(_), Status::Failed) => RegistryStatus::Failed,
        (Some(published), _) if published.set.is_empty() => RegistryStatus::Equal,
        (Some(_), _) => RegistryStatus::Pushed,
        (None, Status::Skipped) => RegistryStatus::Skipped,
        (None, Status::NotRun) => RegistryStatus::NotRun,
        (None, Status::Aborted) => RegistryStatus::Aborted,
        // A push that succeeded has published something.
        (None, Status::Failed | Status::Succeeded | Status::Partial) => RegistryStatus::Failed,
    };
    let (tags, digest, replaced, before, bytes) = match published {
        Some(it) => (it.tags, Some(it.digest), it.replaced, it.before, it.bytes),
        None => (Vec::new(), None, None, Vec::new(), 0),
    };
    RegistryReport {
        registry: push.registry.clone(),
        reference: push.repository.at(push.immutable.clone()),
        status,
        tags,
        digest,
        replaced,
        before,
        bytes,
        seconds: seconds(row.duration),
        note: row.note.clone(),
    }
}

fn table(registries: &[RegistryReport]) -> Table {
    let rows = registries.iter().map(|it| {
        let bytes = it.digest.is_some().then_some(DecimalBytes(it.bytes));
        let digest = it.digest.as_ref().map(|digest| match &it.replaced {
            Some(replaced) => format!("{replaced} -> {digest}"),
            None => digest.to_string(),
        });
        vec![
            it.registry.clone(),
            it.reference.to_string(),
            join(&it.tags),
            digest.unwrap_or_default(),
            bytes.map_or_else(String::new, |bytes| bytes.to_string()),
            format!("{:.1}", it.seconds),
            it.status.to_string(),
        ]
    });
    Table {
        columns: vec![
            "registry",
            "reference",
            "tags",
            "digest",
            "bytes",
            "seconds",
            "status",
        ],
        rows: rows.collect(),
    }
}
