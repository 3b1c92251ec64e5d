//! Reads the reports of earlier runs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::schema::{Content, ReleaseReport, Report, SCHEMA, SyncReport};
use crate::exit::bad_input;

/// What every version of the report has.
#[derive(Deserialize)]
struct Header {
    schema: u32,
    tool_version: String,
}

impl Report {
    /// Reads what `--report` wrote; `kind` is the kind of report that is wanted.
    fn read(path: &Path, kind: &str) -> Result<Report> {
        let file = path.display();
        let is_none = |why: &str, hint: &str| {
            bad_input(format!(
                "`{file}`{why}: this is not the report of a {kind}; hint: {hint}"
            ))
        };
        let text =
            bytes(path).map_err(|error| bad_input(format!("`{file}` cannot be read: {error}")))?;
        if text.trim_ascii().is_empty() {
            return Err(is_none(" is empty", WRITTEN));
        }
        let value: Value = serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            is_none(&format!(", line {line}, column {column}"), WRITTEN)
        })?;
        let Ok(header) = Header::deserialize(&value) else {
            let hint = "reports of versions without a schema are not read";
            return Err(is_none(" has no `schema` and `tool_version`", hint));
        };
        if header.schema != SCHEMA {
            let (schema, version) = (header.schema, header.tool_version);
            return Err(bad_input(format!(
                "`{file}` has schema {schema} of reports, and this version reads schema {SCHEMA}; \
                 hint: version {version} wrote it"
            )));
        }
        Report::deserialize(&value)
            .map_err(|error| bad_input(format!("`{file}` is not a valid report: {error}")))
    }
}

/// Of a million images, in bytes.
const LARGEST: u64 = 1 << 30;

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // A device or a pipe has no size, and may have no end.
    let most = match file.metadata()?.is_file() {
        true => LARGEST,
        false => LARGEST >> 4,
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(format!(
            "it is larger than {} MiB",
            most >> 20
        ))),
        false => Ok(bytes),
    }
}

const WRITTEN: &str = "what `--report` wrote";

impl ReleaseReport {
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): this is not the report of a release.
    pub fn read(path: &Path) -> Result<ReleaseReport> {
        match Report::read(path, "release")?.content {
            Content::Release(report) => Ok(report),
            Content::Sync(_) => Err(bad_input(format!(
                "`{}` is the report of a sync; hint: `verify` compares the report of a release",
                path.display()
            ))),
        }
    }
}

impl SyncReport {
    /// The report of a sync; `None` if the run knew no image when it ended, so that everything may be missing.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): this is not the report of a sync.
    pub fn read(path: &Path) -> Result<Option<SyncReport>> {
        let (report, knows_all, _) = Self::read_any(path)?;
        Ok(Some(report).filter(|_| knows_all))
    }

    /// The same, whether the run has come to know its images, and why it could not begin.
    ///
    /// # Errors
    /// [`BadInput`](crate::exit::BadInput): this is not the report of a sync.
    pub fn read_any(path: &Path) -> Result<(SyncReport, bool, Option<String>)> {
        let report = Report::read(path, "sync")?;
        let (code, error) = (report.exit_code, report.error);
        let Content::Sync(report) = report.content else {
            return Err(bad_input(format!(
                "`{}` is the report of a release; hint: `--only-failed` and `report merge` take the reports of a sync",
                path.display()
            )));
        };
        // Stopped while it listed its sources, or by a wrong login: nothing failed, and nothing is in place.
        let has_nothing = code != 0 && report.failed().next().is_none();
        let knows_all = !has_nothing && !report.is_unlisted;
        Ok((report, knows_all, error))
    }
}
