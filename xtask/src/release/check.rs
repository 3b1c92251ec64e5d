//! `cargo xtask check`: are the settings right, and may these credentials push?

use anyhow::Result;

use super::clients::Registries;
use super::plan::ReleasePlan;
use super::preflight;
use super::transport::Transport;
use crate::cli::CheckArgs;
use crate::exit::Exit;
use crate::report::{Console, Table};
use crate::settings::{Login, Settings};

/// Asks every registry with credentials; changes nothing.
pub async fn check(settings: &Settings, console: &Console, args: &CheckArgs) -> Result<Exit> {
    let settings = &settings.release(args.common.release_version.as_deref())?;
    // What cannot be planned is wrong as well.
    ReleasePlan::new(settings, Transport::default())?;
    let registries = Registries::new(&settings.registries)?;
    let answers = preflight::ask(&registries, |_| true).await;
    let mut table = Table {
        columns: vec!["registry", "repository", "answer"],
        rows: Vec::new(),
    };
    let (mut accepted, mut refused, mut wrong) = (0, 0, 0);
    for registry in &settings.registries {
        let answer = match &registry.login {
            Login::Missing(variables) => {
                wrong += usize::from(args.common.strict);
                format!("not asked: {}", variables.missing())
            }
            Login::Incomplete { set, missing } => {
                wrong += 1;
                format!("`{set}` is set and `{missing}` is not")
            }
            Login::Ready { .. } => {
                let answer = answers
                    .iter()
                    .find(|answer| answer.registry.name == registry.name);
                let answer = answer.expect("every registry with credentials was asked");
                match answer.problem() {
                    None => {
                        accepted += 1;
                        "accepts the push".to_owned()
                    }
                    Some(problem) => {
                        *if answer.is_rejected() {
                            &mut wrong
                        } else {
                            &mut refused
                        } += 1;
                        problem
                    }
                }
            }
        };
        table.rows.push(vec![
            registry.name.clone(),
            registry.repository.to_string(),
            answer,
        ]);
    }
    console.show(&table);
    Ok(match (wrong, refused, accepted) {
        (1.., _, _) => Exit::Usage,
        (_, 0, 1..) => Exit::Done,
        (_, 0, 0) => {
            console.info("no registry has credentials: nothing was checked");
            Exit::Usage
        }
        (_, _, 0) => Exit::Failed,
        _ => Exit::Partial,
    })
}
