//! Moving tags of one registry, by manifest only: what each names now, what it is to name, and how that ended.

use anyhow::{Result, anyhow, bail};

use super::clients::RegistryClient;
use super::registry_state::resolve_tag_in_time;
use super::tagging;
use crate::oci::{Digest, Tag, TagOrDigest};
use crate::registry::{self, Repository};

/// Why nothing is known of what had not ended.
pub const INTERRUPTED: &str = "interrupted";

/// A tag and what it is to name.
pub struct Wish {
    pub tag: Tag,
    pub digest: Digest,
    /// It is moved only from here.
    pub from: Option<Digest>,
}

/// How one wish ended.
pub struct Moved {
    pub tag: Tag,
    /// What it named before, if that is known.
    pub before: Option<Digest>,
    pub digest: Digest,
    /// Whether it had to be moved; in a dry run, whether it would be.
    pub result: Result<bool, String>,
}

/// Fulfils each wish, whatever becomes of the others, unless the registry cannot be reached any more. A dry run only
/// looks. When `cancel` completes, those that are left have failed.
pub async fn fulfil(
    registry: &RegistryClient<'_>,
    wishes: Vec<Wish>,
    is_dry: bool,
    cancel: impl Future<Output = ()> + Clone,
) -> Vec<Moved> {
    let repository = &registry.repository();
    let mut all = Vec::new();
    let mut unreachable: Option<registry::Error> = None;
    for wish in wishes {
        let mut before = None;
        let result = match unreachable.clone() {
            Some(error) => Err(error.into()),
            None => tokio::select! {
                biased;
                () = cancel.clone() => Err(anyhow!(INTERRUPTED)),
                result = one(repository, &wish, is_dry, &mut before) => result,
            },
        };
        let error = result.as_ref().err().and_then(|it| it.downcast_ref());
        unreachable = error
            .filter(|it| registry::Error::is_unreachable(it))
            .cloned();
        all.push(Moved {
            tag: wish.tag,
            before,
            digest: wish.digest,
            result: result.map_err(|error| registry.explained(&error)),
        });
    }
    all
}

async fn one(
    repository: &Repository,
    wish: &Wish,
    is_dry: bool,
    before: &mut Option<Digest>,
) -> Result<bool> {
    *before = resolve_tag_in_time(repository, &wish.tag).await?;
    if before.as_ref() == Some(&wish.digest) {
        return Ok(false);
    }
    if wish.from.is_some() && *before != wish.from {
        bail!(
            "it names something else than the reported run has set; hint: `--force` puts the old image back nevertheless"
        );
    }
    let at = TagOrDigest::Digest(wish.digest.clone());
    let manifest = repository.get_manifest(&at).await?;
    let manifest = manifest.ok_or_else(|| anyhow!("{} is not there any more", wish.digest))?;
    if !is_dry {
        tagging::put(repository, &wish.tag, &manifest).await?;
    }
    Ok(true)
}
