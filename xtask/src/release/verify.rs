//! `cargo xtask verify REPORT`: does every registry still hold what the release report says?
//!
//! The report names everything, so no workspace is needed; only logins are looked for. A registry where the reported
//! run did not succeed is asked too: it may have been pushed to since.

use anyhow::Result;
use futures_util::future::join_all;

use super::clients::explained;
use super::registry_state::resolve_tag_in_time;
use crate::cli::VerifyArgs;
use crate::credentials::{Credentials, Login, NoLogin};
use crate::exit::{Exit, bad_input, no_problems};
use crate::oci::{Digest, Tag};
use crate::registry::{Error, Options, Registry, Repository};
use crate::report::{Console, Outcome, RegistryReport, RegistryStatus, ReleaseReport, Table};
use crate::settings::Settings;

/// Compares every tag on every registry with the report, and prints the differences.
pub async fn verify(settings: &Settings, console: &Console, args: &VerifyArgs) -> Result<Exit> {
    let report = ReleaseReport::read(&args.report)?;
    if !report.registries.iter().any(is_published) {
        return Err(bad_input(format!(
            "`{}`: the release published nothing that could be verified",
            args.report.display()
        )));
    }
    let all = expected(&report);
    let places = places(settings, console, &report.registries).await?;
    let questions = all.iter().zip(&places);
    let found = join_all(questions.map(|(it, place)| it.compare(place))).await;

    let (mut equal, mut different, mut is_lacking, mut rows) = (0, 0, false, Vec::new());
    for (it, found) in all.iter().zip(found) {
        let (reported, is_right) = (it.reported, found.rows.is_empty());
        equal += reported.tags.len() - found.different;
        different += found.different;
        is_lacking |= !is_right && reported.status != RegistryStatus::Skipped;
        if is_right && !is_done(reported) {
            let (name, status) = (&reported.registry, reported.status);
            console.info(&format!(
                "`{name}`, {status} in the reported run, holds the same as the others now"
            ));
        }
        rows.extend(found.rows);
    }
    let exit = match (different, is_lacking) {
        (0, false) => Exit::Done,
        (0, true) => Exit::Partial,
        _ => Exit::Failed,
    };
    let table = Table {
        columns: vec!["registry", "reference", "reported", "held now"],
        rows,
    };
    let title = format!(
        "verify {}: {equal} tags as reported, {different} not",
        report.version.as_deref().unwrap_or("a release")
    );
    Ok(console.finish(Outcome::table(title, exit, table), None))
}

fn is_published(reported: &RegistryReport) -> bool {
    reported.digest.is_some() && !reported.tags.is_empty()
}

fn is_done(reported: &RegistryReport) -> bool {
    use RegistryStatus::{Equal, Pushed};
    matches!(reported.status, Pushed | Equal) && is_published(reported)
}

/// What a registry is to hold.
struct Expected<'r> {
    reported: &'r RegistryReport,
    /// `None` if that cannot be told.
    digest: Option<&'r Digest>,
    /// Those that are to name it beside the reported ones.
    more: Vec<&'r Tag>,
}

/// Where the reported run did not succeed, a registry is to hold what all those do where it did.
fn expected(report: &ReleaseReport) -> Vec<Expected<'_>> {
    let done = || report.registries.iter().filter(|it| is_done(it));
    let first = done().next();
    let digest = first.and_then(|it| it.digest.as_ref());
    let common = digest.filter(|&it| done().all(|other| other.digest.as_ref() == Some(it)));
    let all = report.registries.iter().map(|reported| {
        let own = reported.digest.as_ref();
        if is_done(reported) {
            return Expected {
                reported,
                digest: own,
                more: Vec::new(),
            };
        }
        let tags = first.into_iter().flat_map(|it| &it.tags);
        let tags = tags.filter(|&tag| done().all(|it| it.tags.contains(tag)));
        let mut more: Vec<&Tag> = reported.reference.tag.iter().chain(tags).collect();
        more.retain(|tag| !reported.tags.contains(tag));
        more.sort();
        more.dedup();
        Expected {
            reported,
            digest: common.filter(|&it| own.is_none_or(|own| own == it)),
            more,
        }
    });
    all.collect()
}

/// What is not as expected.
struct Found {
    /// How many of the reported tags.
    different: usize,
    rows: Vec<Vec<String>>,
}

