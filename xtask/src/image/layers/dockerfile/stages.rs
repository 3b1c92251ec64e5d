//! Which stages the last one needs, and whether an engine must build one of them.

use std::fmt;

use super::file::Dockerfile;
use super::instruction::{Command, Instruction};
use crate::oci::Reference;

/// The first instruction that only an engine does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineReason {
    /// From 1.
    pub line: usize,
    /// What it does: "`RUN` runs a program".
    pub reason: String,
}

impl fmt::Display for EngineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl Dockerfile {
    /// Why an engine must build the image, if it must; decided by the Dockerfile alone. Stages that the last one does
    /// not need do not count.
    pub fn needs_engine(&self) -> Option<EngineReason> {
        if let Some(line) = self.syntax {
            let reason =
                "`# syntax=` has another program read the Dockerfile; hint: delete the line if \
                          nothing needs it"
                    .to_owned();
            return Some(EngineReason { line, reason });
        }
        let needed = self.needed(|stage| self.possible_bases(stage));
        let mut needed = self
            .stages
            .iter()
            .zip(needed)
            .filter(|(_, is_needed)| *is_needed);
        needed.find_map(|(stage, _)| {
            stage.instructions.iter().find_map(|(line, instruction)| {
                let Instruction::Engine(reason) = instruction else {
                    return None;
                };
                Some(EngineReason {
                    line: *line,
                    reason: reason.clone(),
                })
            })
        })
    }

    /// The stages that a stage may be made from. A variable may name each that has a name.
    fn possible_bases(&self, stage: usize) -> Vec<usize> {
        let base = &self.stages[stage].from.base;
        if base.contains('$') {
            let named = |earlier: &usize| self.stages[*earlier].from.name.is_some();
            return (0..stage).filter(named).collect();
        }
        self.stage_named(base, stage).into_iter().collect()
    }

    /// The last stage before the stage `before` that bears the name.
    pub(super) fn stage_named(&self, name: &str, before: usize) -> Option<usize> {
        let name = name.to_lowercase();
        let earlier = self.stages[..before].iter();
        let mut names = earlier.map(|stage| stage.from.name.as_ref());
        names.rposition(|earlier| earlier == Some(&name))
    }

    /// The stage that `COPY --from=from` means; `None` is an image. By a number, or by a name that any stage bears.
    pub(super) fn copied_stage(&self, from: &str) -> Option<usize> {
        match from.parse::<usize>() {
            Ok(number) => Some(number),
            Err(_) => self.stage_named(from, self.stages.len()),
        }
    }

    /// What is probably not meant as it is written, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let instructions = self.stages.iter().flat_map(|stage| &stage.instructions);
        let lists = instructions.filter_map(|(line, instruction)| match instruction {
            Instruction::Cmd(Command::Shell(text)) if text.starts_with('[') => Some((line, "CMD")),
            Instruction::Entrypoint(Command::Shell(text)) if text.starts_with('[') => {
                Some((line, "ENTRYPOINT"))
            }
            _ => None,
        });
        let warning = |(line, keyword): (&usize, &str)| {
            let problem = format!(
                "`{keyword} [` is no JSON list, so a shell gets the line as a command; hint: double quotes, and \
                 commas between the words"
            );
            self.fail(*line, problem).to_string()
        };
        lists.map(warning).collect()
    }

    /// The line of a `COPY --from` whose word may have been meant for a stage, and was taken for `image`; and the word.
    pub fn copies_by_name(&self, image: &Reference) -> Option<(usize, &str)> {
        let instructions = self.stages.iter().flat_map(|stage| &stage.instructions);
        let mut words = instructions.filter_map(|(line, instruction)| match instruction {
            Instruction::Copy(copy) => Some((*line, copy.from.as_deref()?)),
            _ => None,
        });
        words.find(|(_, from)| {
            let is_word = !from.contains(['.', '/', ':', '@']);
            is_word && self.copied_stage(from).is_none() && from.parse().as_ref() == Ok(image)
        })
    }

    /// For each stage, whether the last one needs it; `bases` says what a stage is made from.
    pub(super) fn needed(&self, bases: impl Fn(usize) -> Vec<usize>) -> Vec<bool> {
        let mut needed = vec![false; self.stages.len()];
        if let Some(last) = needed.last_mut() {
            *last = true;
        }
        // A stage needs only earlier ones.
        for stage in (0..self.stages.len()).rev() {
            if !needed[stage] {
                continue;
            }
            let copied = self.stages[stage].instructions.iter();
            let copied = copied.filter_map(|(_, instruction)| match instruction {
                Instruction::Copy(copy) => self.copied_stage(copy.from.as_ref()?),
                _ => None,
            });
            for earlier in bases(stage).into_iter().chain(copied) {
                if earlier < stage {
                    needed[earlier] = true;
                }
            }
        }
        needed
    }
}
