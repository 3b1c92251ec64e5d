//! What `--report` writes, and `verify` and `sync --only-failed` read: the protocol between machines.
//!
//! `docs/report.md` explains it; `docs/report.schema.json` is generated from these types. Within a version of the
//! schema fields are only added, and readers ignore those that they do not know.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize, Serializer};

use crate::copy::{CopyResult, CopyStatus};
use crate::exit::Exit;
use crate::graph::{Row, Status};
use crate::oci::{Digest, Reference, Tag};

/// The version of the schema.
pub const SCHEMA: u32 = 1;

/// What one run did.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// The version of this schema.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: u32,
    /// The version of the tool that wrote the report.
    pub tool_version: String,
    #[serde(with = "rfc3339")]
    #[cfg_attr(test, schemars(with = "String", extend("format" = "date-time")))]
    pub started: SystemTime,
    #[serde(with = "rfc3339")]
    #[cfg_attr(test, schemars(with = "String", extend("format" = "date-time")))]
    pub ended: SystemTime,
    /// 0 all done, 1 failed, 2 usage or configuration, 3 something failed and the rest was completed, 130 interrupted.
    pub exit_code: u8,
    /// Why the run could not begin; null if it could.
    pub error: Option<String>,
    #[serde(flatten)]
    pub content: Content,
}

/// What was done, by the kind of run.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Content {
    Release(ReleaseReport),
    Sync(SyncReport),
}

impl Content {
    /// What others have said: it may hold secrets. The rest is names, words and numbers, which are not to be masked.
    pub(super) fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Content::Release(report) => {
                let targets = report.targets.iter_mut().map(|it| &mut it.note);
                let registries = report.registries.iter_mut().map(|it| &mut it.note);
                targets.chain(registries).collect()
            }
            Content::Sync(report) => {
                let images = report.images.iter_mut();
                let reasons = images.filter_map(|it| it.reason.as_mut());
                reasons.chain(&mut report.empty_rules).collect()
            }
        }
    }
}

/// What a release did.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReleaseReport {
    /// The version that was released; null if the run could not begin.
    pub version: Option<String>,
    /// The tag of the GitHub release.
    pub git_tag: Option<String>,
    /// Every scheduled target, in the order of the plan.
    pub targets: Vec<TargetReport>,
    /// Every registry that the run was to push to.
    pub registries: Vec<RegistryReport>,
}

/// How one target ended.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TargetReport {
    pub target: String,
    pub status: Status,
    /// What it did, or why not.
    pub note: String,
    pub seconds: f64,
}

/// What one registry holds after the run.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RegistryReport {
    /// The name of the registry in the settings: `dockerhub`.
    pub registry: String,
    /// The repository and the tag of the version.
    pub reference: Reference,
    pub status: RegistryStatus,
    /// The tags that name the digest now.
    pub tags: Vec<Tag>,
    /// Null if nothing was published there.
    pub digest: Option<Digest>,
    /// What the version's own tag named before, if that was something else.
    #[serde(default)]
    pub replaced: Option<Digest>,
    /// What each moving tag named before it was looked at: `promote --back` puts those back.
    #[serde(default)]
    pub before: Vec<TagBefore>,
    /// The bytes uploaded.
    pub bytes: u64,
    pub seconds: f64,
    /// What was done, or why not.
    pub note: String,
}

/// What a tag named.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TagBefore {
    pub tag: Tag,
    /// Null if there was no such tag.
    pub digest: Option<Digest>,
}

/// How the push to one registry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RegistryStatus {
    /// At least one tag was set.
    Pushed,
    /// Every tag was right already.
    Equal,
    Failed,
    Skipped,
    NotRun,
    Aborted,
}

/// What a sync did.
#[derive(Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SyncReport {
    /// Nothing was written: each status says what would be done.
    pub dry_run: bool,
    /// Bytes of blobs read from the sources.
    pub bytes_read: u64,
    /// Which part of a run this is; null for the whole, also of merged parts.
    #[serde(default)]
    pub shard: Option<ShardReport>,
    /// There are images that the run never came to know: it, or a part of it, ended early, or a part has left no
    /// report.
    #[serde(default, rename = "unlisted")]
    pub is_unlisted: bool,
    /// Rules of which nothing was chosen, each with where it is written: a pattern that fits no tag today.
    #[serde(default)]
    pub empty_rules: Vec<String>,
    /// Every image at every destination.
    #[serde(serialize_with = "with_verdicts")]
    #[cfg_attr(test, schemars(with = "Vec<ImageReport<'static>>"))]
    pub images: Vec<CopyResult>,
}

/// One of the parts of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShardReport {
    /// From 1.
    pub number: usize,
    /// How many parts there are.
    pub of: usize,
    /// What was cut: `repository` or `tag`; null in reports of versions that did not say it.
    #[serde(default)]
    pub by: Option<String>,
    /// The digest of what the files and options ask for, the same in all parts; null as well.
    #[serde(default)]
    pub request: Option<Digest>,
}

