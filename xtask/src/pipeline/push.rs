//! Publishing to one registry through the engine: `tag` and `push`, then manifests only.
//!
//! Order: the platforms, the immutable tag, a HEAD that proves it, the moving tags. What the registry holds already is
//! not pushed again.

use anyhow::{Context as _, Result, anyhow, bail};
use indicatif::DecimalBytes;
use serde::Serialize;

use super::plan::{PushPlan, PushedImage};
use super::world::World;
use crate::engine::{self, Engine, Image};
use crate::exit::{bad_input, sentence};
use crate::graph::{self, Ended};
use crate::net;
use crate::registry::{self, Content, Digest, Manifest, Repository, Tag, TagOrDigest, index_of};
use crate::settings::Login;

/// How often a push is tried; the failures between must be transient.
const TRIES: u32 = 3;

/// What a registry holds after its push target.
#[derive(Clone, Debug, Serialize)]
pub struct Published {
    pub reference: String,
    pub digest: String,
    pub tags: Vec<String>,
    /// The tags that had to be set; the others were right already.
    pub set: Vec<String>,
    /// What the engine uploaded.
    pub bytes: u64,
}

/// The action of a push target.
pub async fn target(
    world: &World<'_>,
    plan: &PushPlan,
    context: &graph::Context<'_>,
) -> Result<Ended> {
    if let Some(refusal) = world.refusals().get(&plan.registry) {
        bail!("{refusal}");
    }
    let published = publish(world, plan, context)
        .await
        .map_err(|error| explained(world, plan, error))?;
    let what = match &published.set[..] {
        [] => "already there, nothing pushed".to_owned(),
        set => format!(
            "{} pushed, tags {}",
            DecimalBytes(published.bytes),
            set.join(", ")
        ),
    };
    context.note(&format!("{} is {}", published.reference, published.digest));
    world.published().insert(plan.registry.clone(), published);
    Ok(Ended::Done(what))
}

/// Names the variables to look at, when the credentials were refused after all.
fn explained(world: &World<'_>, plan: &PushPlan, error: anyhow::Error) -> anyhow::Error {
    let by_engine = matches!(
        error.downcast_ref(),
        Some(engine::Error::CredentialsRefused { .. })
    );
    let by_registry = matches!(error.downcast_ref(), Some(registry::Error::Rejected { .. }));
    match &world.registry(&plan.registry).login {
        Login::Ready { variables, .. } if by_engine || by_registry => {
            bad_input(format!("{}\nhint: {}", sentence(&error), variables.check()))
        }
        _ => error,
    }
}

/// Makes `plan` true.
async fn publish(
    world: &World<'_>,
    plan: &PushPlan,
    context: &graph::Context<'_>,
) -> Result<Published> {
    let engine = world.engine().await?;
    let repository = world.repository(&plan.registry)?;
    let credentials = match &world.registry(&plan.registry).login {
        Login::Ready {
            username, password, ..
        } => Some(engine::Credentials {
            username: username.clone(),
            password: password.clone(),
        }),
        _ => None,
    };
    let push = Push {
        plan,
        context,
        engine,
        repository,
        credentials,
    };
    let mut manifests = Vec::new();
    let mut bytes = 0;
    for image in &plan.images {
        let (manifest, pushed) = push
            .image(image, bytes)
            .await
            .with_context(|| format!("`{}`", image.platform))?;
        bytes += pushed.unwrap_or(0);
        manifests.push((&image.platform, manifest, pushed.is_some()));
    }
    let mut set = Vec::new();
    let manifest = match &manifests[..] {
        [(_, manifest, pushed)] => {
            if *pushed {
                set.push(plan.immutable.to_string());
            }
            manifest.clone()
        }
        several => {
            let children = several.iter().map(|(platform, manifest, _)| {
                let mut child = manifest.descriptor();
                child.platform = Some((*platform).clone());
                child
            });
            index_of(&children.collect::<Vec<_>>(), None)
        }
    };
    for tag in plan.tags() {
        if push.set(tag, &manifest).await? {
            set.push(tag.to_string());
        }
    }
    Ok(Published {
        reference: format!("{}:{}", plan.repository, plan.immutable),
        digest: manifest.digest().to_string(),
        tags: plan.tags().map(ToString::to_string).collect(),
        set,
        bytes,
    })
}

