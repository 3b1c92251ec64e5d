//! The console: everything the program prints, redacted, on a terminal, in a log and in GitHub Actions.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use anyhow::anyhow;
use serde_json::json;

use super::live::Live;
use super::outcome::Outcome;
use super::schema::{Content, Report};
use super::shown::Shown;
use super::table::{ShownTable, Table};
use super::{actions, file};
use crate::exit::{self, Exit, sentence};
use crate::secret::Redactor;

/// Everything the program prints goes through here.
pub struct Console {
    redactor: RwLock<Redactor>,
    pub(super) verbose: u8,
    /// The width that tables have to fit into, if there is one.
    columns: Option<usize>,
    pub(super) live: Live,
    pub(super) actions: Option<ActionsFiles>,
    /// In GitHub Actions: the target whose lines the open group holds.
    group: Mutex<Option<String>>,
    log: Mutex<Option<(PathBuf, File)>>,
    started: SystemTime,
    /// A file that the user asked for is not written, or not whole.
    has_lost_files: AtomicBool,
}

/// Where people read.
#[derive(Clone, Copy, Default)]
pub struct Screen {
    /// The width that tables have to fit into; else the terminal's.
    pub columns: Option<usize>,
    /// It cannot move its cursor, so it gets lines and no bars.
    pub is_dumb: bool,
}

/// The files of a step of GitHub Actions.
#[derive(Default)]
pub struct ActionsFiles {
    pub summary: Option<PathBuf>,
    pub output: Option<PathBuf>,
}

impl Console {
    /// `verbose` counts the `-v`.
    pub fn new(
        redactor: Redactor,
        verbose: u8,
        screen: Screen,
        actions: Option<ActionsFiles>,
    ) -> Arc<Self> {
        let terminal = console::Term::stderr().size_checked();
        let has_bars = actions.is_none() && !screen.is_dumb && std::io::stderr().is_terminal();
        Arc::new(Console {
            redactor: RwLock::new(redactor),
            verbose,
            columns: screen
                .columns
                .or(terminal.map(|(_, columns)| columns.into())),
            live: Live::new(has_bars),
            actions,
            group: Mutex::default(),
            log: Mutex::default(),
            started: SystemTime::now(),
            has_lost_files: AtomicBool::new(false),
        })
    }

    /// How many `-v` there are.
    pub(super) fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Appends every printed line to this file too, with the time.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open_log(&self, path: &Path) -> anyhow::Result<()> {
        let file = file::open_append(path).map_err(|error| file::unwritable(path, &error))?;
        let mut log = self.log.lock().expect("no holder panics");
        *log = Some((path.to_owned(), file));
        Ok(())
    }

    /// Masks more from now on.
    pub fn mask(&self, hide: impl FnOnce(&mut Redactor)) {
        hide(&mut self.redactor.write().expect("no holder panics"));
    }

    /// A text of any origin as it may leave the program.
    pub(super) fn shown(&self, text: &str) -> Shown {
        let redactor = self.redactor.read().expect("no holder panics");
        Shown::new(text, &redactor)
    }

    fn cell(&self, text: &str) -> Shown {
        let redactor = self.redactor.read().expect("no holder panics");
        Shown::cell(text, &redactor)
    }

    /// A line for people, on stderr.
    pub fn info(&self, text: &str) {
        self.info_in(None, text);
    }

    /// A line for people. In GitHub Actions it is in the `group`: the lines of a target are one, as long as nothing
    /// else is printed between them, so that they can be read while it runs.
    pub(super) fn info_in(&self, group: Option<&str>, text: &str) {
        let text = self.shown(text);
        match self.actions {
            Some(_) => self.write(group, &text.without_commands()),
            None => self.write(None, text.as_str()),
        }
    }

    /// A line that a terminal shows only with `-v`, because it has bars.
    pub fn detail(&self, text: &str) {
        if self.live.is_terminal && self.verbose == 0 {
            self.write_log(self.shown(text).as_str());
        } else {
            self.info(text);
        }
    }

    /// A line for the file of the log alone.
    pub fn log_only(&self, text: &str) {
        self.write_log(self.shown(text).as_str());
    }

    /// A workflow command of GitHub Actions. Redacted before it is escaped: an escaped secret would not be found.
    pub(super) fn command(&self, command: &str, text: &str) {
        let text = self.shown(text).command_data();
        self.write(None, &format!("::{command}::{text}"));
    }

