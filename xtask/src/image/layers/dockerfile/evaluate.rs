//! The Dockerfile for one platform: arguments, stages and what each hands on.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};

use super::budget::Budget;
use super::error::{DockerfileError, nearest, shown};
use super::file::Dockerfile;
use super::instruction::Instruction;
use super::platforms::{self, build_platform, normal};
use super::scope::StageScope;
use super::steps::{Context, evaluate};
use super::variables::{Variables, expand};
use crate::image::layers::recipe::{Base, BaseConfig, BuildArgs, Recipe, Stage};
use crate::oci::{Platform, Reference};

/// What is known of all stages before their steps are evaluated.
struct Outline {
    /// The arguments that a stage's `ARG` takes its value from.
    globals: BTreeMap<String, String>,
    /// Of each stage, with positions in the Dockerfile; `None` of a stage that the last one does not need.
    bases: Vec<Option<Base>>,
}

impl Dockerfile {
    /// The images that the needed stages are made from or copy from. [`Dockerfile::recipe`] asks the configs of the
    /// former.
    pub fn bases(
        &self,
        platform: &Platform,
        build_args: &BuildArgs,
    ) -> Result<Vec<(Reference, Platform)>, DockerfileError> {
        let outline = self.outline(platform, build_args, &mut Budget::new())?;
        let mut images = Vec::new();
        for (stage, base) in outline.bases.into_iter().enumerate() {
            match base {
                None => continue,
                Some(Base::Image {
                    reference,
                    platform,
                }) => images.push((reference, platform)),
                Some(Base::Scratch | Base::Stage(_)) => {}
            }
            let copied = self.copied_images(stage);
            images.extend(copied.map(|reference| (reference, platform.clone())));
        }
        let mut seen = HashSet::new();
        images.retain(|image| seen.insert(image.clone()));
        Ok(images)
    }

    /// The images that a stage copies from. What is no reference is reported with the step.
    fn copied_images(&self, stage: usize) -> impl Iterator<Item = Reference> {
        let instructions = self.stages[stage].instructions.iter();
        let origins = instructions.filter_map(|(_, instruction)| match instruction {
            Instruction::Copy(copy) => copy.from.as_ref(),
            _ => None,
        });
        let images = origins.filter(|from| self.copied_stage(from).is_none());
        images.filter_map(|from| from.parse().ok())
    }

    /// What the image of one platform is made of. `base_config` gives the config of each image that
    /// [`Dockerfile::bases`] lists: a stage goes on with its variables, its directory and its shell. An `ONBUILD` in
    /// such a config is the caller's to refuse.
    pub fn recipe(
        &self,
        platform: &Platform,
        build_args: &BuildArgs,
        base_config: &dyn Fn(&Reference, &Platform) -> BaseConfig,
    ) -> Result<Recipe, DockerfileError> {
        self.evaluated(platform, build_args, base_config, &Cell::default())
    }

    /// The same before anything is known of the base images; `None` if it depends on a variable that one may have.
    ///
    /// # Errors
    /// What is wrong whatever the base images hand on.
    pub fn recipe_without_bases(
        &self,
        platform: &Platform,
        build_args: &BuildArgs,
    ) -> Result<Option<Recipe>, DockerfileError> {
        let is_unsure = Cell::default();
        let none = |_: &Reference, _: &Platform| BaseConfig::default();
        let recipe = self.evaluated(platform, build_args, &none, &is_unsure);
        match is_unsure.get() {
            true => Ok(None),
            false => recipe.map(Some),
        }
    }

    fn evaluated(
        &self,
        platform: &Platform,
        build_args: &BuildArgs,
        base_config: &dyn Fn(&Reference, &Platform) -> BaseConfig,
        is_unsure: &Cell<bool>,
    ) -> Result<Recipe, DockerfileError> {
        let mut budget = Budget::new();
        let outline = self.outline(platform, build_args, &mut budget)?;
        let mut scopes: Vec<StageScope> = Vec::new();
        let mut stages = Vec::new();
        // From positions in the Dockerfile to those in the recipe.
        let mut positions = vec![None; self.stages.len()];
        for (index, base) in outline.bases.iter().enumerate() {
            let Some(base) = base else { continue };
            let (base, scope) = match base {
                Base::Scratch => (Base::Scratch, StageScope::new(None, BaseConfig::default())),
                Base::Image {
                    reference,
                    platform,
                } => {
                    let config = base_config(reference, platform);
                    (base.clone(), StageScope::new(None, config))
                }
                Base::Stage(earlier) => {
                    let position = positions[*earlier].unwrap_or_default();
                    let inherited = scopes.get(position).map(StageScope::inherited);
                    let scope = StageScope::new(Some(position), inherited.unwrap_or_default());
                    (Base::Stage(position), scope)
                }
            };
            scopes.push(scope);
            let context = Context {
                file: self,
                stage: index,
                platform,
                build_args,
                globals: &outline.globals,
                positions: &positions,
                is_unsure,
            };
            let steps = evaluate(&context, &mut scopes, &mut budget)?;
            positions[index] = Some(stages.len());
            stages.push(Stage { base, steps });
        }
        Ok(Recipe { stages })
    }

