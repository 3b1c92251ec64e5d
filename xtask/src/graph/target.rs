//! One target: its name, its edges, its conditions and its action.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::event::{Event, Level, Listener};

/// The result of an action that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetResult {
    /// What it did, in one sentence for the summary.
    Done(String),
    /// Why there was nothing it should do.
    Skipped(String),
}

pub(super) type Action<'a> =
    Box<dyn FnOnce(Context<'a>) -> BoxFuture<'a, anyhow::Result<TargetResult>> + Send + 'a>;

type Condition<'a> = Box<dyn Fn() -> bool + Send + 'a>;

/// A named step of the graph.
pub struct Target<'a> {
    pub(super) name: String,
    pub(super) about: &'static str,
    pub(super) depends_on: Vec<String>,
    /// It stands for what it depends on, and does nothing itself.
    pub(super) is_group: bool,
    pub(super) after: Vec<String>,
    pub(super) requires: Vec<(String, Condition<'a>)>,
    pub(super) only_when: Vec<(String, Condition<'a>)>,
    pub(super) proceed_after_failure: bool,
    pub(super) action: Option<Action<'a>>,
}

impl<'a> Target<'a> {
    pub fn new(name: impl Into<String>, about: &'static str) -> Self {
        Target {
            name: name.into(),
            about,
            depends_on: Vec::new(),
            is_group: false,
            after: Vec::new(),
            requires: Vec::new(),
            only_when: Vec::new(),
            proceed_after_failure: false,
            action: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pulls these targets in and runs after them.
    pub fn depends_on<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.depends_on.extend(names.into_iter().map(Into::into));
        self
    }

    /// Stands for these targets.
    pub fn groups<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.is_group = true;
        self.depends_on(names)
    }

    /// Runs after those of these targets that are scheduled anyway.
    pub fn after<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.after.extend(names.into_iter().map(Into::into));
        self
    }

    /// No target runs unless `condition` holds; `sentence` says what is missing.
    pub fn requires(
        mut self,
        sentence: impl Into<String>,
        condition: impl Fn() -> bool + Send + 'a,
    ) -> Self {
        self.requires.push((sentence.into(), Box::new(condition)));
        self
    }

    /// Skips this target, with `sentence` as the reason, unless `condition` holds when it is ready.
    pub fn only_when(
        mut self,
        sentence: impl Into<String>,
        condition: impl Fn() -> bool + Send + 'a,
    ) -> Self {
        self.only_when.push((sentence.into(), Box::new(condition)));
        self
    }

    /// Lets dependents run although this target failed.
    pub fn proceed_after_failure(mut self) -> Self {
        self.proceed_after_failure = true;
        self
    }

    /// What the target does.
    pub fn does<F>(mut self, action: impl FnOnce(Context<'a>) -> F + Send + 'a) -> Self
    where
        F: Future<Output = anyhow::Result<TargetResult>> + Send + 'a,
    {
        self.action = Some(Box::new(move |context| Box::pin(action(context))));
        self
    }
}

/// What an action needs to know: its target, the listener, and what else is scheduled.
#[derive(Clone)]
pub struct Context<'a> {
    pub(super) target: String,
    pub(super) listener: &'a dyn Listener,
    pub(super) scheduled: Arc<[String]>,
}

impl Context<'_> {
    /// Whether `target` is part of this run.
    pub fn is_scheduled(&self, target: &str) -> bool {
        self.scheduled.iter().any(|it| it == target)
    }

    pub fn detail(&self, text: &str) {
        self.line(Level::Detail, text);
    }

    pub fn note(&self, text: &str) {
        self.line(Level::Note, text);
    }

    pub fn warn(&self, text: &str) {
        self.line(Level::Warning, text);
    }

    /// `current` of `total` bytes; a `total` of 0 is not known yet.
    pub fn progress(&self, current: u64, total: u64) {
        self.listener.on_event(Event::Progress {
            target: &self.target,
            current,
            total,
        });
    }

    fn line(&self, level: Level, text: &str) {
        self.listener.on_event(Event::Line {
            target: &self.target,
            level,
            text,
        });
    }
}
