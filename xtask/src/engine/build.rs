//! Builds one image for one platform with the engine's BuildKit.
//!
//! A build has succeeded when the engine names the image, and not before. The plan says everything about it: the same
//! plan over the same files gives the same image as long as the engine's build cache has its steps.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use bollard::models::BuildInfoAux;
use bollard::query_parameters::{BuildImageOptionsBuilder, BuilderVersion};
use bollard::{body_full, body_try_stream};
use bytes::Bytes;

use super::answer::{StreamError, next};
use super::build_log::BuildLog;
use super::connect::HEAD;
use super::session::Session;
use super::{Engine, Error, ImageId, context};

/// A build of which the engine says nothing for this long is stuck. One quiet step may take a while.
const IDLE: Duration = Duration::from_secs(1800);

/// Everything that decides what is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildPlan {
    /// The directory that is sent to the engine, less what its `.dockerignore` excludes.
    pub context: PathBuf,
    /// Path of the Dockerfile in the context, with slashes.
    pub dockerfile: String,
    /// The image's name in the engine: `app:1.2.3-arm64`.
    pub tag: String,
    /// `linux/arm64`
    pub platform: String,
    pub args: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// The time of every file sent, and the build argument `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub timestamp: u64,
}

impl Engine {
    /// Builds `plan` and tags the image. Every line of the build's output goes to `log`.
    ///
    /// Base images that the engine has are not looked for again.
    ///
    /// # Errors
    /// [`Error::Context`] for files that cannot be read, [`Error::Build`] for a build that fails, with its last lines.
    pub async fn build(
        &self,
        plan: &BuildPlan,
        log: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<ImageId, Error> {
        let (archive, mut faults) = context::stream(
            plan.context.clone(),
            plan.dockerfile.clone(),
            plan.timestamp,
        );
        let mut args: HashMap<_, _> = plan.args.clone().into_iter().collect();
        // BuildKit 0.11 and later (engine 23) take the image's own dates from it; earlier ones ignore it.
        args.insert("SOURCE_DATE_EPOCH".to_owned(), plan.timestamp.to_string());
        let name = name();
        let mut options = BuildImageOptionsBuilder::default()
            .dockerfile(&plan.dockerfile)
            .t(&plan.tag)
            .platform(&plan.platform)
            .buildargs(&args)
            .labels(&plan.labels.clone().into_iter().collect::<HashMap<_, _>>())
            // Not the classic builder: that of engine 20.10 cannot build for a foreign platform.
            .version(BuilderVersion::BuilderBuildKit)
            .session(&name);
        let session = tokio::time::timeout(HEAD, Session::open(&self.host, &name)).await;
        let (body, _session) = match session.ok().flatten() {
            Some(session) => {
                let (context, tasks) = session.serve(archive);
                options = options.remote(&context);
                (body_full(Bytes::new()), Some(tasks))
            }
            None => (body_try_stream(archive), None),
        };
        let docker = self.patient();
        let mut answer = pin!(docker.build_image(options.build(), None, Some(body)));

        let mut trace = BuildLog::new(log);
        let mut image = None;
        let broken = loop {
            match next(&mut answer, IDLE).await {
                Ok(None) => break None,
                Ok(Some(info)) => match info.aux {
                    Some(BuildInfoAux::BuildKit(status)) => trace.observe(status),
                    Some(BuildInfoAux::Default(id)) => image = id.id.or(image),
                    None => {}
                },
                Err(broken) => break Some(broken),
            }
        };
        match (broken, image) {
            (None, Some(id)) => Ok(ImageId(id)),
            (broken, _) => {
                if let Ok(fault) = faults.try_recv() {
                    return Err(fault);
                }
                let reason = match broken {
                    None => "the engine ended without naming an image".to_owned(),
                    Some(StreamError::Reported(_, reason)) => reason,
                    Some(broken) => {
                        return Err(Error::broken(format!("build of `{}`", plan.tag), broken));
                    }
                };
                let log = trace.into_tail();
                Err(Error::Build { reason, log })
            }
        }
    }
}

/// A name that no other build on the engine has: the engine finds the client's end of the session by it.
fn name() -> String {
    // The hasher's keys are random.
    format!("xtask-{:016x}", RandomState::new().build_hasher().finish())
}