    fn outline(
        &self,
        platform: &Platform,
        build_args: &BuildArgs,
        budget: &mut Budget,
    ) -> Result<Outline, DockerfileError> {
        if let (Some(_), Some(engine)) = (self.syntax, self.needs_engine()) {
            return Err(self.fail(engine.line, engine.reason));
        }
        let globals = self.globals(platform, build_args, budget)?;
        let mut bases = Vec::new();
        for index in 0..self.stages.len() {
            bases.push(self.base(index, &globals, budget)?);
        }
        let needed = self.needed(|stage| bases[stage].stage.into_iter().collect());
        let resolve = |(index, base): (usize, BaseName)| -> Result<Option<Base>, DockerfileError> {
            if !needed[index] {
                return Ok(None);
            }
            Ok(Some(match base.stage {
                Some(stage) => Base::Stage(stage),
                None if base.name == "scratch" => Base::Scratch,
                None => Base::Image {
                    reference: base.name.parse().map_err(|error| {
                        self.fail(
                            self.stages[index].line,
                            format!("`FROM {}`: {error}", shown(&base.name)),
                        )
                    })?,
                    platform: base.platform.unwrap_or_else(|| platform.clone()),
                },
            }))
        };
        let bases = bases.into_iter().enumerate().map(resolve);
        Ok(Outline {
            bases: bases.collect::<Result<_, _>>()?,
            globals,
        })
    }

    /// The automatic arguments and those before the first `FROM`, as far as they have a value.
    fn globals(
        &self,
        platform: &Platform,
        build_args: &BuildArgs,
        budget: &mut Budget,
    ) -> Result<BTreeMap<String, String>, DockerfileError> {
        let mut globals = BTreeMap::new();
        for (prefix, platform) in [("TARGET", platform), ("BUILD", &build_platform())] {
            let platform = normal(platform);
            let variant = platform.variant.clone().unwrap_or_default();
            globals.insert(format!("{prefix}PLATFORM"), platform.to_string());
            globals.insert(format!("{prefix}OS"), platform.os);
            globals.insert(format!("{prefix}ARCH"), platform.architecture);
            globals.insert(format!("{prefix}VARIANT"), variant);
        }
        for (name, value) in &mut globals {
            if let Some(given) = build_args.get(name) {
                value.clone_from(given);
            }
        }
        for (line, arguments) in &self.globals {
            for (name, default) in arguments {
                let value = match (build_args.get(name), default) {
                    (Some(given), _) => given.clone(),
                    (None, None) => continue,
                    (None, Some(default)) => {
                        let variables = Variables {
                            escape: self.escape,
                            get: &|name| globals.get(name).map(String::as_str),
                        };
                        let value = expand(default, &variables, budget);
                        value.map_err(|problem| self.fail(*line, problem))?
                    }
                };
                globals.insert(name.clone(), value);
            }
        }
        Ok(globals)
    }

    /// What the stage's `FROM` says once its variables are expanded.
    fn base(
        &self,
        index: usize,
        globals: &BTreeMap<String, String>,
        budget: &mut Budget,
    ) -> Result<BaseName, DockerfileError> {
        let stage = &self.stages[index];
        let unset = RefCell::new(Vec::new());
        let mut expanded = |text: &str| {
            let variables = Variables {
                escape: self.escape,
                get: &|name| {
                    let value = globals.get(name).map(String::as_str);
                    if value.is_none_or(str::is_empty) {
                        unset.borrow_mut().push(name.to_owned());
                    }
                    value
                },
            };
            expand(text, &variables, budget).map_err(|problem| self.fail(stage.line, problem))
        };
        let name = expanded(&stage.from.base)?;
        if name.is_empty() {
            let unset = unset.borrow();
            let known = globals.iter().filter(|(_, value)| !value.is_empty());
            let known: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
            let meant = unset.first().and_then(|name| nearest(name, known));
            let hint = match meant {
                Some(name) => format!("did you mean `{name}`?"),
                None => "give it one with `ARG` before the first `FROM`".to_owned(),
            };
            let unset: Vec<String> = unset.iter().map(|name| format!("`{name}`")).collect();
            let problem = format!(
                "`FROM {}` names no image: {} has no value; hint: {hint}",
                shown(&stage.from.base),
                unset.join(", ")
            );
            return Err(self.fail(stage.line, problem));
        }
        let platform = match &stage.from.platform {
            None => None,
            Some(text) => {
                let platform = platforms::parse(&expanded(text)?);
                let platform = platform.map_err(|error| {
                    self.fail(stage.line, format!("`--platform={}`: {error}", shown(text)))
                })?;
                Some(platform)
            }
        };
        Ok(BaseName {
            stage: self.stage_named(&name, index),
            name,
            platform,
        })
    }
}

struct BaseName {
    name: String,
    /// The stage that bears the name, by its position in the Dockerfile.
    stage: Option<usize>,
    platform: Option<Platform>,
}