impl Expected<'_> {
    async fn compare(&self, place: &Place) -> Found {
        let reported = self.reported;
        let not_done = format!("not published: {} in the reported run", reported.status);
        let mut found = Found {
            different: 0,
            rows: Vec::new(),
        };
        let Some(digest) = self.digest.or(reported.digest.as_ref()) else {
            let row = row(reported, reported.reference.to_string(), not_done);
            found.rows.push(row);
            return found;
        };
        let tags = reported.tags.iter().chain(self.more.iter().copied());
        let ask = tags
            .clone()
            .map(|tag| resolve_tag_in_time(&place.repository, tag));
        let answers = join_all(ask).await;
        if let (true, Some(Err(error))) = (answers.iter().all(Result::is_err), answers.first()) {
            // One registry is silent or wants a login, not each of its tags.
            let why = place.explained(error.clone());
            let name = reported.reference.repository.to_string();
            found.different = reported.tags.len();
            found.rows.push(match is_published(reported) {
                true => row(reported, name, why),
                false if place.is_login_missing(error) => row(reported, name, not_done),
                false => row(reported, name, format!("{not_done}; {why}")),
            });
            return found;
        }
        let holds_nothing = answers.iter().all(|it| matches!(it, Ok(None)));
        if holds_nothing && !is_published(reported) {
            let row = row(reported, reported.reference.to_string(), not_done);
            found.rows.push(row);
            return found;
        }
        for (number, (tag, now)) in tags.zip(answers).enumerate() {
            let now = match now {
                Ok(Some(now)) if now == *digest => continue,
                Ok(Some(now)) => now.to_string(),
                Ok(None) => "nothing".to_owned(),
                Err(error) => place.explained(error),
            };
            let is_reported = number < reported.tags.len();
            found.different += usize::from(is_reported);
            let reference = reported.reference.repository.at(tag.clone()).to_string();
            found.rows.push(match is_reported {
                true => row(reported, reference, now),
                false => row(reported, reference, format!("{now}; {not_done}")),
            });
        }
        if self.digest.is_none() && found.rows.is_empty() {
            let row = row(reported, reported.reference.to_string(), not_done);
            found.rows.push(row);
        }
        found
    }
}

fn row(reported: &RegistryReport, reference: String, now: String) -> Vec<String> {
    let digest = reported.digest.as_ref().map(ToString::to_string);
    let digest = digest.unwrap_or_else(|| "-".to_owned());
    vec![reported.registry.clone(), reference, digest, now]
}

/// The repository of a reference, and who reads it.
struct Place {
    host: String,
    repository: Repository,
    login: Result<Login, NoLogin>,
}

impl Place {
    fn is_login_missing(&self, error: &Error) -> bool {
        self.login.is_err() && matches!(error, Error::Denied { .. })
    }

    fn explained(&self, error: Error) -> String {
        match &self.login {
            Err(why) if self.is_login_missing(&error) => {
                let (host, remedy) = (&self.host, why.remedy());
                format!("`{host}` requires authentication; hint: {remedy}")
            }
            login => explained(login.as_ref().ok(), &error.into()),
        }
    }
}

/// Where each of `reported` is, signed in to where somebody says how: most registries let everyone read.
async fn places(
    settings: &Settings,
    console: &Console,
    reported: &[RegistryReport],
) -> Result<Vec<Place>> {
    let (mut resolver, wrong) = settings.resolver();
    wrong.iter().for_each(|it| console.warning(it));
    let (mut places, mut problems) = (Vec::new(), Vec::new());
    for it in reported {
        let name = &it.reference.repository;
        let login = resolver.find_reported(&it.registry, name).await;
        match &login {
            Ok(_) | Err(NoLogin::Missing { .. }) => {}
            Err(failed) if failed.is_helper_failure() => console.warning(&format!(
                "`{}` is read without a login: {failed}",
                name.host()
            )),
            Err(problem) if is_published(it) => problems.push(problem.to_string()),
            Err(_) => {}
        }
        let credentials = login
            .as_ref()
            .map_or(Credentials::Anonymous, |login| login.credentials.clone());
        console.mask(|redactor| credentials.hide(redactor));
        let registry = Registry::new(name.host(), credentials, Options::default())?;
        places.push(Place {
            host: name.host().to_owned(),
            repository: registry.repository(name.path()),
            login,
        });
    }
    no_problems(&problems)?;
    Ok(places)
}
