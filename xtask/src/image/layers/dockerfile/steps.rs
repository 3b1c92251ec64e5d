//! The instructions of one stage, evaluated in order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::budget::Budget;
use super::copy::{self, CopyLine, is_remote};
use super::durations;
use super::error::{DockerfileError, shown};
use super::file::Dockerfile;
use super::go_format;
use super::instruction::{Command, Instruction};
use super::paths;
use super::scope::{StageScope, lookup};
use super::variables::{Variables, expand, expand_words};
use super::words::Argument;
use super::{ports, signals};
use crate::image::layers::recipe::{Action, BuildArgs, Copy, Healthcheck, Origin, Step};
use crate::oci::Platform;

pub(super) struct Context<'a> {
    pub(super) file: &'a Dockerfile,
    /// In the Dockerfile.
    pub(super) stage: usize,
    pub(super) platform: &'a Platform,
    pub(super) build_args: &'a BuildArgs,
    pub(super) globals: &'a BTreeMap<String, String>,
    /// Of the earlier stages in the recipe.
    pub(super) positions: &'a [Option<usize>],
    /// A variable was looked up that has no value here; a base image may give it one.
    pub(super) is_unsure: &'a Cell<bool>,
}

/// The steps of the last of `scopes`.
pub(super) fn evaluate(
    context: &Context<'_>,
    scopes: &mut [StageScope],
    budget: &mut Budget,
) -> Result<Vec<Step>, DockerfileError> {
    let mut steps = Vec::new();
    for (line, instruction) in &context.file.stages[context.stage].instructions {
        let mut evaluation = Evaluation {
            context,
            scopes,
            budget,
            unset: RefCell::default(),
        };
        let step = evaluation.step(instruction);
        let step = step.map_err(|problem| context.file.fail(*line, problem))?;
        steps.extend(step.map(|(action, text)| Step {
            line: *line,
            text,
            action,
        }));
    }
    Ok(steps)
}

struct Evaluation<'a> {
    context: &'a Context<'a>,
    scopes: &'a mut [StageScope],
    budget: &'a mut Budget,
    /// The variables without a value that were looked up.
    unset: RefCell<Vec<String>>,
}

