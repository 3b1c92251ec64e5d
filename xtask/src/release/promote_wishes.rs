//! What `promote` wants each registry's tags to name. All are asked at once before anything is moved; a registry that
//! is late holds up the others for [`GRACE`], and has [`PATIENCE`](super::registry_state::PATIENCE) in all.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all, ready};

use super::clients::{Registries, RegistryClient};
use super::move_tags::{INTERRUPTED, Wish};
use super::push_access::GRACE;
use super::registry_state::resolve_tag_in_time;
use crate::exit::bad_input;
use crate::oci::{Digest, Tag};
use crate::registry::Error;
use crate::report::{RegistryReport, ReleaseReport};

/// What is to be moved at a registry, or why nothing is; known at once unless the registry is late.
type Wishes<'r> = Vec<(
    &'r RegistryClient<'r>,
    BoxFuture<'r, Result<Vec<Wish>, String>>,
)>;

/// A registry that was asked what a tag names.
struct Question<'r> {
    registry: &'r RegistryClient<'r>,
    answer: Shared<BoxFuture<'r, Result<Option<Digest>, Error>>>,
}

impl<'r> Question<'r> {
    fn new(registry: &'r RegistryClient<'r>, tag: &Tag) -> Question<'r> {
        let (repository, tag) = (registry.repository(), tag.clone());
        let answer = async move { resolve_tag_in_time(&repository, &tag).await };
        Question {
            registry,
            answer: answer.boxed().shared(),
        }
    }

    /// The answer, if it is there.
    fn known(&self) -> Option<Result<Option<Digest>, Error>> {
        self.answer.clone().now_or_never()
    }
}

/// Waits for the answers as long as all may be held up, and names those that are late.
///
/// # Errors
/// A login is refused, and nothing is to be moved anywhere.
async fn wait(questions: &[Question<'_>], warn: &dyn Fn(&str)) -> Result<()> {
    let answers = || join_all(questions.iter().map(|it| it.answer.clone()));
    let is_late = |it: &&Question<'_>| it.known().is_none();
    if tokio::time::timeout(GRACE, answers()).await.is_err() {
        for late in questions.iter().filter(is_late) {
            let (host, seconds) = (late.registry.settings.repository.host(), GRACE.as_secs());
            warn(&format!(
                "`{host}` has not answered within {seconds} s: the others go on"
            ));
        }
        if questions.iter().all(|it| is_late(&it)) {
            // There is nothing to go on with.
            answers().await;
        }
    }
    for question in questions {
        if let Some(Err(error @ Error::Rejected { .. })) = question.known() {
            return Err(question.registry.login_refused(error.to_string()));
        }
    }
    Ok(())
}

/// Each of `tags` is to name what `version` names, on every registry with credentials that holds it.
///
/// # Errors
/// Nothing is to be moved: no registry holds the version, a login is refused, or two hold different images.
pub async fn of_version<'r>(
    registries: &'r Registries<'r>,
    version: &Tag,
    tags: &[Tag],
    warn: &dyn Fn(&str),
) -> Result<Wishes<'r>> {
    let known = registries.iter().filter(|registry| registry.is_signed_in());
    let questions: Vec<_> = known
        .map(|registry| Question::new(registry, version))
        .collect();
    wait(&questions, warn).await?;
    let held = |question: &Question<'r>| match question.known() {
        Some(Ok(Some(digest))) => Some((question.registry, digest)),
        _ => None,
    };
    if !questions.iter().any(|it| held(it).is_some()) {
        join_all(questions.iter().map(|it| it.answer.clone())).await;
    }
    let held: Vec<_> = questions.iter().filter_map(held).collect();
    let digests: BTreeSet<&Digest> = held.iter().map(|(_, digest)| digest).collect();
    if digests.len() > 1 {
        let lines = held.iter();
        let lines = lines.map(|(it, digest)| format!("\n    {} {digest}", it.settings.repository));
        let lines: String = lines.collect();
        bail!("`{version}` is not the same everywhere; nothing was moved:{lines}");
    }
    let digest = digests.first().map(|&it| it.clone());
    let (mut wishes, mut failures) = (Wishes::new(), Vec::new());
    for question in questions {
        let registry = question.registry;
        let repository = &registry.settings.repository;
        let (tags, version, digest) = (tags.to_vec(), version.clone(), digest.clone());
        let wish = move |answer| match answer {
            Ok(Some(held)) if digest.as_ref().is_none_or(|it| *it == held) => {
                let wish = |tag: Tag| Wish {
                    tag,
                    digest: held.clone(),
                    from: None,
                };
                Ok(tags.into_iter().map(wish).collect())
            }
            Ok(Some(held)) => Err(format!(
                "`{repository}` holds another image as `{version}`: {held}"
            )),
            Ok(None) => Err(format!(
                "`{repository}` does not hold `{version}`; hint: push it there first"
            )),
            Err(error) => {
                let error = registry.explained(&Error::into(error));
                Err(format!(
                    "`{repository}` cannot be asked for `{version}`: {error}"
                ))
            }
        };
        let own: BoxFuture<'r, _> = match question.known() {
            Some(answer) => {
                let wishes = wish(answer);
                failures.extend(wishes.as_ref().err().cloned());
                ready(wishes).boxed()
            }
            None => question.answer.map(wish).boxed(),
        };
        wishes.push((question.registry, own));
    }
    match !wishes.is_empty() && failures.len() == wishes.len() {
        true => bail!("nothing was moved: {}", failures.join("; ")),
        false => Ok(wishes),
    }
}

/// What is known when an interrupt comes before it is known what to move.
pub fn not_asked<'r>(registries: &'r Registries<'r>) -> Wishes<'r> {
    let known = registries.iter().filter(|registry| registry.is_signed_in());
    known
        .map(|registry| (registry, ready(Err(INTERRUPTED.to_owned())).boxed()))
        .collect()
}

/// Each tag that the reported run has set is to name what it named before; with `force` wherever it was moved since.
///
/// # Errors
/// A login is refused, and nothing is to be moved anywhere; or, as [`BadInput`](crate::exit::BadInput), the reported
/// run has moved nothing at these registries.
pub async fn back<'r>(
    registries: &'r Registries<'r>,
    report: &ReleaseReport,
    force: bool,
    warn: &dyn Fn(&str),
) -> Result<Wishes<'r>> {
    let (mut questions, mut all) = (Vec::new(), Vec::new());
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
        if let Some(first) = own.first() {
            questions.push(Question::new(registry, &first.tag));
            all.push(own);
        }
    }
    if all.is_empty() {
        return Err(bad_input(
            "the reported run has moved no tag that named something before, at none of these registries",
        ));
    }
    wait(&questions, warn).await?;
    let wishes = questions.into_iter().zip(all).map(|(question, own)| {
        let registry = question.registry;
        let answer = question.answer.map(|answer| match answer {
            Ok(_) => Ok(own),
            Err(error) => Err(registry.explained(&error.into())),
        });
        (registry, answer.boxed())
    });
    Ok(wishes.collect())
}
