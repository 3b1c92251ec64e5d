//! `cargo xtask check`: are the settings right, and may these credentials push?

use std::collections::BTreeMap;

use anyhow::Result;

use super::base_found::FoundBases;
use super::builder::{self, DOCKERFILE};
use super::clients::Clients;
use super::logins::NO_CREDENTIALS;
use super::plan::ReleasePlan;
use super::transport::Transport;
use super::{logins, push_access};
use crate::cli::{BuilderChoice, CommonArgs};
use crate::credentials::NoLogin;
use crate::exit::{self, Exit, bad_input, end_on_interrupt, interrupted, no_problems, sentence};
use crate::report::{Console, Table};
use crate::settings::{ReleaseSettings, Settings};

/// Asks every registry with credentials; changes nothing.
pub async fn check(settings: &Settings, console: &Console, args: &CommonArgs) -> Result<Exit> {
    let (mut resolver, _) = settings.resolver();
    let settings = &settings.release(args.release_version.as_deref())?;
    // Settings that no plan can be made of are wrong, too.
    let plan = ReleasePlan::new(settings, Transport::default())?;
    let logins = logins::find(&settings.registries, &mut resolver, |_| true).await;
    logins::mask(&logins, console);
    let clients = Clients::new(settings, &logins, resolver)?;
    let cancel = interrupted();
    let answers = tokio::select! {
        answers = push_access::ask(&clients.registries, |_| true) => answers,
        () = cancel => {
            clients.registries.cancel_uploads().await;
            return Ok(Exit::Interrupted);
        }
    };
    // What follows opens nothing.
    end_on_interrupt();
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
                    .find(|answer| answer.registry == registry.name);
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
    for base in bases(settings, &plan, &clients, console).await? {
        match base.problem {
            Some(problem) if exit::code(&problem) == Exit::Usage => wrong.push(sentence(&problem)),
            Some(_) => refused += 1,
            None => {}
        }
        table.rows.push(base.row);
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

/// A base image that was asked for.
struct Base {
    row: Vec<String>,
    problem: Option<anyhow::Error>,
}

/// Asks for the base images. Those of an engine's build may be in the engine alone: what is said of them is no problem.
async fn bases(
    settings: &ReleaseSettings,
    plan: &ReleasePlan,
    clients: &Clients<'_>,
    console: &Console,
) -> Result<Vec<Base>> {
    let mut rows: BTreeMap<String, Base> = BTreeMap::new();
    if !settings.root.join(DOCKERFILE).is_file() {
        return Ok(Vec::new());
    }
    let dockerfile = match builder::read(&settings.root) {
        Ok(dockerfile) => dockerfile,
        Err(problem) => {
            console.warning(&sentence(&problem));
            return Ok(Vec::new());
        }
    };
    let by_engine =
        settings.builder == BuilderChoice::Engine || dockerfile.needs_engine().is_some();
    let mut found = FoundBases::default();
    let warn = |warning: &str| console.warning(warning);
    for build in &plan.builds {
        let images = match dockerfile.bases(&build.platform, &build.args) {
            Ok(images) => images,
            Err(problem) => {
                console.warning(&problem.to_string());
                continue;
            }
        };
        for (reference, platform) in images {
            let name = &reference.repository;
            let login = clients.base_repository(name, &warn).await?.login;
            let asked = found
                .find(plan, clients, &reference, &platform, &warn)
                .await;
            let digests = found.digests();
            let digest = digests.get(&reference.to_string()).map(ToString::to_string);
            let problem = asked.err();
            let answer = match &problem {
                Some(problem) => sentence(problem),
                None => format!("is {}", digest.unwrap_or_default()),
            };
            let login = login.map_or_else(|_| "none".to_owned(), |login| login.origin);
            let row = vec![
                "base image".to_owned(),
                reference.to_string(),
                login,
                answer,
            ];
            let problem = problem.filter(|_| !by_engine);
            let problem = problem.map(|it| it.context(format!("base image `{reference}`")));
            let base = Base { row, problem };
            // One that cannot be had for one of the platforms is told so.
            match rows.get(&base.row[1]) {
                Some(old) if old.problem.is_some() || base.problem.is_none() => {}
                _ => drop(rows.insert(base.row[1].clone(), base)),
            }
        }
    }
    Ok(rows.into_values().collect())
}