    fn write(&self, group: Option<&str>, text: &str) {
        self.write_log(text);
        let mut open = self.group.lock().expect("no holder panics");
        let mut lines = String::new();
        if open.as_deref() != group {
            if open.is_some() {
                lines += "::endgroup::\n";
            }
            if let Some(group) = group {
                lines += &format!("::group::{group}\n");
            }
            *open = group.map(str::to_owned);
        }
        lines += text;
        lines.push('\n');
        self.live.bars.suspend(|| {
            // A closed stderr is no reason to stop a release.
            let _ = std::io::stderr().lock().write_all(lines.as_bytes());
        });
    }

    fn write_log(&self, text: &str) {
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        let lines = text.lines().filter(|line| !line.is_empty());
        let lines: String = lines.map(|line| format!("{now} {line}\n")).collect();
        let mut log = self.log.lock().expect("no holder panics");
        let Some((path, file)) = &mut *log else {
            return;
        };
        if let Err(error) = file.write_all(lines.as_bytes()) {
            let error = file::unwritable(path, &error);
            *log = None;
            drop(log);
            self.written(Err(error));
        }
    }

    /// A table for people.
    pub fn show(&self, table: &Table) {
        self.info(self.shown_table(table).to_text(self.columns).trim_end());
    }

    /// Redacted before it is laid out: a secret broken into lines would not be found.
    fn shown_table(&self, table: &Table) -> ShownTable {
        table.shown(|cell| self.cell(cell))
    }

    /// Data, on stdout; the exit code of a command that has nothing more to do. Data that was cut is no success: a full
    /// disk is told, and a reader that went away, as `| head` does, is not. A stdout that was closed from the start
    /// cannot be told from `/dev/null`, which Rust opens in its place.
    pub fn print(&self, text: &str) -> Exit {
        self.print_to(&mut std::io::stdout().lock(), text)
    }

    fn print_to(&self, out: &mut impl std::io::Write, text: &str) -> Exit {
        let text = self.shown(text);
        let written = out.write_all(text.as_str().as_bytes());
        match written.and_then(|()| out.flush()) {
            Ok(()) => Exit::Done,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Failed,
            Err(error) => {
                self.error(&anyhow!("stdout cannot be written: {error}"));
                Exit::Failed
            }
        }
    }

    pub fn warning(&self, text: &str) {
        self.annotate("warning", text);
    }

    pub fn error(&self, error: &anyhow::Error) {
        self.annotate("error", &sentence(error));
    }

    fn annotate(&self, kind: &str, text: &str) {
        match self.actions {
            Some(_) => self.command(kind, text),
            None => self.info(&format!("{kind}: {text}")),
        }
    }

    /// Prints the summary of the run, writes its files, and returns its exit code. A file that cannot be written costs
    /// only itself and makes [`Exit::Done`] [`Exit::Failed`].
    pub fn finish(&self, mut outcome: Outcome, report: Option<&Path>) -> Exit {
        // The bars of targets that were stopped.
        self.live.clear();
        let tables = outcome.tables.iter().filter(|table| !table.rows.is_empty());
        let tables: Vec<ShownTable> = tables.map(|table| self.shown_table(table)).collect();
        // Only what does work has printed lines before.
        let gap = outcome.content.as_ref().map_or("", |_| "\n");
        for table in &tables {
            let text = table.to_text(self.columns);
            self.info(&format!("{gap}{}", text.trim_end()));
        }
        for (path, text) in std::mem::take(&mut outcome.files) {
            self.written(file::replace(&path, &text));
        }
        if let Some(content) = &mut outcome.content {
            // Before they are JSON: a secret that is a number or a word would break it.
            for text in content.texts() {
                *text = self.cell(text).into_string();
            }
            if let Content::Release(report) = content {
                let registries = json!(report.registries).to_string();
                outcome.outputs.push(("registries", registries));
            }
        }
        outcome.exit = self.exit(outcome.exit);
        if let (Some(path), Some(content)) = (report, outcome.content.take()) {
            self.report(path, outcome.exit, None, content);
            outcome.exit = self.exit(outcome.exit);
        }
        if let Some(actions) = &self.actions {
            if let Some(path) = &actions.summary {
                // What the step has written before counts too, and a line break.
                let before = std::fs::metadata(path).map_or(0, |found| found.len());
                let room = actions::LONGEST_SUMMARY.saturating_sub(before + 1);
                let room = usize::try_from(room).unwrap_or(usize::MAX);
                let title = self.cell(&outcome.title);
                let text = actions::summary(&title, outcome.verdict(), &tables, room);
                self.written(file::append(path, &text));
            }
            if let Some(path) = &actions.output {
                outcome.exit = self.exit(outcome.exit);
                self.written(file::append(path, &actions::outputs(&outcome)));
            }
        }
        outcome.exit = self.exit(outcome.exit);
        self.info("");
        self.info(&format!("{}: {}", outcome.title, outcome.verdict()));
        outcome.exit
    }