impl Evaluation<'_> {
    /// What the instruction does, and its line in the history; nothing for `ARG`.
    fn step(&mut self, instruction: &Instruction) -> Result<Option<(Action, String)>, String> {
        let (action, text) = match instruction {
            Instruction::Arg(arguments) => {
                self.arguments(arguments)?;
                return Ok(None);
            }
            Instruction::Engine(reason) => {
                return Err(format!("{reason}: only an engine does that"));
            }
            Instruction::From(_) => return Ok(None),
            Instruction::Copy(copy) => self.copy(copy)?,
            Instruction::Workdir(path) => {
                let path = self.expand(path)?;
                let path = paths::join(&self.scope().working_dir, &path);
                self.scope_mut().working_dir.clone_from(&path);
                let text = format!("WORKDIR {path}");
                (Action::Workdir(path), text)
            }
            Instruction::Env(pairs) => {
                let pairs = self.pairs(pairs)?;
                let variables = &mut self.scope_mut().variables;
                variables.extend(pairs.iter().cloned());
                let text = pairs_text("ENV", &pairs);
                (Action::Env(pairs), text)
            }
            Instruction::Label(pairs) => {
                let pairs = self.pairs(pairs)?;
                let text = pairs_text("LABEL", &pairs);
                (Action::Label(pairs), text)
            }
            Instruction::User(user) => {
                let user = self.expand(user)?;
                let text = format!("USER {user}");
                (Action::User(user), text)
            }
            Instruction::Expose(words) => self.expose(words)?,
            Instruction::Volume(volumes) => {
                let volumes = volumes
                    .iter()
                    .map(|volume| match self.expand(volume)?.as_str() {
                        "" => Err(format!("`VOLUME {}` names no directory", shown(volume))),
                        volume => Ok(volume.to_owned()),
                    });
                let volumes = volumes.collect::<Result<Vec<_>, _>>()?;
                let text = format!("VOLUME {}", go_format::plain(&volumes));
                (Action::Volume(volumes), text)
            }
            Instruction::Entrypoint(command) => {
                let words = self.command(command)?;
                let text = format!("ENTRYPOINT {}", go_format::quoted(&words));
                (Action::Entrypoint(words), text)
            }
            Instruction::Cmd(command) => {
                let words = self.command(command)?;
                let text = format!("CMD {}", go_format::quoted(&words));
                (Action::Cmd(words), text)
            }
            Instruction::Healthcheck(check) => {
                (Action::Healthcheck(check.clone()), healthcheck_text(check))
            }
            Instruction::StopSignal(signal) => {
                let signal = self.expand(signal)?;
                signals::check(&signal)?;
                let text = format!("STOPSIGNAL {signal}");
                (Action::StopSignal(signal), text)
            }
            Instruction::Shell(words) => {
                self.scope_mut().shell.clone_from(words);
                let text = format!("SHELL {}", go_format::plain(words));
                (Action::Shell(words.clone()), text)
            }
            Instruction::Maintainer(name) => (
                Action::Maintainer(name.clone()),
                format!("MAINTAINER {name}"),
            ),
        };
        self.budget.spend(text.len())?;
        Ok(Some((action, text)))
    }

    fn scope(&self) -> &StageScope {
        &self.scopes[self.scopes.len() - 1]
    }

    fn scope_mut(&mut self) -> &mut StageScope {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn expand(&mut self, word: &str) -> Result<String, String> {
        let (context, scopes, unset) = (self.context, &*self.scopes, &self.unset);
        let variables = Variables {
            escape: context.file.escape,
            get: &|name| recorded(context, unset, name, lookup(scopes, name)),
        };
        expand(word, &variables, self.budget)
    }

    fn expand_words(&mut self, text: &str) -> Result<Vec<String>, String> {
        let (context, scopes, unset) = (self.context, &*self.scopes, &self.unset);
        let variables = Variables {
            escape: context.file.escape,
            get: &|name| recorded(context, unset, name, lookup(scopes, name)),
        };
        expand_words(text, &variables, self.budget)
    }

    /// With the values from before the line, also where one of its names is one of its variables.
    fn pairs(&mut self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
        let expanded = pairs
            .iter()
            .map(|(name, value)| match self.expand(name)?.as_str() {
                "" => Err(format!("`{}={}` has no name", shown(name), shown(value))),
                name => Ok((name.to_owned(), self.expand(value)?)),
            });
        expanded.collect()
    }

    /// A build argument, else the default, else the global argument of the name; else nothing.
    fn arguments(&mut self, arguments: &[Argument]) -> Result<(), String> {
        for (name, default) in arguments {
            let value = match (self.context.build_args.get(name), default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(self.expand(default)?),
                (None, None) => self.context.globals.get(name).cloned(),
            };
            if let Some(value) = value {
                self.budget.spend(value.len())?;
                self.scope_mut().variables.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<Vec<String>, String> {
        let text = match command {
            Command::Exec(words) => return Ok(words.clone()),
            Command::Shell(text) => text,
        };
        let mut words = match &self.scope().shell[..] {
            [] => vec!["/bin/sh".to_owned(), "-c".to_owned()],
            shell => shell.to_vec(),
        };
        words.push(text.clone());
        Ok(words)
    }

    fn expose(&mut self, words: &[String]) -> Result<(Action, String), String> {
        let mut exposed = Vec::new();
        for word in words {
            for port in self.expand_words(word)? {
                exposed.extend(ports::parse(&port, self.budget)?);
            }
        }
        let text = format!("EXPOSE {}", go_format::plain(&exposed));
        Ok((Action::Expose(exposed), text))
    }

    fn copy(&mut self, line: &CopyLine) -> Result<(Action, String), String> {
        let from = match &line.from {
            Some(from) => self.origin(from)?,
            None => Origin::Context,
        };
        let owner_text = self.expand(&line.owner)?;
        let mode_text = self.expand(&line.mode)?;
        let mut text = line.keyword.to_owned();
        for (flag, value) in [("chown", &owner_text), ("chmod", &mode_text)] {
            if !value.is_empty() {
                text.push_str(&format!(" --{flag}={value}"));
            }
        }
        let mut sources = Vec::new();
        self.unset.take();
        for source in &line.sources {
            let source = self.expand(source)?;
            if is_remote(&source) {
                let source = shown(&source);
                return Err(match line.keyword {
                    "ADD" => format!("`ADD {source}` fetches it: only an engine does that"),
                    _ => format!("`COPY {source}`: `COPY` does not fetch; hint: `ADD` does"),
                });
            }
            text.push_str(&format!(" {source}"));
            sources.push(match paths::clean(&source).trim_start_matches('/') {
                "" => ".".to_owned(),
                source => source.to_owned(),
            });
        }
        let unset = self.unset.take();
        let written = self.expand(&line.destination)?;
        text.push_str(&format!(" {written}"));
        let destination = match written.as_str() {
            "" => paths::clean(&format!("{}/", self.scope().working_dir)),
            path if path.starts_with('/') => paths::clean(path),
            path => paths::clean(&format!("{}/{path}", self.scope().working_dir)),
        };
        self.budget.spend(destination.len())?;
        let copy = Copy {
            is_add: line.keyword == "ADD",
            from,
            sources,
            destination,
            owner: copy::owner(&owner_text)?,
            mode: copy::mode(&mode_text)?,
            unset,
        };
        Ok((Action::Copy(copy), text))
    }

    /// `--from`, in which Docker expands nothing.
    fn origin(&mut self, from: &str) -> Result<Origin, String> {
        let variables = Variables {
            escape: self.context.file.escape,
            get: &|_| None,
        };
        if expand(from, &variables, self.budget)? != from {
            return Err(format!(
                "`--from={}` is not expanded; hint: name the image by `FROM … AS name`, and copy from `name`",
                shown(from)
            ));
        }
        let Some(stage) = self.context.file.copied_stage(from) else {
            let reference = from.parse();
            return Ok(Origin::Image {
                reference: reference
                    .map_err(|error| format!("`--from={}`: {error}", shown(from)))?,
                platform: self.context.platform.clone(),
            });
        };
        let earlier = self.context.positions.get(stage).copied().flatten();
        earlier
            .map(Origin::Stage)
            .ok_or_else(|| format!("`--from={}` is not an earlier stage", shown(from)))
    }
}

/// `value`, which the variable `name` has; that it has none is recorded.
fn recorded<'v>(
    context: &Context<'_>,
    unset: &RefCell<Vec<String>>,
    name: &str,
    value: Option<&'v str>,
) -> Option<&'v str> {
    if value.is_none_or(str::is_empty) {
        unset.borrow_mut().push(name.to_owned());
    }
    if value.is_none() {
        context.is_unsure.set(true);
    }
    value
}

fn pairs_text(keyword: &str, pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!(" {name}={value}"));
    format!("{keyword}{}", pairs.collect::<String>())
}

fn healthcheck_text(check: &Healthcheck) -> String {
    format!(
        "HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        go_format::plain(&check.test),
        durations::format(check.interval),
        durations::format(check.timeout),
        durations::format(check.start_period),
        durations::format(check.start_interval),
        check.retries
    )
}
