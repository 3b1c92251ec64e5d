//! Builds one image for one platform with the engine's BuildKit.
//!
//! A build has succeeded when the engine names the image, and not before. The same plan over the same files gives the
//! same image as long as the engine's build cache has its steps.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use bollard::models::{BuildInfoAux, Network};
use bollard::query_parameters::{BuildImageOptionsBuilder, BuilderVersion, ListNetworksOptions};
use bollard::{body_full, body_try_stream};
use bytes::Bytes;

use super::build_log::BuildLog;
use super::build_login::{BuildLogins, for_bollard};
use super::connect::HEAD_TIMEOUT;
use super::session::Session;
use super::stream::{StreamError, next};
use super::{Engine, Error, context};
use crate::oci::{Digest, Platform};

/// A build that reports nothing for this long is stuck. A single step may be quiet for a while.
const IDLE: Duration = Duration::from_secs(1800);

/// Everything that decides what is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildPlan {
    /// The directory that is sent to the engine, without what its `.dockerignore` excludes.
    pub context: PathBuf,
    /// Path of the Dockerfile in the context, with slashes.
    pub dockerfile: String,
    /// The image's name in the engine: `app:1.2.3-arm64`.
    pub tag: String,
    pub platform: Platform,
    pub args: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// The build argument `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub timestamp: u64,
}

impl Engine {
    /// Builds `plan` and tags the image; base images are pulled with `logins`. Every line of the build's output goes to
    /// `log`.
    ///
    /// Base images that the engine has are not pulled again.
    ///
    /// # Errors
    /// [`Error::Context`] if a file cannot be read, [`Error::Build`] if the build fails, with its last lines.
    pub async fn build(
        &self,
        plan: &BuildPlan,
        logins: &BuildLogins,
        log: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Digest, Error> {
        let (archive, mut context_error) =
            context::stream(plan.context.clone(), plan.dockerfile.clone());
        let mut args: HashMap<_, _> = plan.args.clone().into_iter().collect();
        // BuildKit 0.11 and later (engine 23) take the image's own dates from it; earlier ones ignore it.
        args.insert("SOURCE_DATE_EPOCH".to_owned(), plan.timestamp.to_string());
        let name = name();
        let mut options = BuildImageOptionsBuilder::default()
            .dockerfile(&plan.dockerfile)
            .t(&plan.tag)
            .platform(&plan.platform.to_string())
            .buildargs(&args)
            .labels(&plan.labels.clone().into_iter().collect::<HashMap<_, _>>())
            // Not the classic builder: that of engine 20.10 cannot build for a foreign platform.
            .version(BuilderVersion::BuilderBuildKit)
            .session(&name);
        if self.has_no_bridge().await {
            options = options.networkmode("host");
        }
        let session = tokio::time::timeout(HEAD_TIMEOUT, Session::open(&self.host, &name)).await;
        let (body, _session) = match session.ok().flatten() {
            Some(session) => {
                let (context, tasks) = session.serve(archive, logins.clone());
                options = options.remote(&context);
                (body_full(Bytes::new()), Some(tasks))
            }
            None => (body_try_stream(archive), None),
        };
        let docker = self.with_long_timeout();
        let mut stream = pin!(docker.build_image(options.build(), for_bollard(logins), Some(body)));

        let mut build_log = BuildLog::new(log);
        let mut image = None;
        let failure = loop {
            match next(&mut stream, IDLE).await {
                Ok(None) => break None,
                Ok(Some(info)) => match info.aux {
                    Some(BuildInfoAux::BuildKit(status)) => build_log.observe(status),
                    Some(BuildInfoAux::Default(id)) => image = id.id.map(|id| id.parse()).or(image),
                    None => {}
                },
                Err(error) => break Some(error),
            }
        };
        if let (None, Some(Ok(id))) = (&failure, image) {
            return Ok(id);
        }
        if let Ok(error) = context_error.try_recv() {
            return Err(error);
        }
        let reason = match failure {
            None => "the engine ended without naming an image".to_owned(),
            Some(StreamError::Reported(_, reason)) => reason,
            Some(error) => {
                let what = format!("build of `{}`", plan.tag);
                return Err(Error::from_stream(what, error));
            }
        };
        let log = build_log.into_tail();
        Err(Error::Build { reason, log })
    }

    /// Whether the steps that run something have no network of their own to run in, as in an engine inside a container
    /// that may not make one. They would fail, also those that need no network.
    async fn has_no_bridge(&self) -> bool {
        let networks = self.docker.list_networks(None::<ListNetworksOptions>).await;
        let is_bridge = |network: &Network| network.driver.as_deref() == Some("bridge");
        // An engine that does not tell has one.
        networks.is_ok_and(|networks| !networks.iter().any(is_bridge))
    }
}

/// A session name that is unique on the engine.
fn name() -> String {
    // The hasher's keys are random.
    format!("xtask-{:016x}", RandomState::new().build_hasher().finish())
}