    /// Prints the error that ended the run before it could do anything, writes the report, and returns the exit code.
    pub fn fail(&self, error: &anyhow::Error, report: Option<(&Path, Content)>) -> Exit {
        self.live.clear();
        self.error(error);
        let exit = exit::code(error);
        // One that cannot be written is known already: it was tried before anything else.
        if let Some((path, content)) = report
            && file::check_writable([path]).is_ok()
        {
            self.report(
                path,
                exit,
                Some(self.cell(&sentence(error)).into_string()),
                content,
            );
        }
        exit
    }

    fn report(&self, path: &Path, exit: Exit, error: Option<String>, content: Content) {
        let report = Report::new(self.started, exit, error, content);
        self.written(file::replace(path, &report.to_json()));
    }

    fn written(&self, result: anyhow::Result<()>) {
        if let Err(error) = result {
            self.has_lost_files.store(true, Ordering::Relaxed);
            self.error(&error);
        }
    }

    fn exit(&self, exit: Exit) -> Exit {
        match exit {
            Exit::Done if self.has_lost_files.load(Ordering::Relaxed) => Exit::Failed,
            exit => exit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_secret_with_a_space_is_masked_although_its_cell_is_broken_into_lines() {
        let mut redactor = Redactor::default();
        redactor.add(&Secret::new("geheimes Wort".to_owned()));
        let table = Table {
            columns: vec!["note"],
            rows: vec![vec![format!("{} geheimes Wort", "x".repeat(60))]],
        };
        let console = Console::new(redactor, 0, Screen::default(), None);
        let text = console.shown_table(&table).to_text(None);
        assert!(text.ends_with(" ***\n"), "{text}");
    }

    #[test]
    fn the_report_and_the_output_of_a_release_are_json_whatever_the_secrets_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut redactor = Redactor::default();
        for secret in ["null", "release", "pushed", "1234"] {
            redactor.add(&Secret::new(secret.to_owned()));
        }
        let files = ActionsFiles {
            summary: None,
            output: Some(path("output")),
        };
        let console = Console::new(redactor, 0, Screen::default(), Some(files));
        let registry = json!({
            "registry": "one", "reference": "one.io/app:1234", "status": "pushed", "tags": ["1234"],
            "digest": null, "replaced": null, "before": [], "bytes": 1234, "seconds": 0.0, "note": "it said 1234"
        });
        let content = json!({
            "kind": "release", "version": null, "git_tag": null, "targets": [], "registries": [registry]
        });
        let mut outcome = Outcome::table("it".to_owned(), Exit::Done, Table::default());
        outcome.content = Some(serde_json::from_value(content.clone()).unwrap());
        assert_eq!(console.finish(outcome, Some(&path("r.json"))), Exit::Done);
        let mut masked = content["registries"].clone();
        masked[0]["note"] = "it said ***".into();
        let text = std::fs::read(path("r.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            (&report["kind"], &report["registries"]),
            (&content["kind"], &masked)
        );
        let output = std::fs::read_to_string(path("output")).unwrap();
        let (_, registries) = output.split_once("registries=").unwrap();
        let registries: serde_json::Value = serde_json::from_str(registries).unwrap();
        assert_eq!(registries, masked);
    }

    #[test]
    fn a_log_that_cannot_be_written_on_is_lost_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "").unwrap();
        let console = Console::new(Redactor::default(), 0, Screen::default(), None);
        // As a full disk: it could be opened.
        *console.log.lock().unwrap() = Some((path.clone(), File::open(&path).unwrap()));
        console.info("a line");
        assert!(console.log.lock().unwrap().is_none());
        let outcome = |exit| Outcome::table("it".to_owned(), exit, Table::default());
        assert_eq!(console.finish(outcome(Exit::Done), None), Exit::Failed);
        assert_eq!(console.finish(outcome(Exit::Partial), None), Exit::Partial);
    }
}
