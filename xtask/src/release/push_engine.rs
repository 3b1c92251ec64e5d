//! `--via engine`: the engine tags and pushes the image of each platform that the registry does not hold yet.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow};

use super::clients::RegistryClient;
use super::plan::{PushPlan, PushedImage};
use super::registry_state::{Existing, find_existing};
use super::run_state::PushOutcome;
use super::tagging;
use super::transport::Transport;
use crate::credentials::Credentials;
use crate::engine::{self, Engine};
use crate::graph;
use crate::http;
use crate::oci::{Digest, Manifest, Reference, TagOrDigest, index_of};
use crate::registry::Repository;

/// How often a push is tried if it fails in a transient way.
const TRIES: u32 = 3;

/// Pushes the images of `plan` to the registry.
pub async fn push(
    engine: &Engine,
    registry: &RegistryClient<'_>,
    plan: &PushPlan,
    transport: &Transport,
    context: &graph::Context<'_>,
) -> Result<PushOutcome> {
    let push = Push {
        plan,
        transport,
        context,
        engine,
        repository: registry.repository(),
        credentials: registry
            .login
            .as_ref()
            .map_or(&Credentials::Anonymous, |login| &login.credentials),
    };
    let (mut manifests, mut bytes, mut replaced) = (Vec::new(), 0, None);
    for image in &plan.images {
        let (manifest, pushed) = push
            .image(image, bytes, &mut replaced)
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
            index_of(&children.collect::<Vec<_>>())
        }
    };
    Ok(PushOutcome {
        manifest,
        replaced,
        pushed: pushed.then_some(bytes),
    })
}

/// A push target while it runs.
struct Push<'p> {
    plan: &'p PushPlan,
    transport: &'p Transport,
    context: &'p graph::Context<'p>,
    engine: &'p Engine,
    repository: Repository,
    credentials: &'p Credentials,
}

impl Push<'_> {
    /// Pushes the image of one platform unless it is there; returns its manifest, and the bytes uploaded if it was
    /// pushed. `before` bytes were uploaded for other platforms; what the version's tag named goes to `replaced`.
    async fn image(
        &self,
        image: &PushedImage,
        before: u64,
        replaced: &mut Option<Digest>,
    ) -> Result<(Manifest, Option<u64>)> {
        let Some(id) = self.engine.image_id(&image.local).await? else {
            return Err(self.transport.no_such_image(&image.local));
        };
        let ids = BTreeSet::from([id.clone()]);
        match find_existing(&self.repository, &image.tag, &ids).await? {
            Existing::Same(manifest, _) => return Ok((manifest, None)),
            Existing::Other(digest) if image.tag == self.plan.immutable => {
                tagging::warn_of_replacement(self.context, &image.tag, &digest);
                *replaced = Some(digest);
            }
            Existing::Other(_) | Existing::Nothing => {}
        }
        let reference = self.plan.repository.at(image.tag.clone());
        self.engine.tag(&id, &reference).await?;
        let pushed = self.push(&reference, before).await?;
        let at = TagOrDigest::Digest(pushed.digest);
        let manifest = self.repository.get_manifest(&at).await?.ok_or_else(|| {
            anyhow!("the engine pushed `{reference}` as {at}, but the registry does not hold it")
        })?;
        tagging::verify(&self.repository, &image.tag, &manifest).await?;
        Ok((manifest, Some(pushed.bytes)))
    }

    async fn push(&self, reference: &Reference, before: u64) -> Result<engine::Pushed> {
        let progress = |progress: engine::Progress| {
            self.context
                .progress(before + progress.current, before + progress.total);
        };
        let mut policy = http::transient(TRIES - 1, http::FIRST_WAIT, engine::Error::is_transient);
        let policy = |error: &engine::Error, failures| {
            let wait = policy(error, failures)?;
            self.context.warn(&format!("{error}; trying again"));
            Some(wait)
        };
        let push = |_| self.engine.push(reference, self.credentials, &progress);
        Ok(http::retry(policy, push).await?)
    }
}
