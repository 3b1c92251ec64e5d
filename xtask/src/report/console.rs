//! The console: everything the program prints, redacted, on a terminal, in a log and in GitHub Actions.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use super::actions;
use super::live::Live;
use super::outcome::Outcome;
use super::table::Table;
use crate::exit::sentence;
use crate::secret::{Redactor, Secret};

/// Everything the program prints goes through here.
pub struct Console {
    redactor: RwLock<Redactor>,
    pub(super) verbose: u8,
    pub(super) live: Live,
    pub(super) actions: Option<ActionsFiles>,
    log: Mutex<Option<File>>,
}

/// The files of a step of GitHub Actions.
pub(super) struct ActionsFiles {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl Console {
    /// `verbose` counts the `-v`.
    pub fn new(redactor: Redactor, verbose: u8) -> Arc<Self> {
        Arc::new(Console {
            redactor: RwLock::new(redactor),
            verbose,
            live: Live::new(std::io::stderr().is_terminal()),
            actions: None,
            log: Mutex::default(),
        })
    }

    /// As [`Console::new`], for a step of GitHub Actions with these files.
    pub fn for_actions(
        redactor: Redactor,
        verbose: u8,
        summary: Option<&Path>,
        output: Option<&Path>,
    ) -> Arc<Self> {
        let actions = ActionsFiles {
            summary: summary.map(Path::to_owned),
            output: output.map(Path::to_owned),
        };
        let console = Console::new(redactor, verbose);
        let console = Arc::into_inner(console).expect("nobody else has it yet");
        Arc::new(Console {
            live: Live::new(false),
            actions: Some(actions),
            ..console
        })
    }

    /// With `-vv`, shows what the libraries log.
    pub fn show_logs(self: &Arc<Self>) {
        if self.verbose > 1 {
            super::log::install(self.clone());
        }
    }

    /// Appends every printed line to this file too, with the time.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open_log(&self, path: &Path) -> anyhow::Result<()> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|error| unwritable(path, &error))?;
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    /// Masks these from now on too.
    pub fn mask<'s>(&self, secrets: impl Iterator<Item = &'s Secret<String>>) {
        let mut redactor = self
            .redactor
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        secrets.for_each(|secret| redactor.add(secret));
    }

    /// Without secrets, and without what would control a terminal: registries, archives and builds are quoted.
    pub(super) fn redact(&self, text: &str) -> String {
        let redactor = self.redactor.read().unwrap_or_else(PoisonError::into_inner);
        let is_harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        redactor.redact(text).replace(is_harmful, "\u{fffd}")
    }

    /// A line for people, on stderr.
    pub fn info(&self, text: &str) {
        let text = self.redact(text);
        self.write(&match self.actions {
            Some(_) => actions::escape_commands(&text),
            None => text,
        });
    }

    /// A line that a terminal shows only with `-v`, because it has bars.
    pub fn detail(&self, text: &str) {
        if self.live.is_terminal && self.verbose == 0 {
            self.write_log(&self.redact(text));
        } else {
            self.info(text);
        }
    }

    /// A workflow command of GitHub Actions. Redacted before it is escaped: an escaped secret would not be found.
    pub(super) fn command(&self, command: &str, text: &str) {
        let text = actions::escape(&self.redact(text));
        self.write(&format!("::{command}::{text}"));
    }

    fn write(&self, text: &str) {
        self.write_log(text);
        self.live.bars.suspend(|| {
            // A closed stderr is no reason to stop a release.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        });
    }

    fn write_log(&self, text: &str) {
        if let Some(log) = &mut *self.log.lock().unwrap_or_else(PoisonError::into_inner) {
            let now = humantime::format_rfc3339_seconds(SystemTime::now());
            for line in text.lines().filter(|line| !line.is_empty()) {
                // What fails because of a full disk reports it.
                let _ = writeln!(log, "{now} {line}");
            }
        }
    }

    /// A table for people.
    pub fn show(&self, table: &Table) {
        self.info(self.redacted(table).to_text().trim_end());
    }

    /// Redacted before it is laid out: a secret broken into lines would not be found.
    fn redacted(&self, table: &Table) -> Table {
        table.map(|cell| self.redact(cell))
    }

    /// Data, on stdout.
    pub fn print(&self, text: &str) {
        let text = self.redact(text);
        let mut stdout = std::io::stdout().lock();
        // `| head` closes stdout early.
        let _ = stdout.write_all(text.as_bytes());
        let _ = stdout.flush();
    }

    pub fn warning(&self, text: &str) {
        if self.actions.is_some() {
            self.command("warning", text);
        } else {
            self.info(&format!("warning: {text}"));
        }
    }

    pub fn error(&self, error: &anyhow::Error) {
        if self.actions.is_some() {
            self.command("error", &sentence(error));
        } else {
            self.info(&format!("error: {}", sentence(error)));
        }
    }

    /// Prints the summary of the run and writes its files.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(&self, outcome: &Outcome, report: Option<&Path>) -> anyhow::Result<()> {
        // The bars of targets that were stopped.
        self.live.clear();
        let tables = outcome.tables.iter().filter(|table| !table.rows.is_empty());
        let tables: Vec<Table> = tables.map(|table| self.redacted(table)).collect();
        for table in &tables {
            self.info(&format!("\n{}", table.to_text().trim_end()));
        }
        self.info("");
        self.info(&format!("{}: {}", outcome.title, outcome.verdict()));
        let actions = self.actions.iter();
        let summaries = actions.clone().filter_map(|files| {
            Some((files.summary.as_ref()?, actions::summary(outcome, &tables)))
        });
        let outputs =
            actions.filter_map(|files| Some((files.output.as_ref()?, actions::outputs(outcome))));
        for (path, text) in summaries.chain(outputs) {
            actions::append(path, &self.redact(&text)).map_err(|error| unwritable(path, &error))?;
        }
        if let Some(path) = report {
            let text = serde_json::to_string_pretty(&outcome.to_json())? + "\n";
            std::fs::write(path, self.redact(&text).as_bytes())
                .map_err(|error| unwritable(path, &error))?;
        }
        Ok(())
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> anyhow::Error {
    anyhow::anyhow!("`{}` cannot be written: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_with_a_space_is_masked_although_its_cell_is_broken_into_lines() {
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new("geheimes Wort".to_owned()));
        let table = Table {
            columns: vec!["note"],
            rows: vec![vec![format!("{} geheimes Wort", "x".repeat(60))]],
        };
        let text = Console::new(redactor, 0).redacted(&table).to_text();
        assert!(text.ends_with(" ***\n"), "{text}");
    }

    #[test]
    fn what_is_quoted_does_not_control_the_terminal() {
        let console = Console::new(Redactor::default(), 0);
        let text = console.redact("a\tb\n\u{1b}[2Jc\r\u{9b}d");
        assert_eq!(text, "a\tb\n\u{fffd}[2Jc\u{fffd}\u{fffd}d");
    }
}
