//! `cargo xtask promote VERSION --tag latest`: move a tag everywhere, by manifest only. This is also the rollback.

use anyhow::Result;

use super::held;
use crate::cli::PromoteArgs;
use crate::exit::{Exit, bad_input};
use crate::oci::Tag;
use crate::report::{Console, Outcome, Table};
use crate::settings::Settings;

/// Lets `--tag` name what the version's tag names, on every registry.
pub async fn promote(settings: &Settings, console: &Console, args: &PromoteArgs) -> Result<Exit> {
    let parse = |text: &str| {
        text.parse::<Tag>()
            .map_err(|error| bad_input(format!("`{text}`: {error}")))
    };
    let version = parse(args.version.strip_prefix('v').unwrap_or(&args.version))?;
    let tag = parse(&args.tag)?;
    let registries = settings.registries()?;
    let moved = held::promote(&registries, &version, &tag).await?;

    let failed = moved.iter().filter(|(_, result)| result.is_err()).count();
    let exit = match failed {
        0 => Exit::Done,
        failed if failed == moved.len() => Exit::Failed,
        _ => Exit::Partial,
    };
    let rows = moved.iter().map(|(registry, result)| {
        let result = match result {
            Ok(digest) => digest.to_string(),
            Err(error) => format!("failed: {error:#}"),
        };
        vec![
            registry.name.clone(),
            format!("{}:{tag}", registry.repository),
            result,
        ]
    });
    let table = Table {
        columns: vec!["registry", "reference", "digest, or why not"],
        rows: rows.collect(),
    };
    let title = format!("promote {version} to {tag}");
    Ok(console.finish(Outcome::table(title, exit, table), None))
}
