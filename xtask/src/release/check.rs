//! `cargo xtask check`: are the settings right, and may these credentials push?

use anyhow::Result;

use super::clients::Registries;
use super::logins::NO_CREDENTIALS;
use super::plan::ReleasePlan;
use super::transport::Transport;
use super::{logins, preflight};
use crate::cli::CommonArgs;
use crate::credentials::NoLogin;
use crate::exit::{Exit, bad_input, no_problems};
use crate::report::{Console, Table};
use crate::settings::Settings;

/// Asks every registry with credentials; changes nothing.
pub async fn check(settings: &Settings, console: &Console, args: &CommonArgs) -> Result<Exit> {
    let (mut resolver, _) = settings.resolver();
    let settings = &settings.release(args.release_version.as_deref())?;
    // Settings that no plan can be made of are wrong, too.
    ReleasePlan::new(settings, Transport::default())?;
    let logins = logins::find(&settings.registries, &mut resolver, |_| true).await;
    logins::mask(&logins, console);
    let registries = Registries::new(&settings.registries, &logins)?;
    let answers = preflight::ask(&registries, |_| true).await;
    let mut table = Table {
        columns: vec!["registry", "repository", "login", "answer"],
        rows: Vec::new(),
    };
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    for registry in &settings.registries {
        let (origin, answer) = match &logins[&registry.name] {
            Err(problem) => {
                let is_half = matches!(problem, NoLogin::Half { .. });
                if is_half || problem.is_helper_failure() || args.strict {
                    wrong.push(format!("registry `{}`: {problem}", registry.name));
                }
                ("none", format!("not asked: {problem}"))
            }
            Ok(login) => {
                let answer = answers
                    .iter()
                    .find(|answer| answer.registry.name == registry.name);
                let answer = answer.expect("every registry with credentials was asked");
                let problem = answer.problem();
                match &problem {
                    None => accepted += 1,
                    Some(_) if answer.is_rejected() => {
                        wrong.push(format!("registry `{}` refuses the login", registry.name));
                    }
                    Some(_) => refused += 1,
                }
                let answer = problem.unwrap_or_else(|| "accepts the push".to_owned());
                (&*login.origin, answer)
            }
        };
        table.rows.push(vec![
            registry.name.clone(),
            registry.repository.to_string(),
            origin.to_owned(),
            answer,
        ]);
    }
    console.show(&table);
    console.info(
        "a login is looked for in the registry's variables, then in Docker's own configuration and its helpers",
    );
    if settings.github.token.is_some() {
        console.info("`GITHUB_TOKEN` is set; GitHub was not asked about it");
    } else if args.strict {
        wrong.push("`GITHUB_TOKEN` is not set".to_owned());
    } else {
        console.info("`GITHUB_TOKEN` is not set: `github-release` and `release` would not start");
    }
    no_problems(&wrong)?;
    match (refused, accepted) {
        (0, 0) => Err(bad_input(NO_CREDENTIALS)),
        (0, _) => Ok(Exit::Done),
        (_, 0) => Ok(Exit::Failed),
        _ => Ok(Exit::Partial),
    }
}
