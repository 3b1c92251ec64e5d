//! `cargo xtask verify REPORT`: does every registry still hold what the release report says?
//!
//! The report names everything, so no workspace is needed; only logins are looked for.

use anyhow::Result;
use futures_util::future::join_all;

use super::registry_state::resolve_tag;
use crate::cli::VerifyArgs;
use crate::credentials::{Credentials, NoLogin};
use crate::exit::{Exit, bad_input, no_problems};
use crate::registry::{Options, Registry, Repository};
use crate::report::{Console, Outcome, RegistryReport, ReleaseReport, Table};
use crate::settings::Settings;

/// Compares every tag on every registry with the report, and prints the differences.
pub async fn verify(settings: &Settings, console: &Console, args: &VerifyArgs) -> Result<Exit> {
    let report = ReleaseReport::read(&args.report)?;
    let published: Vec<_> = report
        .registries
        .iter()
        .filter_map(|it| Some((it, it.digest.as_ref()?)))
        .filter(|(it, _)| !it.tags.is_empty())
        .collect();
    if published.is_empty() {
        return Err(bad_input(format!(
            "`{}`: the release published nothing that could be verified",
            args.report.display()
        )));
    }

    let repositories = repositories(settings, console, published.iter().map(|(it, _)| *it)).await?;
    let published = published.iter().zip(&repositories);
    let questions = published.flat_map(|((it, reported), repository)| {
        it.tags.iter().map(move |tag| async move {
            let now = match resolve_tag(repository, tag).await {
                Ok(Some(digest)) if digest == **reported => return None,
                Ok(Some(digest)) => digest.to_string(),
                Ok(None) => "nothing".to_owned(),
                Err(error) => format!("{:#}", anyhow::Error::from(error)),
            };
            let reference = it.reference.repository.at(tag.clone()).to_string();
            Some(vec![
                it.registry.clone(),
                reference,
                reported.to_string(),
                now,
            ])
        })
    });
    let answers = join_all(questions).await;
    let count = answers.len();
    let table = Table {
        columns: vec!["registry", "reference", "reported", "held now"],
        rows: answers.into_iter().flatten().collect(),
    };
    let exit = match table.rows.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    };
    let differences = table.rows.len();
    let equal = count - differences;
    let title = format!(
        "verify {}: {equal} tags as reported, {differences} not",
        report.version.as_deref().unwrap_or("a release")
    );
    Ok(console.finish(Outcome::table(title, exit, table), None))
}

/// The repositories of the references, signed in to where somebody says how: most registries let everyone read.
async fn repositories(
    settings: &Settings,
    console: &Console,
    published: impl Iterator<Item = &RegistryReport>,
) -> Result<Vec<Repository>> {
    let mut resolver = settings.resolver()?;
    let (mut repositories, mut problems) = (Vec::new(), Vec::new());
    for it in published {
        let name = &it.reference.repository;
        let credentials = match resolver.find(name).await {
            Ok(login) => login.credentials,
            Err(NoLogin::Missing { .. }) => Credentials::Anonymous,
            Err(problem) => {
                problems.push(problem.to_string());
                continue;
            }
        };
        console.mask(credentials.secret().into_iter());
        let registry = Registry::new(name.host(), credentials, Options::default())?;
        repositories.push(registry.repository(name.path()));
    }
    no_problems(&problems)?;
    Ok(repositories)
}
