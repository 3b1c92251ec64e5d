//! What a finished run hands to the console: once, for every form it is printed and written in.

use std::path::PathBuf;

use super::schema::Content;
use super::table::Table;
use crate::exit::Exit;
use crate::graph::{Status, Summary};

/// The end of a run.
pub struct Outcome {
    /// `release 1.2.3`.
    pub title: String,
    pub exit: Exit,
    /// What [`Exit::Partial`] stands for, if nothing has failed.
    pub lack: Option<String>,
    /// For people: the first is the one to look at first.
    pub tables: Vec<Table>,
    /// For `--report`.
    pub content: Option<Content>,
    /// Other files to write, with their texts: references only.
    pub files: Vec<(PathBuf, String)>,
    /// For the later steps of a workflow, besides `exit_code`: names, digests and numbers.
    pub outputs: Vec<(&'static str, String)>,
}

impl Outcome {
    /// One that is a table and nothing more.
    pub fn table(title: String, exit: Exit, table: Table) -> Self {
        Outcome {
            title,
            exit,
            lack: None,
            tables: vec![table],
            content: None,
            files: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// The sentence that the exit code stands for.
    pub fn verdict(&self) -> &str {
        match self.exit {
            Exit::Done => "done",
            Exit::Failed => "failed",
            Exit::Usage => "failed: a setting or an input is wrong",
            Exit::Partial => match &self.lack {
                Some(lack) => lack,
                None => "partly done: something failed, the rest was completed",
            },
            Exit::Interrupted => "interrupted",
        }
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
            row.status.to_string(),
            seconds,
            row.note.clone(),
        ]
    });
    Table {
        columns: vec!["target", "status", "seconds", "what it did, or why not"],
        rows: rows.collect(),
    }
}
