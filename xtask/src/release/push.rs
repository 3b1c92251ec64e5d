//! A push target: the version to one registry, then the moving tags.
//!
//! Order: the content ([`push_direct`] or [`push_engine`]), the immutable tag, a HEAD that proves it, and, when the
//! [`TagGate`] allows, the moving tags, which cost a manifest each.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Result, bail};
use indicatif::DecimalBytes;
use tokio::sync::OnceCell;

use super::clients::{Clients, RegistryClient};
use super::image_source::ImageSource;
use super::plan::{PushPlan, ReleasePlan, join};
use super::push_direct::Copying;
use super::registry_state::{resolve_tag, resolve_tag_in_time};
use super::run_state::{Published, PushOutcome, RunState};
use super::tag_gate::TagGate;
use super::{moving_tags, push_direct, push_engine, tagging};
use crate::cli::{TagsWhen, Via};
use crate::copy::{PendingImage, Source};
use crate::engine;
use crate::exit::sentence;
use crate::graph::{self, TargetResult};
use crate::oci::{Digest, Manifest};
use crate::registry;
use crate::settings::Require;

/// What the push targets of a run share.
pub struct Pushes<'a> {
    plan: &'a ReleasePlan,
    clients: &'a Clients<'a>,
    state: &'a RunState,
    require: &'a Require,
    tags_when: TagsWhen,
    gate: TagGate,
    /// The image of a direct release: what this run builds, or what the first push starts to read.
    image_source: OnceCell<ImageSource>,
    /// Copies that began while the image was still being made, by the registry's name.
    begun: Mutex<BTreeMap<String, Copying>>,
}

impl<'a> Pushes<'a> {
    pub fn new(
        plan: &'a ReleasePlan,
        clients: &'a Clients<'a>,
        state: &'a RunState,
        require: &'a Require,
        tags_when: TagsWhen,
    ) -> Self {
        Pushes {
            plan,
            clients,
            state,
            require,
            tags_when,
            gate: TagGate::default(),
            image_source: OnceCell::new(),
            begun: Mutex::default(),
        }
    }

