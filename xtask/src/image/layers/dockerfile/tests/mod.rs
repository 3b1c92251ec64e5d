//! Dockerfiles as text, and what is made of them.

mod bounds;
mod configuration;
mod copies;
mod engine;
mod expansion;
mod refused;
mod stages;

use std::fmt::Write as _;

use super::Dockerfile;
use crate::image::layers::recipe::{Action, Base, BaseConfig, Origin, Recipe, Step};

const FILE: &str = "docker/Dockerfile";

/// The recipe for linux/amd64 with the build arguments, of base images that hand nothing on.
fn recipe_with(text: &str, build_args: &[(&str, &str)]) -> Result<Recipe, String> {
    recipe_on(text, "linux/amd64", build_args, BaseConfig::default())
}

fn recipe_on(
    text: &str,
    platform: &str,
    build_args: &[(&str, &str)],
    base: BaseConfig,
) -> Result<Recipe, String> {
    let build_args = build_args.iter().copied();
    let build_args = build_args.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let platform = platform.parse().unwrap();
    Dockerfile::parse(FILE, text)
        .and_then(|file| file.recipe(&platform, &build_args.collect(), &|_, _| base.clone()))
        .map_err(|error| error.to_string())
}

/// The steps of the last stage.
fn steps(text: &str) -> Vec<Step> {
    let mut recipe = recipe_with(text, &[]).expect(text);
    recipe.stages.pop().unwrap().steps
}

fn actions(text: &str) -> Vec<Action> {
    steps(text).into_iter().map(|step| step.action).collect()
}

/// What the history of the last stage says.
fn history(text: &str) -> Vec<String> {
    steps(text).into_iter().map(|step| step.text).collect()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter().copied();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A recipe in lines: `scratch`, `stage 0` or an image, then each step's text, and where a copy comes from and goes to.
fn shown(recipe: &Recipe) -> String {
    let mut out = String::new();
    for (index, stage) in recipe.stages.iter().enumerate() {
        let base = match &stage.base {
            Base::Scratch => "scratch".to_owned(),
            Base::Stage(stage) => format!("stage {stage}"),
            Base::Image {
                reference,
                platform,
            } => format!("{reference} {platform}"),
        };
        writeln!(out, "{index}: {base}").unwrap();
        for step in &stage.steps {
            let Action::Copy(copy) = &step.action else {
                writeln!(out, "{} {}", step.line, step.text).unwrap();
                continue;
            };
            let from = match &copy.from {
                Origin::Context => "context".to_owned(),
                Origin::Stage(stage) => format!("stage {stage}"),
                Origin::Image {
                    reference,
                    platform,
                } => format!("{reference} {platform}"),
            };
            let (sources, destination) = (copy.sources.join(" "), &copy.destination);
            writeln!(out, "{} {from}: {sources} -> {destination}", step.line).unwrap();
        }
    }
    out
}
