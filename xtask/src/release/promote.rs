//! `cargo xtask promote VERSION --tag latest`: move tags everywhere, by manifest only. This is also the rollback, so a
//! registry that is down fails alone, and the same command brings it level later.
//!
//! `promote --back REPORT` puts back what the moving tags named before a release.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, bail};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use super::clients::{Registries, RegistryClient};
use super::logins::{self, NO_CREDENTIALS};
use super::move_tags::{INTERRUPTED, Wish, fulfil};
use super::promote_report::{Ended, Task, outcome};
use super::registry_state::resolve_tag_at;
use super::tags::is_version;
use crate::cli::PromoteArgs;
use crate::exit::{Exit, bad_input, interrupted, no_problems, sentence};
use crate::graph::same_name;
use crate::oci::{Digest, Tag};
use crate::registry;
use crate::report::{Console, RegistryReport, RegistryStatus, ReleaseReport, seconds};
use crate::settings::{RegistrySettings, Settings};

/// Moves tags on every registry with credentials.
pub async fn promote(settings: &Settings, console: &Console, args: &PromoteArgs) -> Result<Exit> {
    // Shared, because every registry must see an interrupt.
    let cancel = interrupted().shared();
    let started = Instant::now();
    let task = task(args)?;
    let (mut resolver, _) = settings.resolver();
    let mut settings = settings.registries()?;
    leave_out(&mut settings, &args.skip)?;
    let finish = |ended: &[Ended<'_>]| {
        let mut outcome = outcome(&task, ended, args.dry_run, seconds(started.elapsed()));
        if cancel.peek().is_some() {
            outcome.exit = Exit::Interrupted;
        }
        console.finish(outcome, args.report.as_deref().filter(|_| !args.dry_run))
    };
    let logins = tokio::select! {
        logins = logins::find(&settings, &mut resolver, |_| true) => logins,
        () = cancel.clone() => return Ok(finish(&[])),
    };
    no_problems(&logins::halves(&settings, &logins))?;
    logins::mask(&logins, console);
    let registries = Registries::new(&settings, &logins)?;
    let mut ended = Vec::new();
    for registry in registries.iter() {
        let Err(why) = &registry.login else { continue };
        let is_broken = why.is_helper_failure();
        if !is_broken {
            let name = &registry.settings.name;
            console.warning(&format!("registry `{name}` is skipped: {why}"));
        }
        let status = match is_broken {
            true => RegistryStatus::Failed,
            false => RegistryStatus::Skipped,
        };
        ended.push(Ended {
            registry,
            moved: Err((status, why.to_string())),
        });
    }
    if ended.len() == settings.len() && ended.iter().all(Ended::is_skipped) {
        return Err(bad_input(NO_CREDENTIALS));
    }
    let work = async {
        let wishes = match &task {
            Task::Version { version, tags } => tokio::select! {
                wishes = of_version(&registries, version, tags) => wishes?,
                () = cancel.clone() => not_asked(&registries),
            },
            Task::Back(report) => tokio::select! {
                wishes = asked(back(&registries, report, args.force)?) => wishes?,
                () = cancel.clone() => not_asked(&registries),
            },
        };
        let moves = wishes.into_iter().map(|(registry, wishes)| {
            let cancel = cancel.clone();
            async move {
                let repository = registry.repository();
                let moved = match wishes {
                    Ok(wishes) => Ok(fulfil(&repository, wishes, args.dry_run, cancel).await),
                    Err(why) => Err((RegistryStatus::Failed, why)),
                };
                Ended { registry, moved }
            }
        });
        anyhow::Ok(join_all(moves).await)
    };
    ended.extend(work.await?);
    let place = |it: &Ended<'_>| {
        registries
            .iter()
            .position(|all| all.settings.name == it.registry.settings.name)
    };
    ended.sort_by_key(place);
    for it in &ended {
        it.tell(console, &task);
    }
    Ok(finish(&ended))
}

/// # Errors
/// [`BadInput`](crate::exit::BadInput): what is no tag, a tag that is a version's own, a report of something else.
fn task(args: &PromoteArgs) -> Result<Task> {
    let parse = |text: &str| {
        text.parse::<Tag>()
            .map_err(|error| bad_input(format!("`{text}`: {error}")))
    };
    let Some(version) = &args.version else {
        return match &args.back {
            Some(report) => Ok(Task::Back(ReleaseReport::read(report)?)),
            None => Err(bad_input(
                "which version? hint: `promote 1.2.3 --tag latest`, or `promote --back REPORT`",
            )),
        };
    };
    let version = parse(version.strip_prefix('v').unwrap_or(version))?;
    let tags: Vec<Tag> = args
        .tag
        .iter()
        .map(|tag| parse(tag))
        .collect::<Result<_>>()?;
    if let Some(tag) = tags.iter().find(|tag| is_version(tag) && !args.force) {
        return Err(bad_input(format!(
            "`{tag}` is the tag of one version, which nobody expects to move; nothing was moved\n\
             hint: `--force` overwrites it, and says what it named"
        )));
    }
    Ok(Task::Version { version, tags })
}

