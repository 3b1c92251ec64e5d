//! The transport through the engine: `tag` and `push` for each platform.
//!
//! What the registry holds already is not pushed again.

use anyhow::{Context as _, Result, anyhow};

use super::image_source::absent;
use super::plan::{PushPlan, PushedImage};
use super::push::{PushOutcome, replaces, verify};
use super::world::World;
use crate::engine::{self, Engine, Image};
use crate::graph;
use crate::http;
use crate::oci::{Content, Manifest, Tag, TagOrDigest, index_of};
use crate::registry::Repository;
use crate::settings::Login;

/// How often a push is tried; the failures between must be transient.
const TRIES: u32 = 3;

/// Brings the images of `plan` to the registry.
pub async fn bring(
    world: &World<'_>,
    plan: &PushPlan,
    context: &graph::Context<'_>,
) -> Result<PushOutcome> {
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
        world,
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
    let pushed = manifests.iter().any(|(_, _, pushed)| *pushed);
    let manifest = match &manifests[..] {
        [(_, manifest, _)] => manifest.clone(),
        several => {
            let children = several.iter().map(|(platform, manifest, _)| {
                let mut child = manifest.descriptor();
                child.platform = Some((*platform).clone());
                child
            });
            index_of(&children.collect::<Vec<_>>(), None)
        }
    };
    Ok(PushOutcome {
        manifest,
        pushed: pushed.then_some(bytes),
    })
}

/// One push target at work.
struct Push<'p> {
    world: &'p World<'p>,
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
            return Err(absent(self.world, &image.local));
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
        verify(self.repository, &image.tag, &manifest).await?;
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
        if *tag == self.plan.immutable {
            replaces(self.context, tag, manifest.digest());
        }
        Ok(None)
    }

    async fn push(&self, reference: &str, before: u64) -> Result<engine::Pushed> {
        let progress = |progress: engine::Progress| {
            self.context
                .progress(before + progress.current, before + progress.total);
        };
        let mut policy = http::transient(TRIES - 1, engine::Error::is_transient);
        let policy = |error: &engine::Error, failures| {
            let wait = policy(error, failures)?;
            self.context.warn(&format!("{error}; trying again"));
            Some(wait)
        };
        let credentials = self.credentials.as_ref();
        let push = |_| self.engine.push(reference, credentials, &progress);
        Ok(http::retry(policy, push).await?)
    }
}
