//! What is in place according to listings that give digests by the page. Only that is learned from them: whatever seems
//! to differ is looked at tag by tag, and what is written comes from the tag itself.

use super::error::CopyError;
use super::job::{Before, Destination, Job, Policy, Source};
use super::source::SourceImage;
use crate::oci::{Digest, TagOrDigest};

/// Lets the registries of these jobs tell by their listings, where they have such, what tags name.
///
/// A listing may be late: then an image is taken for equal that is not, until a later run.
pub fn use_listings(jobs: &[Job]) {
    for job in jobs {
        if let Source::Registry {
            repository,
            at: TagOrDigest::Tag(tag),
        } = &job.source
        {
            repository.expect([tag.clone()]);
        }
        for destination in &job.destinations {
            let tags = destination.tags.iter().cloned();
            destination.at_registry().expect(tags);
        }
    }
}

/// The digest that all tags of the destination and the source's have, if listings tell of one side at least. A side
/// that has none is asked for its tags; `before` is what they name at the destination, if that is known.
pub(super) async fn in_place(
    image: &SourceImage,
    destination: &Destination,
    policy: &Policy,
    before: Option<&Before>,
) -> Result<Option<Digest>, CopyError> {
    if policy.is_filter() || destination.tags.is_empty() || destination.has_no_tags_yet() {
        return Ok(None);
    }
    let there = destination.at_registry();
    let (listed, is_listed_there) = tokio::join!(image.listed(), there.is_listed());
    let root = match listed {
        Some(root) => root,
        None if is_listed_there => image.digest().await?.clone(),
        None => return Ok(None),
    };
    for (number, tag) in destination.tags.iter().enumerate() {
        let named = match (is_listed_there, before) {
            (true, _) => there.listed_digest(tag).await,
            (false, Some(before)) => before.clone()?[number].clone(),
            (false, None) => destination.digest_of(tag.clone()).await?,
        };
        if named.as_ref() != Some(&root) {
            return Ok(None);
        }
    }
    Ok(Some(root))
}