/// Leaves out the registries that are named, or whose push targets are.
fn leave_out(settings: &mut Vec<RegistrySettings>, skip: &[String]) -> Result<()> {
    for name in skip {
        let all: Vec<String> = settings.iter().map(|it| it.name.clone()).collect();
        let count = settings.len();
        settings.retain(|it| !same_name(name, &it.name) && !same_name(name, &it.target));
        if settings.len() == count {
            let all = all.join(", ");
            let problem = format!("`--skip {name}`: no such registry\nhint: they are {all}");
            return Err(bad_input(problem));
        }
    }
    match settings.is_empty() {
        true => Err(bad_input("`--skip` leaves no registry")),
        false => Ok(()),
    }
}

type Wishes<'r> = Vec<(&'r RegistryClient<'r>, Result<Vec<Wish>, String>)>;

/// Each of `tags` is to name what `version` names, on every registry with credentials that holds it.
///
/// # Errors
/// Nothing is to be moved: no registry holds the version, a login is refused, or two hold different images.
async fn of_version<'r>(
    registries: &'r Registries<'r>,
    version: &Tag,
    tags: &[Tag],
) -> Result<Wishes<'r>> {
    let known = registries.iter().filter(|registry| registry.is_signed_in());
    let (mut held, mut wishes): (Vec<(_, Digest)>, Wishes<'r>) = (Vec::new(), Vec::new());
    for (registry, digest) in resolve_tag_at(known, version).await {
        let repository = &registry.settings.repository;
        match digest {
            Ok(Some(digest)) => held.push((registry, digest)),
            Ok(None) => {
                let why =
                    format!("`{repository}` does not hold `{version}`; hint: push it there first");
                wishes.push((registry, Err(why)));
            }
            Err(error @ registry::Error::Rejected { .. }) => {
                return Err(registry.login_refused(error.to_string()));
            }
            Err(error) => {
                let error = sentence(&error.into());
                let why = format!("`{repository}` cannot be asked for `{version}`: {error}");
                wishes.push((registry, Err(why)));
            }
        }
    }
    let digests: BTreeSet<&Digest> = held.iter().map(|(_, digest)| digest).collect();
    if digests.len() > 1 {
        let lines = held.iter();
        let lines = lines.map(|(it, digest)| format!("\n    {} {digest}", it.settings.repository));
        let lines: String = lines.collect();
        bail!("`{version}` is not the same everywhere; nothing was moved:{lines}");
    }
    if held.is_empty() && !wishes.is_empty() {
        let why = wishes
            .iter()
            .filter_map(|(_, wishes)| wishes.as_ref().err());
        let why: Vec<&str> = why.map(String::as_str).collect();
        bail!("nothing was moved: {}", why.join("; "));
    }
    let of_tags = |digest: &Digest| {
        let wish = |tag: &Tag| Wish {
            tag: tag.clone(),
            digest: digest.clone(),
            from: None,
        };
        tags.iter().map(wish).collect()
    };
    wishes.extend(
        held.iter()
            .map(|(registry, digest)| (*registry, Ok(of_tags(digest)))),
    );
    Ok(wishes)
}

/// The wishes of registries that answer.
///
/// # Errors
/// A login is refused, and nothing is to be moved anywhere.
async fn asked(wishes: Wishes<'_>) -> Result<Wishes<'_>> {
    let ask = wishes.into_iter().map(|(registry, wishes)| async move {
        let first = wishes.as_ref().ok().and_then(|it| it.first());
        let Some(tag) = first.map(|it| it.tag.clone()) else {
            return Ok((registry, wishes));
        };
        match resolve_tag_at(std::iter::once(registry), &tag)
            .await
            .remove(0)
            .1
        {
            Ok(_) => Ok((registry, wishes)),
            Err(error @ registry::Error::Rejected { .. }) => {
                Err(registry.login_refused(error.to_string()))
            }
            Err(error) => Ok((registry, Err(sentence(&error.into())))),
        }
    });
    join_all(ask).await.into_iter().collect()
}

/// What is known when an interrupt comes before it is known what to move.
fn not_asked<'r>(registries: &'r Registries<'r>) -> Wishes<'r> {
    let known = registries.iter().filter(|registry| registry.is_signed_in());
    known
        .map(|registry| (registry, Err(INTERRUPTED.to_owned())))
        .collect()
}

/// Each tag that the reported run has set is to name what it named before; with `force` wherever it was moved since.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): the reported run has moved nothing at these registries.
fn back<'r>(
    registries: &'r Registries<'r>,
    report: &ReleaseReport,
    force: bool,
) -> Result<Wishes<'r>> {
    let mut wishes = Wishes::new();
    for registry in registries.iter().filter(|registry| registry.is_signed_in()) {
        let mut own = Vec::new();
        let is_here =
            |it: &&RegistryReport| it.reference.repository == registry.settings.repository;
        for reported in report.registries.iter().filter(is_here) {
            let set = reported
                .before
                .iter()
                .filter(|it| reported.tags.contains(&it.tag));
            own.extend(set.filter_map(|it| {
                // What was made by that run cannot be unmade by moving it.
                let digest = it.digest.clone()?;
                let from = reported.digest.clone().filter(|_| !force);
                Some(Wish {
                    tag: it.tag.clone(),
                    digest,
                    from,
                })
            }));
        }
        if !own.is_empty() {
            wishes.push((registry, Ok(own)));
        }
    }
    match wishes.is_empty() {
        true => Err(bad_input(
            "the reported run has moved no tag that named something before, at none of these registries",
        )),
        false => Ok(wishes),
    }
}
