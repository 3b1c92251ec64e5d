//! What a release did: the table for people, the outputs for the workflow, and the report.

use indicatif::DecimalBytes;
use serde_json::json;

use super::{Published, World};
use crate::exit::Exit;
use crate::graph::Summary;
use crate::report::{self, Outcome, Table};

/// The outcome of a run.
pub(super) fn outcome(world: &World<'_>, summary: &Summary, exit: Exit) -> Outcome {
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
