//! What a Dockerfile asks for on one platform, as plain data.

use std::collections::BTreeMap;

use crate::oci::{Platform, Reference};

/// The stages that the last one needs, in order; the last is the image.
#[derive(Debug, PartialEq, Eq)]
pub struct Recipe {
    pub stages: Vec<Stage>,
}

impl Recipe {
    /// The images that it needs, each with whether files are copied out of it.
    pub fn images(&self) -> Vec<(&Reference, &Platform, bool)> {
        let mut copied = vec![false; self.stages.len()];
        let mut images = Vec::new();
        // A stage needs only earlier ones.
        for (position, stage) in self.stages.iter().enumerate().rev() {
            match &stage.base {
                Base::Scratch => {}
                Base::Stage(earlier) => copied[*earlier] |= copied[position],
                Base::Image {
                    reference,
                    platform,
                } => images.push((reference, platform, copied[position])),
            }
            for step in &stage.steps {
                let Action::Copy(copy) = &step.action else {
                    continue;
                };
                match &copy.from {
                    Origin::Context => {}
                    Origin::Stage(earlier) => copied[*earlier] = true,
                    Origin::Image {
                        reference,
                        platform,
                    } => images.push((reference, platform, true)),
                }
            }
        }
        images.reverse();
        images
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct Stage {
    pub base: Base,
    pub steps: Vec<Step>,
}

/// What a stage starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a recipe has few of them")]
pub enum Base {
    Scratch,
    /// An earlier stage, by its position in [`Recipe::stages`].
    Stage(usize),
    Image {
        reference: Reference,
        platform: Platform,
    },
}

/// One instruction.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// In the Dockerfile, from 1.
    pub line: usize,
    /// As the image's history shows it: BuildKit's text with the variables expanded, without its comment.
    pub text: String,
    pub action: Action,
}

#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a recipe has few of them")]
pub enum Action {
    Copy(Copy),
    /// Absolute, and otherwise as written (`/app/`, `/a/../b`), as BuildKit puts it into the config. Created with mode
    /// 0755 if it is not there; BuildKit gives it to the `USER` before.
    Workdir(String),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    User(String),
    /// `80/tcp`.
    Expose(Vec<String>),
    Volume(Vec<String>),
    /// The arguments; the shell form has the shell in front. Takes away a `CMD` that no earlier step of the same stage
    /// has set.
    Entrypoint(Vec<String>),
    Cmd(Vec<String>),
    Healthcheck(Healthcheck),
    StopSignal(String),
    Shell(Vec<String>),
    Maintainer(String),
}

/// `COPY`, and `ADD` of local files that are no archives.
#[derive(Debug, PartialEq, Eq)]
pub struct Copy {
    /// It is an `ADD`, which would unpack an archive.
    pub is_add: bool,
    pub from: Origin,
    /// As written (`lib-amd64/`, `*.sh`), but cleaned: relative to the root of `from`, without `..`; the root is `.`.
    pub sources: Vec<String>,
    /// Absolute, without `.` and `..`. A slash at its end makes it a directory.
    pub destination: String,
    pub owner: Option<Owner>,
    /// `--chmod`, such as `0o755`.
    pub mode: Option<u32>,
    /// Variables in the sources that expanded to nothing, for messages.
    pub unset: Vec<String>,
}

impl Copy {
    /// What is wrong if the build context has no `source`.
    pub fn absent(&self, source: &str) -> String {
        let hint = match &self.unset[..] {
            [] => "does `.dockerignore` exclude it?".to_owned(),
            [name, ..] => {
                format!("`{name}` has no value there; `ARG {name}` in the same stage declares it")
            }
        };
        format!("the build context has no `{source}`; hint: {hint}")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a recipe has few of them")]
pub enum Origin {
    Context,
    Stage(usize),
    Image {
        reference: Reference,
        platform: Platform,
    },
}

/// `--chown`, each part as written: a number, or a name of the image's `/etc/passwd` or `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub user: String,
    /// The same number if `None`; for a name, the user's group.
    pub group: Option<String>,
}

/// Durations in nanoseconds, 0 if not given; as the image config has them (moby's image spec, `Healthcheck`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", …]`.
    pub test: Vec<String>,
    pub interval: u64,
    pub timeout: u64,
    pub start_period: u64,
    pub start_interval: u64,
    pub retries: u64,
}

/// What an image's config hands on to a stage that is made from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseConfig {
    /// `NAME=value`.
    pub env: Vec<String>,
    pub working_dir: String,
    /// Empty unless a `SHELL` was given.
    pub shell: Vec<String>,
}

/// `ARG`s from outside (`--build-arg`).
pub type BuildArgs = BTreeMap<String, String>;