/// One image at one destination.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ImageReport<'r> {
    #[serde(flatten)]
    result: &'r CopyResult,
    /// The same as `status`, for readers of reports that were written before there was a `schema`.
    verdict: CopyStatus,
}

fn with_verdicts<S: Serializer>(images: &[CopyResult], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(images.iter().map(|result| ImageReport {
        result,
        verdict: result.status,
    }))
}

impl Report {
    pub fn new(started: SystemTime, exit: Exit, error: Option<String>, content: Content) -> Self {
        Report {
            schema: SCHEMA,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            started,
            ended: SystemTime::now(),
            exit_code: exit as u8,
            error,
            content,
        }
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("keys are strings and numbers are finite") + "\n"
    }
}

impl SyncReport {
    /// What `--only-failed` tries again: what is degraded may get whole. A dry run has put nothing in its place.
    pub fn failed(&self) -> impl Iterator<Item = &CopyResult> {
        let is_missing = |image: &&CopyResult| match image.status {
            CopyStatus::Failed | CopyStatus::Degraded => true,
            CopyStatus::Created | CopyStatus::Updated => self.dry_run,
            CopyStatus::Equal | CopyStatus::Skipped => false,
        };
        self.images.iter().filter(is_missing)
    }
}

/// As everywhere: in tables, outputs and reports.
impl fmt::Display for RegistryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl From<&Row> for TargetReport {
    fn from(row: &Row) -> Self {
        TargetReport {
            target: row.target.clone(),
            status: row.status,
            note: row.note.clone(),
            seconds: seconds(row.duration),
        }
    }
}

/// In milliseconds' precision.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Points in time as RFC 3339 has them, in UTC.
mod rfc3339 {
    use std::time::SystemTime;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(*time))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::path::Path;

    use schemars::generate::SchemaSettings;
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::*;

    impl JsonSchema for Digest {
        fn schema_name() -> Cow<'static, str> {
            "Digest".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": "string",
                "pattern": "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$"
            })
        }
    }

    impl JsonSchema for Tag {
        fn schema_name() -> Cow<'static, str> {
            "Tag".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$" })
        }
    }

    impl JsonSchema for Reference {
        fn schema_name() -> Cow<'static, str> {
            "Reference".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": "string",
                "description": "Host, repository, and a tag or a digest: `docker.io/library/nginx:1.27`."
            })
        }
    }

    #[test]
    fn a_status_is_spelled_in_reports_as_in_tables() {
        use RegistryStatus as R;
        for (status, text) in [
            (Status::Succeeded, "succeeded"),
            (Status::Partial, "partial"),
            (Status::Failed, "failed"),
            (Status::Skipped, "skipped"),
            (Status::NotRun, "not-run"),
            (Status::Aborted, "aborted"),
        ] {
            assert_eq!(serde_json::to_value(status).unwrap(), text);
            assert_eq!(status.to_string(), text);
        }
        for (status, text) in [
            (R::Pushed, "pushed"),
            (R::Equal, "equal"),
            (R::Failed, "failed"),
            (R::Skipped, "skipped"),
            (R::NotRun, "not-run"),
            (R::Aborted, "aborted"),
        ] {
            assert_eq!(serde_json::to_value(status).unwrap(), text);
            assert_eq!(status.to_string(), text);
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let digest = Digest::sha256_of(b"x");
        let reference: Reference = "localhost:5000/team/app:1.2.3".parse().unwrap();
        let registry = RegistryReport {
            registry: "local".to_owned(),
            reference,
            status: RegistryStatus::Pushed,
            tags: vec!["1.2.3".parse().unwrap()],
            digest: Some(digest),
            replaced: None,
            before: Vec::new(),
            bytes: 7,
            seconds: 0.25,
            note: String::new(),
        };
        let content = Content::Release(ReleaseReport {
            version: Some("1.2.3".to_owned()),
            registries: vec![registry],
            ..ReleaseReport::default()
        });
        let report = Report::new(SystemTime::UNIX_EPOCH, Exit::Partial, None, content);
        let text = report.to_json();
        assert!(
            text.contains("\"started\": \"1970-01-01T00:00:00.000Z\""),
            "{text}"
        );
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(read.to_json(), text);
        // A later version of the tool may add fields to the schema.
        let more = text.replace("\"exit_code\"", "\"shard\": 1,\n\"exit_code\"");
        assert!(serde_json::from_str::<Report>(&more).is_ok());
    }

    #[test]
    fn the_json_schema_is_of_these_types() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.schema.json");
        let generator = SchemaSettings::draft2020_12()
            .for_serialize()
            .into_generator();
        let schema = generator.into_root_schema_for::<Report>();
        let schema = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &schema).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap() == schema,
            "`docs/report.schema.json` is not that of these types; hint: `UPDATE=1 cargo test --lib json_schema`"
        );
    }
}