/// One push target at work.
struct Push<'p> {
    plan: &'p PushPlan,
    context: &'p graph::Context<'p>,
    engine: &'p Engine,
    repository: &'p Repository,
    credentials: Option<engine::Credentials>,
}

impl Push<'_> {
    /// The manifest of one platform's image as the registry holds it, and the bytes uploaded if it had to be pushed;
    /// `before` were uploaded for other platforms.
    async fn image(&self, image: &PushedImage, before: u64) -> Result<(Manifest, Option<u64>)> {
        let Some(local) = self.engine.image(&image.local).await? else {
            bail!(
                "the engine has no image `{}`\nhint: run `cargo xtask docker-build`",
                image.local
            );
        };
        if let Some(manifest) = self.held(&image.tag, &local).await? {
            return Ok((manifest, None));
        }
        let reference = format!("{}:{}", self.plan.repository, image.tag);
        self.engine.tag(&local.id, &reference).await?;
        let pushed = self.push(&reference, before).await?;
        let digest = pushed
            .digest
            .parse()
            .with_context(|| format!("the engine's digest for `{reference}`"))?;
        let manifest = self
            .repository
            .get_manifest(&TagOrDigest::Digest(digest))
            .await?;
        let manifest = manifest.ok_or_else(|| {
            anyhow!(
                "the engine pushed `{reference}` as {}, but the registry does not hold it",
                pushed.digest
            )
        })?;
        self.verify(&image.tag, &manifest).await?;
        Ok((manifest, Some(pushed.bytes)))
    }

    /// The manifest under `tag`, if it is of the image `local`.
    ///
    /// The image's id is the digest of its config, or on engines with containerd's image store that of its manifest.
    async fn held(&self, tag: &Tag, local: &Image) -> Result<Option<Manifest>> {
        let Some(manifest) = self
            .repository
            .get_manifest(&TagOrDigest::Tag(tag.clone()))
            .await?
        else {
            return Ok(None);
        };
        let id = local.id.to_string();
        let is_held = match manifest.content() {
            Ok(Content::Image(image)) => image.config.digest.as_str() == id,
            _ => false,
        };
        if is_held || manifest.digest().as_str() == id {
            return Ok(Some(manifest));
        }
        self.replaces(tag, manifest.digest());
        Ok(None)
    }

    /// Says that the version's own tag names something else until now; the others are there to move.
    fn replaces(&self, tag: &Tag, digest: &Digest) {
        if *tag == self.plan.immutable {
            let text =
                format!("`{tag}` is {digest} there, which is not what was built; it is replaced");
            self.context.warn(&text);
        }
    }

    async fn push(&self, reference: &str, before: u64) -> Result<engine::Pushed> {
        let progress = |progress: engine::Progress| {
            self.context
                .progress(before + progress.current, before + progress.total);
        };
        let mut tries = 0;
        loop {
            tries += 1;
            match self
                .engine
                .push(reference, self.credentials.as_ref(), &progress)
                .await
            {
                Ok(pushed) => return Ok(pushed),
                Err(error) if error.is_transient() && tries < TRIES => {
                    self.context.warn(&format!("{error}; trying again"));
                    tokio::time::sleep(net::backoff(tries)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Lets `tag` name `manifest`, unless it does already; says whether it had to.
    async fn set(&self, tag: &Tag, manifest: &Manifest) -> Result<bool> {
        let at = TagOrDigest::Tag(tag.clone());
        if let Some(head) = self.repository.head_manifest(&at).await? {
            if head.digest == *manifest.digest() {
                return Ok(false);
            }
            self.replaces(tag, &head.digest);
        }
        self.repository
            .put_manifest(&at, manifest)
            .await
            .with_context(|| format!("tag `{tag}`"))?;
        self.verify(tag, manifest).await?;
        Ok(true)
    }

    async fn verify(&self, tag: &Tag, manifest: &Manifest) -> Result<()> {
        let head = self
            .repository
            .head_manifest(&TagOrDigest::Tag(tag.clone()))
            .await?;
        match head {
            Some(head) if head.digest == *manifest.digest() => Ok(()),
            Some(head) => bail!(
                "`{tag}` was pushed as {}, but the registry answers {}",
                manifest.digest(),
                head.digest
            ),
            None => bail!("`{tag}` was pushed, but the registry does not know it"),
        }
    }
}
