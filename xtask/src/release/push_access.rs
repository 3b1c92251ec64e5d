//! May these credentials push? A registry is asked by opening an upload, which it allows only to those who may push,
//! and cancelling it.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, join_all};

use super::clients::Registries;
use super::registry_state::PATIENCE;
use crate::credentials::{Credentials, Login};
use crate::registry;
use crate::settings::RegistrySettings;

/// How long the run waits for the answers of registries. One that needs longer has [`PATIENCE`] in all, in which the
/// others go on.
pub const GRACE: Duration = Duration::from_secs(5);

/// A registry that was asked.
pub struct Question<'s> {
    pub registry: &'s RegistrySettings,
    answer: Shared<BoxFuture<'static, Option<Answer>>>,
}

/// The answer of one registry.
#[derive(Clone)]
pub struct Answer {
    /// Its name.
    pub registry: String,
    host: String,
    login: Login,
    /// `None` is no answer.
    result: Option<Result<(), registry::Error>>,
}

/// Asks those of `registries` that are signed in to and `wanted`, all at once.
pub async fn ask(
    registries: &Registries<'_>,
    wanted: impl Fn(&RegistrySettings) -> bool,
) -> Vec<Answer> {
    answered(&questions(registries, wanted)).await
}

/// The same, without waiting for the answers.
pub fn questions<'s>(
    registries: &Registries<'s>,
    wanted: impl Fn(&RegistrySettings) -> bool,
) -> Vec<Question<'s>> {
    let signed_in = registries
        .iter()
        .filter_map(|it| Some((it, it.login.as_ref().ok()?)));
    let wanted = signed_in.filter(|(it, _)| wanted(it.settings));
    let questions = wanted.map(|(it, login)| {
        let (registry, repository, login) = (it.settings, it.repository(), login.clone());
        let (name, host) = (registry.name.clone(), registry.repository.host().to_owned());
        // A task, as it goes on while nobody waits for it.
        let answer = tokio::spawn(async move {
            let asked = tokio::time::timeout(PATIENCE, repository.check_push_access());
            Answer {
                registry: name,
                host,
                login,
                result: asked.await.ok(),
            }
        });
        let answer = answer.map(Result::ok).boxed().shared();
        Question { registry, answer }
    });
    questions.collect()
}

/// Waits for the answers.
pub async fn answered(questions: &[Question<'_>]) -> Vec<Answer> {
    let answers = join_all(questions.iter().map(|it| it.answer.clone())).await;
    answers.into_iter().flatten().collect()
}

impl Question<'_> {
    /// The answer, if it is there.
    pub fn known(&self) -> Option<Answer> {
        self.answer.clone().now_or_never().flatten()
    }

    /// Waits for [`Answer::refusal`].
    pub fn refusal(&self) -> impl Future<Output = Option<String>> + Send + use<> {
        let answer = self.answer.clone();
        async { answer.await?.refusal() }
    }
}

impl Answer {
    /// The problem in a sentence that says what to look at.
    pub fn problem(&self) -> Option<String> {
        let host = &self.host;
        let Some(result) = &self.result else {
            let seconds = PATIENCE.as_secs();
            return Some(format!("`{host}` has not answered within {seconds} s"));
        };
        let error = result.as_ref().err()?;
        Some(match error {
            registry::Error::Rejected { response, .. } => format!(
                "`{host}` refuses the credentials: {response}\nhint: check {}",
                self.login.origin
            ),
            registry::Error::Denied {
                namespace,
                response,
                ..
            } => {
                let user = match &self.login.credentials {
                    Credentials::Basic { username, .. } => format!("`{username}`"),
                    _ => self.login.origin.clone(),
                };
                format!(
                    "`{host}` denies the push: {response}\nhint: does `{namespace}` exist there, and may {user} push to it?"
                )
            }
            _ => format!("`{host}`: {error}"),
        })
    }

    pub fn is_rejected(&self) -> bool {
        matches!(self.result, Some(Err(registry::Error::Rejected { .. })))
    }

    /// Why the registry need not be asked again by its target, if it is so.
    pub fn refusal(&self) -> Option<String> {
        use registry::Error::{Denied, Rejected};
        match self.result {
            // The time of the target is not that of the question.
            None => Some(format!("{}, counted from the preflight", self.problem()?)),
            Some(Err(Denied { .. } | Rejected { .. })) => self.problem(),
            Some(_) => None,
        }
    }
}
