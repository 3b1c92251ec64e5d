//! The tag at a destination that stands in for the referrers API, where there is none.

use std::collections::HashSet;

use super::error::CopyError;
use super::job::Destination;
use super::referrers::Referrer;
use crate::oci::{Content, Digest, Manifest, Tag, extended, index_of};
use crate::registry::Error;

/// How often the list is written until what was added is found in it: another program that merges at the same time
/// may have put its own list over it.
const ROUNDS: usize = 4;

/// Whether the list was written.
pub(super) enum Extended {
    No,
    Yes,
    /// It was left as it is, for this reason.
    Left(String),
}

/// Sees to it that the referrers are found from `subject`: where the registry has no API, or one that does not list
/// them, by the tag that stands in for it (distribution specification, "Pushing Manifests with Subject").
pub(super) async fn extend(
    destination: &Destination,
    subject: &Digest,
    copied: &[(&Digest, &Referrer)],
) -> Result<Extended, CopyError> {
    let (host, repository) = (&destination.host, destination.at_registry());
    let by_api = match host.request(repository.referrers_by_api(subject)).await {
        // A page for everything that the server does not know: there is no API.
        Err(Error::Protocol { .. }) => None,
        by_api => by_api?,
    };
    let by_api: HashSet<Digest> = by_api.into_iter().flatten().map(|it| it.digest).collect();
    if copied.iter().all(|(digest, _)| by_api.contains(digest)) {
        return Ok(Extended::No);
    }
    // One at a time: two copies that merge at once would lose entries.
    let way = host.blob(subject).way_to(destination.repository.path());
    let _alone = way.lock().await;
    let tag: Tag = subject.tag_prefix().parse().map_err(Error::from)?;
    let at = tag.clone().into();
    let mut extended_so_far = Extended::No;
    for _ in 0..ROUNDS {
        let mut listed = by_api.clone();
        let index = host.request(repository.get_manifest(&at)).await?;
        // GitLab takes such a tag for the digest, whatever was put there (oras-project/oras-go#1396).
        let is_itself = index.as_ref().is_some_and(|it| it.digest() == subject);
        match index.as_ref().map(Manifest::content).transpose() {
            Ok(Some(Content::Index(index))) if !is_itself => {
                listed.extend(index.manifests.into_iter().map(|it| it.digest));
            }
            Ok(None) => {}
            Ok(Some(_)) | Err(_) => {
                return Ok(Extended::Left(format!(
                    "the destination's tag `{tag}` names something else than a list of referrers; it is left"
                )));
            }
        }
        let mut new = Vec::new();
        for (digest, referrer) in copied {
            if !listed.contains(*digest) {
                new.extend(referrer.about().await?);
            }
        }
        if new.is_empty() {
            return Ok(extended_so_far);
        }
        let index = match &index {
            Some(index) => extended(index, &new).map_err(Error::from)?,
            None => index_of(&new),
        };
        host.request(repository.put_manifest(&at, &index)).await?;
        extended_so_far = Extended::Yes;
    }
    Ok(Extended::Left(format!(
        "the destination's list of referrers `{tag}` does not keep what is added: somebody else writes it too"
    )))
}
