//! How moving tags ended: each tag in full for people, the table, and the report, which `verify` and `promote --back`
//! read like that of a release.

use std::collections::BTreeSet;

use super::clients::RegistryClient;
use super::move_tags::Moved;
use super::plan::join;
use super::tags::is_version;
use crate::exit::Exit;
use crate::oci::{Digest, Tag};
use crate::report::{
    Console, Content, Outcome, RegistryReport, RegistryStatus, ReleaseReport, Table, TagBefore,
};

/// What is asked for.
pub enum Task {
    /// Every tag is to name what the version names.
    Version { version: Tag, tags: Vec<Tag> },
    /// Every tag is to name what it named before this release.
    Back(ReleaseReport),
}

/// What became of one registry: its tags, or why none was looked at.
pub struct Ended<'r> {
    pub registry: &'r RegistryClient<'r>,
    pub moved: Result<Vec<Moved>, (RegistryStatus, String)>,
}

impl Ended<'_> {
    pub fn is_skipped(&self) -> bool {
        matches!(self.moved, Err((RegistryStatus::Skipped, _)))
    }

    fn is_failed(&self) -> bool {
        match &self.moved {
            Ok(moved) => moved.iter().any(|it| it.result.is_err()),
            Err((status, _)) => *status == RegistryStatus::Failed,
        }
    }

    /// Says in full what each tag named and names; a version's own tag that was overwritten is worth a warning.
    pub fn tell(&self, console: &Console, task: &Task) {
        for it in self.moved.iter().flatten() {
            if it.result.is_err() {
                continue;
            }
            let reference = self.registry.settings.repository.at(it.tag.clone());
            let before = named(it.before.as_ref());
            let line = format!("{reference}: {before} -> {}", it.digest);
            let is_lost = is_version(&it.tag) && it.before.is_some() && it.result == Ok(true);
            match matches!(task, Task::Version { .. }) && is_lost {
                true => console.warning(&format!("{line}\nhint: {before} has lost this tag")),
                false => console.info(&line),
            }
        }
    }

    fn rows(&self, is_dry: bool) -> Vec<Vec<String>> {
        let settings = self.registry.settings;
        let row = |reference: String, [before, now]: [String; 2], how: String| {
            vec![settings.name.clone(), reference, before, now, how]
        };
        let moved = match &self.moved {
            Ok(moved) => moved,
            Err((status, why)) => {
                let how = format!("{status}: {why}");
                return vec![row(
                    settings.repository.to_string(),
                    [String::new(), String::new()],
                    how,
                )];
            }
        };
        let rows = moved.iter().map(|it| {
            let reference = settings.repository.at(it.tag.clone()).to_string();
            let change = match &it.result {
                Ok(_) => [named(it.before.as_ref()), it.digest.to_string()],
                // It names what it did, if that is known.
                Err(_) => [(); 2].map(|()| it.before.as_ref().map(named_by).unwrap_or_default()),
            };
            let how = match &it.result {
                Ok(true) if is_dry => "would be moved".to_owned(),
                Ok(true) => "moved".to_owned(),
                Ok(false) => "equal".to_owned(),
                Err(why) => format!("failed: {why}"),
            };
            row(reference, change, how)
        });
        rows.collect()
    }

    /// One entry for each image that tags name now, as the report of a release has it.
    fn report(&self, task: &Task, seconds: f64) -> Vec<RegistryReport> {
        let settings = self.registry.settings;
        let reference = match task {
            Task::Version { version, .. } => Some(settings.repository.at(version.clone())),
            Task::Back(report) => {
                let is_here = |it: &&RegistryReport| it.registry == settings.name;
                let reported = report.registries.iter().find(is_here);
                reported.map(|it| it.reference.clone())
            }
        };
        // Nothing of this registry was reported, and nothing was done there.
        let Some(reference) = reference else {
            return Vec::new();
        };
        let empty = |status, note: &str| RegistryReport {
            registry: settings.name.clone(),
            reference: reference.clone(),
            status,
            tags: Vec::new(),
            digest: None,
            replaced: None,
            before: Vec::new(),
            bytes: 0,
            seconds,
            note: note.to_owned(),
        };
        let moved = match &self.moved {
            Ok(moved) => moved,
            Err((status, why)) => return vec![empty(*status, why)],
        };
        let digests: BTreeSet<&Digest> = moved.iter().map(|it| &it.digest).collect();
        let of_digest = |digest: &Digest| {
            let own: Vec<&Moved> = moved.iter().filter(|it| it.digest == *digest).collect();
            let failures: Vec<&str> = own
                .iter()
                .filter_map(|it| Some(&**it.result.as_ref().err()?))
                .collect();
            let is_pushed = own.iter().any(|it| it.result == Ok(true));
            let status = match (&failures[..], is_pushed) {
                ([], true) => RegistryStatus::Pushed,
                ([], false) => RegistryStatus::Equal,
                _ => RegistryStatus::Failed,
            };
            let there = own.iter().filter(|it| it.result.is_ok());
            let before = there.clone().map(|it| TagBefore {
                tag: it.tag.clone(),
                digest: it.before.clone(),
            });
            let before = before.collect();
            let tags: Vec<Tag> = there.map(|it| it.tag.clone()).collect();
            RegistryReport {
                reference: settings.repository.at(digest.clone()),
                digest: (!tags.is_empty()).then(|| digest.clone()),
                tags,
                before,
                ..empty(status, &failures.join("; "))
            }
        };
        digests.into_iter().map(of_digest).collect()
    }
}

/// The end of a run for people, and for `--report`.
pub fn outcome(task: &Task, ended: &[Ended<'_>], is_dry: bool, seconds: f64) -> Outcome {
    let is_done = |it: &&Ended<'_>| {
        let moved = it.moved.as_ref();
        moved.is_ok_and(|moved| moved.iter().any(|it| it.result.is_ok()))
    };
    let exit = match ended.iter().filter(|it| it.is_failed()).count() {
        0 => Exit::Done,
        _ if ended.iter().find(is_done).is_some() => Exit::Partial,
        _ => Exit::Failed,
    };
    let (title, version) = match task {
        Task::Version { version, tags } => (
            format!("promote {version} to {}", join(tags)),
            Some(version.to_string()),
        ),
        Task::Back(report) => {
            let version = report.version.as_deref().unwrap_or("a release");
            (format!("promote back from {version}"), None)
        }
    };
    let title = if is_dry {
        format!("{title} (dry run)")
    } else {
        title
    };
    let table = Table {
        columns: vec!["registry", "reference", "before", "now", "status"],
        rows: ended.iter().flat_map(|it| it.rows(is_dry)).collect(),
    };
    let content = Content::Release(ReleaseReport {
        version,
        registries: ended
            .iter()
            .flat_map(|it| it.report(task, seconds))
            .collect(),
        ..ReleaseReport::default()
    });
    Outcome {
        content: Some(content),
        ..Outcome::table(title, exit, table)
    }
}

/// A digest, or the word for none.
fn named_by(digest: &Digest) -> String {
    named(Some(digest))
}

fn named(digest: Option<&Digest>) -> String {
    digest.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}
