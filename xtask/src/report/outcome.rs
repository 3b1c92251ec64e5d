//! What a finished run hands to the report: once, for every form it is told in.

use serde_json::{Value, json};

use super::table::Table;
use crate::exit::Exit;
use crate::graph::{Status, Summary};

/// The end of a run.
pub struct Outcome {
    /// `release 1.2.3`.
    pub title: String,
    pub exit: Exit,
    /// For people: the first is the one to look at first.
    pub tables: Vec<Table>,
    /// The same and more, for `--report`: an object.
    pub facts: Value,
    /// For the later steps of a workflow.
    pub outputs: Vec<(&'static str, String)>,
}

impl Outcome {
    /// One that is a table and nothing more.
    pub fn table(title: String, exit: Exit, table: Table) -> Self {
        Outcome {
            title,
            exit,
            tables: vec![table],
            facts: json!({}),
            outputs: Vec::new(),
        }
    }

    /// The sentence that the exit code stands for.
    pub fn verdict(&self) -> &'static str {
        match self.exit {
            Exit::Done => "done",
            Exit::Failed => "failed",
            Exit::Usage => "failed: a setting or an input is wrong",
            Exit::Partial => "partly done: something failed, the rest was completed",
            Exit::Interrupted => "interrupted",
        }
    }

    /// The content of the `--report` file.
    pub fn to_json(&self) -> Value {
        let mut report = json!({
            "title": self.title,
            "exit_code": self.exit as u8,
            "verdict": self.verdict(),
        });
        if let (Value::Object(report), Value::Object(facts)) = (&mut report, &self.facts) {
            report.extend(facts.clone());
        }
        report
    }
}

/// The targets of a graph that was run.
pub fn targets(summary: &Summary) -> Table {
    let rows = summary.rows.iter().map(|row| {
        let seconds = match row.status {
            Status::Skipped | Status::NotRun => "-".to_owned(),
            _ => format!("{:.1}", row.duration.as_secs_f64()),
        };
        vec![
            row.target.clone(),
            format!("{:?}", row.status),
            seconds,
            row.note.clone(),
        ]
    });
    Table {
        columns: vec!["target", "status", "seconds", "what it did, or why not"],
        rows: rows.collect(),
    }
}