    /// Takes the image that `docker-build` makes. If it `lacks_layers` still, they are copied as soon as each is whole;
    /// otherwise its digest is known, and each push asks first whether there is anything to copy.
    pub fn begin(&self, image: PendingImage, lacks_layers: bool, context: &graph::Context<'_>) {
        let source = ImageSource::whole(self.plan, Source::Pending(image));
        for push in self.targets(context).filter(|_| lacks_layers) {
            let registry = self.clients.registries.get(&push.registry);
            let copying = push_direct::start(&source, registry);
            self.begun().insert(push.registry.clone(), copying);
        }
        // Set before any push target begins: they depend on `docker-build`.
        let _ = self.image_source.set(source);
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Copying>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this run pushes, except to registries that refuse it, or have not answered yet.
    fn targets(&self, context: &graph::Context<'_>) -> impl Iterator<Item = &PushPlan> {
        self.plan.pushes.iter().filter(|push| {
            self.is_part_of_run(push, context) && self.state.may_push(&push.registry)
        })
    }

    /// The action of a push target.
    pub async fn target(
        &self,
        push: &PushPlan,
        context: &graph::Context<'_>,
    ) -> Result<TargetResult> {
        let registry = self.clients.registries.get(&push.registry);
        let version = self.version(push, registry, context).await;
        self.gate.record(&push.registry, version.is_ok());
        let (manifest, mut published) = version.map_err(|error| explained(registry, error))?;

        let gate = match self.tags_when {
            _ if push.moving.is_empty() => Ok(String::new()),
            TagsWhen::Any => Ok(String::new()),
            TagsWhen::Require => self.gate(manifest.digest(), context).await,
        };
        let mut kept = None;
        if gate.is_ok() {
            let repository = registry.repository();
            let moved = moving_tags::set(
                &repository,
                &push.moving,
                &self.plan.version,
                &manifest,
                self.plan.tags_by_hand,
                &mut published,
            );
            match moved.await {
                Ok(sentence) => kept = sentence,
                Err(error) => {
                    self.state.publish(&push.registry, published);
                    return Err(error);
                }
            }
        }
        let mut did = match (&published.set[..], published.bytes) {
            ([], _) => "already there, nothing pushed".to_owned(),
            (set, 0) => format!("content already there, tags {} set", join(set)),
            (set, bytes) => format!("{} pushed, tags {} set", DecimalBytes(bytes), join(set)),
        };
        match gate {
            Ok(why) if !why.is_empty() => did += &format!("; {why}"),
            Ok(_) => {}
            Err(reason) => did += &format!("; moving tags held back: {reason}"),
        }
        if let Some(kept) = kept {
            did += &format!("; {kept}");
        }
        context.note(&format!("{} is {}", published.reference, published.digest));
        self.state.publish(&push.registry, published);
        Ok(TargetResult::Done(did))
    }

    /// Brings the content and sets the immutable tag.
    async fn version(
        &self,
        push: &PushPlan,
        registry: &RegistryClient<'_>,
        context: &graph::Context<'_>,
    ) -> Result<(Manifest, Published)> {
        if let Some(refusal) = self.state.refusal(&push.registry).await {
            bail!("{refusal}");
        }
        let transport = &self.plan.transport;
        let outcome = match transport.via {
            Via::Auto | Via::Direct => {
                let start = || {
                    let targets = self.targets(context).map(|push| &*push.registry);
                    ImageSource::start(self.plan, self.clients, targets.collect(), context)
                };
                let source = self.image_source.get_or_try_init(start).await?;
                match source.existing(&push.registry) {
                    Some(manifest) => PushOutcome::already(manifest.clone()),
                    None => {
                        let begun = self.begun().remove(&push.registry);
                        if begun.is_none()
                            && let Some(root) = source.root().await?
                            && resolve_tag(&registry.repository(), &push.immutable).await?
                                == Some(root.digest().clone())
                        {
                            let there = PushOutcome::already(root);
                            let published = published(push, &there, None, false);
                            return Ok((there.manifest, published));
                        }
                        let copying = begun.unwrap_or_else(|| push_direct::start(source, registry));
                        push_direct::finish(copying, source, registry, context).await?
                    }
                }
            }
            Via::Engine => {
                let engine = self.clients.engine().await?;
                push_engine::push(engine, registry, push, transport, context).await?
            }
        };
        // A single image was pushed by the engine under the immutable tag itself.
        let is_tagged =
            transport.via == Via::Engine && push.images.len() == 1 && outcome.pushed.is_some();
        let replaced = OnceLock::new();
        let warn = |digest: &Digest| {
            tagging::warn_of_replacement(context, &push.immutable, digest);
            let _ = replaced.set(digest.clone());
        };
        let repository = registry.repository();
        let is_set = tagging::set(&repository, &push.immutable, &outcome.manifest, warn).await?;
        let replaced = replaced.into_inner().or(outcome.replaced.clone());
        let published = published(push, &outcome, replaced, is_set || is_tagged);
        Ok((outcome.manifest, published))
    }

    /// Waits until `require` is met or cannot be met any more; returns which registries outside of this run helped, or
    /// why not. The version is to name `digest`.
    async fn gate(&self, digest: &Digest, context: &graph::Context<'_>) -> Result<String, String> {
        let registries = &self.clients.registries;
        let (pushes, others): (Vec<_>, Vec<_>) = self
            .plan
            .pushes
            .iter()
            .partition(|push| self.is_part_of_run(push, context));
        let (mut holders, mut lacking) = (Vec::new(), Vec::new());
        if *self.require != Require::Any {
            for push in others {
                let repository = registries.get(&push.registry).repository();
                let name = &*push.registry;
                match resolve_tag_in_time(&repository, &push.immutable).await {
                    Ok(Some(held)) if held == *digest => holders.push(name),
                    Ok(Some(held)) => lacking.push(format!("{name} holds {held}")),
                    Ok(None) => {}
                    Err(error) => lacking.push(sentence(&error.into())),
                }
            }
        }
        let names = registries.names();
        let waiting = self.gate.wait(self.require, &names, pushes.len(), &holders);
        match waiting.await {
            None if holders.is_empty() => Ok(String::new()),
            None => Ok(format!("{} was asked and holds it too", join(&holders))),
            Some(unmet) if lacking.is_empty() => Err(unmet),
            Some(unmet) => Err(format!("{unmet} ({})", lacking.join("; "))),
        }
    }

    /// Whether this run pushes to that registry.
    pub fn is_part_of_run(&self, push: &PushPlan, context: &graph::Context<'_>) -> bool {
        let registry = self.clients.registries.get(&push.registry);
        context.is_scheduled(&push.target) && registry.is_signed_in()
    }
}

/// What the registry holds once it has the version.
fn published(
    push: &PushPlan,
    outcome: &PushOutcome,
    replaced: Option<Digest>,
    was_set: bool,
) -> Published {
    Published {
        replaced,
        reference: push.repository.at(push.immutable.clone()),
        digest: outcome.manifest.digest().clone(),
        tags: vec![push.immutable.clone()],
        set: match was_set {
            true => vec![push.immutable.clone()],
            false => Vec::new(),
        },
        before: Vec::new(),
        bytes: outcome.pushed.unwrap_or(0),
    }
}

/// Adds where the credentials are from, if they were refused after the preflight.
fn explained(registry: &RegistryClient<'_>, error: anyhow::Error) -> anyhow::Error {
    let by_engine = matches!(
        error.downcast_ref(),
        Some(engine::Error::CredentialsRefused { .. })
    );
    let by_registry = matches!(error.downcast_ref(), Some(registry::Error::Rejected { .. }));
    match by_engine || by_registry {
        true => registry.login_refused(sentence(&error)),
        false => error,
    }
}
