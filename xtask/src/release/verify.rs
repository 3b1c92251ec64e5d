//! `cargo xtask verify REPORT`: does every registry still hold what the release report says?
//!
//! The report names everything, so no workspace is needed; only logins are looked for.

use anyhow::Result;
use futures_util::future::join_all;

use super::registry_state::resolve_tag;
use crate::cli::VerifyArgs;
use crate::credentials::{Credentials, NoLogin};
use crate::exit::{Exit, bad_input, no_problems};
use crate::registry::{Error, Options, Registry, Repository};
use crate::report::{Console, Outcome, RegistryReport, RegistryStatus, ReleaseReport, Table};
use crate::settings::Settings;

/// Compares every tag on every registry with the report, and prints the differences.
pub async fn verify(settings: &Settings, console: &Console, args: &VerifyArgs) -> Result<Exit> {
    let report = ReleaseReport::read(&args.report)?;
    let (published, others): (Vec<_>, Vec<_>) = report
        .registries
        .iter()
        .partition(|it| it.digest.is_some() && !it.tags.is_empty());
    if published.is_empty() {
        return Err(bad_input(format!(
            "`{}`: the release published nothing that could be verified",
            args.report.display()
        )));
    }

    let repositories = repositories(settings, console, &published).await?;
    let questions = published.iter().zip(&repositories);
    let questions = questions.map(|(it, repository)| differences(it, repository));
    let answers = join_all(questions).await;
    let count: usize = published.iter().map(|it| it.tags.len()).sum();
    let differences: usize = answers.iter().map(|(count, _)| count).sum();
    let equal = count - differences;
    let not_published = others.iter().map(|it| {
        let why = format!("not published: {} in the reported run", it.status);
        row(it, it.reference.to_string(), why)
    });
    let rows = answers.into_iter().flat_map(|(_, rows)| rows);
    let table = Table {
        columns: vec!["registry", "reference", "reported", "held now"],
        rows: rows.chain(not_published).collect(),
    };
    use RegistryStatus::{Equal, Pushed, Skipped};
    let ended = |it: &RegistryReport| matches!(it.status, Pushed | Equal | Skipped);
    let exit = match differences {
        0 if report.registries.iter().all(ended) => Exit::Done,
        0 => Exit::Partial,
        _ => Exit::Failed,
    };
    let title = format!(
        "verify {}: {equal} tags as reported, {differences} not",
        report.version.as_deref().unwrap_or("a release")
    );
    Ok(console.finish(Outcome::table(title, exit, table), None))
}

/// How many tags of a registry are not as reported, and the rows that say so.
async fn differences(
    reported: &RegistryReport,
    (repository, no_login): &(Repository, Option<NoLogin>),
) -> (usize, Vec<Vec<String>>) {
    let ask = reported.tags.iter().map(|tag| resolve_tag(repository, tag));
    let answers = join_all(ask).await;
    if let (Some(why), Some(Err(Error::Denied { .. }))) = (no_login, answers.first()) {
        // One login is missing, not one for each tag.
        let name = &reported.reference.repository;
        let why = format!("`{}` requires authentication; hint: {why}", name.host());
        return (answers.len(), vec![row(reported, name.to_string(), why)]);
    }
    let rows = reported.tags.iter().zip(answers).filter_map(|(tag, now)| {
        let now = match now {
            Ok(now) if now == reported.digest => return None,
            Ok(Some(digest)) => digest.to_string(),
            Ok(None) => "nothing".to_owned(),
            Err(error) => format!("{:#}", anyhow::Error::from(error)),
        };
        let reference = reported.reference.repository.at(tag.clone());
        Some(row(reported, reference.to_string(), now))
    });
    let rows: Vec<_> = rows.collect();
    (rows.len(), rows)
}

fn row(reported: &RegistryReport, reference: String, now: String) -> Vec<String> {
    let digest = reported.digest.as_ref().map(ToString::to_string);
    let digest = digest.unwrap_or_else(|| "-".to_owned());
    vec![reported.registry.clone(), reference, digest, now]
}

/// The repositories of the references, signed in to where somebody says how: most registries let everyone read.
async fn repositories(
    settings: &Settings,
    console: &Console,
    published: &[&RegistryReport],
) -> Result<Vec<(Repository, Option<NoLogin>)>> {
    let (mut resolver, wrong) = settings.resolver();
    wrong.iter().for_each(|it| console.warning(it));
    let (mut repositories, mut problems) = (Vec::new(), Vec::new());
    for it in published {
        let name = &it.reference.repository;
        let (credentials, no_login) = match resolver.find_reported(&it.registry, name).await {
            Ok(login) => (login.credentials, None),
            Err(missing @ NoLogin::Missing { .. }) => (Credentials::Anonymous, Some(missing)),
            Err(failed) if failed.is_helper_failure() => {
                console.warning(&format!(
                    "`{}` is read without a login: {failed}",
                    name.host()
                ));
                (Credentials::Anonymous, Some(failed))
            }
            Err(problem) => {
                problems.push(problem.to_string());
                continue;
            }
        };
        console.mask(|redactor| credentials.hide(redactor));
        let registry = Registry::new(name.host(), credentials, Options::default())?;
        repositories.push((registry.repository(name.path()), no_login));
    }
    no_problems(&problems)?;
    Ok(repositories)
}
