//! What refers to an image at its source: OCI referrers, by the API or the tag that stands in for it, and cosign's tags
//! (`sha256-….sig`, `.att`, `.sbom`); and what refers to these in turn.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::error::SourceError;
use super::job::{Job, Policy, Source};
use super::source::SourceImage;
use crate::oci::{Content, Descriptor, Digest, Index, Manifest, Tag, TagOrDigest};
use crate::registry::{Error, Repository};

/// Referrers of one image, with those of the referrers.
const MOST: usize = 1_000;

/// What is known of the referrers of an image and of its children, for all its destinations.
#[derive(Default)]
pub(super) struct KnownReferrers {
    /// With the digest that the image was seen by.
    of_image: OnceCell<(Digest, Referrers)>,
    of_children: OnceCell<Referrers>,
}

impl KnownReferrers {
    pub async fn of_image(&self, image: &SourceImage) -> Result<&(Digest, Referrers), SourceError> {
        let ask = || async {
            let subject = image.seen().await?;
            let referrers = Referrers::of(image, vec![subject.clone()]).await?;
            Ok((subject, referrers))
        };
        self.of_image.get_or_try_init(ask).await
    }

    /// `children` are the images of the index that its policy chooses.
    pub async fn of_children(
        &self,
        image: &SourceImage,
        children: Vec<Digest>,
    ) -> Result<&Referrers, SourceError> {
        let ask = || Referrers::of(image, children);
        self.of_children.get_or_try_init(ask).await
    }
}

/// Something that refers to `subject`.
pub(super) struct Referrer {
    pub subject: Digest,
    pub name: ReferrerName,
    pub image: Arc<SourceImage>,
}

impl Referrer {
    /// How the list of its subject names it, if it is about that.
    pub async fn about(&self) -> Result<Option<Descriptor>, SourceError> {
        let about = self.image.root().await?.as_referrer();
        let about = about.filter(|(subject, _)| *subject == self.subject);
        Ok(about.map(|(_, descriptor)| descriptor))
    }
}

/// How it is found from its subject.
pub(super) enum ReferrerName {
    Listed(Digest),
    /// A tag that begins with the subject's digest.
    Tag(Tag),
}

/// Each subject before what refers to it.
#[derive(Default)]
pub(super) struct Referrers {
    pub found: Vec<Referrer>,
    /// What cannot be found, though nothing passes that is in the way.
    pub problems: Vec<String>,
}

impl Referrers {
    /// What refers to these manifests of `image`'s repository.
    pub async fn of(image: &SourceImage, subjects: Vec<Digest>) -> Result<Self, SourceError> {
        let mut referrers = Referrers::default();
        let Source::Registry { repository, .. } = &image.job.source else {
            return Ok(referrers);
        };
        let mut seen: HashSet<Digest> = subjects.iter().cloned().collect();
        let mut queue = VecDeque::from(subjects);
        while let Some(subject) = queue.pop_front() {
            let found = match referrers.ask(repository, &subject).await {
                Err(SourceError::Registry(error)) if !error.is_transient() => {
                    referrers.problems.push(error.to_string());
                    continue;
                }
                found => found?,
            };
            for (name, digest) in found {
                if referrers.found.len() == MOST {
                    let reason = format!("there are more than {MOST}, a limit of this program");
                    referrers.problems.push(reason);
                    return Ok(referrers);
                }
                let at = match &name {
                    ReferrerName::Listed(digest) => digest.clone().into(),
                    ReferrerName::Tag(tag) => tag.clone().into(),
                };
                referrers.found.push(Referrer {
                    subject: subject.clone(),
                    name,
                    image: beside(image, repository, at),
                });
                if seen.insert(digest.clone()) {
                    queue.push_back(digest);
                }
            }
        }
        Ok(referrers)
    }

    /// What refers to one manifest, each with its digest.
    async fn ask(
        &mut self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Vec<(ReferrerName, Digest)>, SourceError> {
        let mut listed = repository
            .referrers_by_api(subject)
            .await?
            .unwrap_or_default();
        let mut found = Vec::new();
        for tag in repository.tags_of_digest(subject).await? {
            let at = TagOrDigest::from(tag.clone());
            // Also beside the API: what an older client has put is only there.
            if tag.as_str() == subject.tag_prefix() {
                match repository.get_manifest(&at).await? {
                    None => {}
                    Some(manifest) => match manifest.content().map_err(Error::from)? {
                        Content::Index(index) => listed.extend(index.manifests),
                        Content::Image(_) | Content::Artifact(_) => self.problems.push(format!(
                            "the tag `{tag}` names an image where a list of referrers should be"
                        )),
                    },
                }
            } else if let Some(there) = repository.head_manifest(&at).await? {
                found.push((ReferrerName::Tag(tag), there.digest));
            }
        }
        let mut seen = HashSet::new();
        let digests = listed.into_iter().map(|it| it.digest);
        let digests = digests.filter(|it| seen.insert(it.clone()));
        found.extend(digests.map(|it| (ReferrerName::Listed(it.clone()), it)));
        Ok(found)
    }
}

/// The images that an index lists, without attestations.
pub(super) fn images(index: Index) -> Vec<Digest> {
    let images = index.manifests.into_iter();
    let images = images.filter(|it| it.attested().is_none());
    images.map(|it| it.digest).collect()
}

/// The digests of what a manifest consists of.
pub(super) fn parts(manifest: &Manifest) -> Result<HashSet<Digest>, Error> {
    let parts = match manifest.content()? {
        Content::Image(image) => image.layers,
        Content::Index(index) => index.manifests,
        Content::Artifact(artifact) => artifact.blobs,
    };
    Ok(parts.into_iter().map(|it| it.digest).collect())
}

/// Another image of the same repository.
fn beside(image: &SourceImage, repository: &Repository, at: TagOrDigest) -> Arc<SourceImage> {
    image.beside(Job {
        name: format!("{} ({at})", image.job.name),
        source: Source::Registry {
            repository: repository.clone(),
            at,
        },
        policy: Policy::default(),
        destinations: Vec::new(),
    })
}
