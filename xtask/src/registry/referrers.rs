//! What refers to a manifest: by the referrers API or, where there is none, by the tag that stands in for it
//! (distribution specification, "Referrers Tag Schema"); and the tags that cosign names after a digest.

use std::collections::BTreeSet;

use super::auth::Access;
use super::error::Error;
use super::repository::Repository;
use crate::oci::{Content, Descriptor, Digest, Index, Tag};

/// Of one list. Only the first thousand entries are of use.
const MOST_PAGES: usize = 100;

/// What cosign puts behind the digest, for where tags cannot be listed.
const COSIGN: [&str; 4] = ["", ".sig", ".att", ".sbom"];

impl Repository {
    /// The manifests whose subject is `digest`.
    pub async fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
        if let Some(listed) = self.referrers_by_api(digest).await? {
            return Ok(listed);
        }
        let tag: Tag = digest.tag_prefix().parse()?;
        let manifest = self.get_manifest(&tag.into()).await?;
        match manifest.map(|it| it.content()).transpose()? {
            Some(Content::Index(index)) => Ok(index.manifests),
            Some(Content::Image(_) | Content::Artifact(_)) | None => Ok(Vec::new()),
        }
    }

    /// The same by the API, of a manifest that is there; `None` where there is no API, which is asked once.
    pub async fn referrers_by_api(
        &self,
        digest: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let known = self.connection.referrer_support.of(&self.path);
        let mut _alone = None;
        if !known.has_api.initialized() {
            let probe = known.probe.lock().await;
            // Another may have found out meanwhile.
            _alone = Some(probe).filter(|_| !known.has_api.initialized());
        }
        if known.has_api.get() == Some(&false) {
            return Ok(None);
        }
        let url = self.url(format_args!("referrers/{digest}"));
        let scope = self.scope(Access::Pull);
        let end = |_: &Index| None;
        let pages = self.connection.pages(url, &scope, MOST_PAGES, end);
        match pages.await {
            Ok(pages) => {
                _ = known.has_api.set(true);
                let listed = pages.into_iter().flat_map(|page| page.manifests);
                Ok(Some(listed.collect()))
            }
            // What registries without the API answer; the specification has only the first.
            Err(error) if matches!(error.status(), Some(400 | 404 | 405 | 501)) => {
                // A 400 may be about this digest alone.
                if error.status() != Some(400) {
                    _ = known.has_api.set(false);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The tags that may be named after `digest`, alone or with a `.` and more. The repository is listed once a run.
    pub async fn tags_of_digest(&self, digest: &Digest) -> Result<Vec<Tag>, Error> {
        let prefix = digest.tag_prefix();
        let known = self.connection.referrer_support.of(&self.path);
        match known
            .digest_tags
            .get_or_try_init(|| self.digest_tags())
            .await?
        {
            Some(tags) => {
                let first: Tag = prefix.parse()?;
                let tags = tags.range(first..);
                let tags = tags.take_while(|tag| tag.as_str().starts_with(&prefix));
                Ok(tags.cloned().collect())
            }
            None => COSIGN
                .iter()
                .map(|kind| Ok(format!("{prefix}{kind}").parse()?))
                .collect(),
        }
    }

    /// Whether tags are named after other digests than this; not known where nobody may list.
    pub async fn has_tags_of_others(&self, digest: &Digest) -> Result<bool, Error> {
        let prefix = digest.tag_prefix();
        let known = self.connection.referrer_support.of(&self.path);
        let tags = known.digest_tags.get_or_try_init(|| self.digest_tags());
        let mut tags = tags.await?.iter().flatten();
        Ok(tags.any(|it| !it.as_str().starts_with(&prefix)))
    }

    async fn digest_tags(&self) -> Result<Option<BTreeSet<Tag>>, Error> {
        match self.tags().await {
            Ok(tags) => Ok(Some(tags.into_iter().filter(Tag::is_of_digest).collect())),
            Err(error) if error.is_transient() => Err(error),
            Err(_) => Ok(None),
        }
    }
}
