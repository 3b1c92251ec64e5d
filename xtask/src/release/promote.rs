//! `cargo xtask promote VERSION --tag latest`: move a tag everywhere, by manifest only. This is also the rollback.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use futures_util::future::{join_all, try_join_all};

use super::clients::{Registries, RegistryClient};
use super::logins::{self, NO_CREDENTIALS};
use super::registry_state::resolve_tag_at;
use crate::cli::PromoteArgs;
use crate::credentials::NoLogin;
use crate::exit::{Exit, bad_input};
use crate::oci::{Digest, Tag, TagOrDigest};
use crate::registry;
use crate::report::{Console, Outcome, Table};
use crate::settings::Settings;

/// Points `--tag` at the version, on every registry with credentials.
pub async fn promote(settings: &Settings, console: &Console, args: &PromoteArgs) -> Result<Exit> {
    let parse = |text: &str| {
        text.parse::<Tag>()
            .map_err(|error| bad_input(format!("`{text}`: {error}")))
    };
    let version = parse(args.version.strip_prefix('v').unwrap_or(&args.version))?;
    let tag = parse(&args.tag)?;
    let (mut resolver, _) = settings.resolver();
    let settings = settings.registries()?;
    let logins = logins::find(&settings, &mut resolver, |_| true).await;
    let halves = logins::halves(&settings, &logins);
    if !halves.is_empty() {
        return Err(bad_input(halves.join("\n")));
    }
    logins::mask(&logins, console);
    let registries = Registries::new(&settings, &logins)?;
    let (broken, skipped): (Vec<_>, Vec<_>) = registries
        .iter()
        .filter_map(|it| Some((it, it.login.as_ref().err()?)))
        .partition(|(_, why)| why.is_helper_failure());
    for (registry, why) in &skipped {
        let name = &registry.settings.name;
        console.warning(&format!("registry `{name}` is skipped: {why}"));
    }
    let moved = move_tag(&registries, &version, &tag).await?;

    let refused = moved.iter().filter(|(_, result)| result.is_err()).count();
    let exit = match refused + broken.len() {
        0 => Exit::Done,
        _ if refused == moved.len() => Exit::Failed,
        _ => Exit::Partial,
    };
    let moved = moved.into_iter().map(|(registry, result)| {
        let digest = result.map(|digest| digest.to_string());
        let result = digest.unwrap_or_else(|error| format!("failed: {error}"));
        (registry, result)
    });
    let broken = broken.into_iter();
    let broken = broken.map(|(registry, why)| (registry, format!("failed: {why}")));
    let skipped = skipped.into_iter();
    let skipped = skipped.map(|(registry, why)| (registry, format!("skipped: {why}")));
    let rows = moved
        .chain(broken)
        .chain(skipped)
        .map(|(registry, result)| {
            let reference = registry.settings.repository.at(tag.clone());
            vec![
                registry.settings.name.clone(),
                reference.to_string(),
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

type Moved<'r> = (&'r RegistryClient<'r>, Result<Digest, registry::Error>);

/// Points `tag` at what `version` names, on every registry with credentials; returns how each ended.
///
/// # Errors
/// Nothing was moved: a registry lacks the version, cannot be asked, or holds something else under it than another.
async fn move_tag<'r>(
    registries: &'r Registries<'r>,
    version: &Tag,
    tag: &Tag,
) -> Result<Vec<Moved<'r>>> {
    let known = registries.iter().filter(|registry| registry.is_signed_in());
    let mut sources = Vec::new();
    for (registry, digest) in resolve_tag_at(known, version).await {
        let repository = &registry.settings.repository;
        match digest {
            Ok(Some(digest)) => sources.push((registry, digest)),
            Ok(None) => bail!(
                "`{repository}` does not hold `{version}`; nothing was moved\nhint: push it there first"
            ),
            Err(error @ registry::Error::Rejected { .. }) => {
                return Err(registry.login_refused(error.to_string()));
            }
            Err(error) => {
                bail!("`{repository}` cannot be asked for `{version}`; nothing was moved: {error}")
            }
        }
    }
    let is_broken =
        |it: &RegistryClient<'_>| it.login.as_ref().is_err_and(NoLogin::is_helper_failure);
    if sources.is_empty() && !registries.iter().any(is_broken) {
        return Err(bad_input(NO_CREDENTIALS));
    }
    let digests: BTreeSet<&Digest> = sources.iter().map(|(_, digest)| digest).collect();
    if digests.len() > 1 {
        let lines: Vec<String> = sources
            .iter()
            .map(|(registry, digest)| format!("\n    {} {digest}", registry.settings.repository))
            .collect();
        bail!(
            "`{version}` is not the same everywhere; nothing was moved:{}",
            lines.concat()
        );
    }
    let manifests = sources.into_iter().map(|(registry, digest)| async move {
        let at = TagOrDigest::Digest(digest);
        let manifest = registry.repository().get_manifest(&at).await?;
        let name = &registry.settings.repository;
        let manifest =
            manifest.ok_or_else(|| anyhow!("`{name}` lost `{version}`; nothing was moved"))?;
        anyhow::Ok((registry, manifest))
    });
    let moves = try_join_all(manifests).await?.into_iter();
    let moves = moves.map(|(registry, manifest)| async move {
        let at = TagOrDigest::Tag(tag.clone());
        let moved = registry.repository().put_manifest(&at, &manifest).await;
        (registry, moved)
    });
    Ok(join_all(moves).await)
}
