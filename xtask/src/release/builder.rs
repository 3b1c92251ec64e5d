//! Who makes the image: decided once, when a run is planned. By the Dockerfile, so that it is the same on every
//! machine; what is installed here does not count.

use std::fmt;
use std::path::Path;

use anyhow::Result;

use crate::cli::{BuilderChoice, ReleaseArgs, Via};
use crate::exit::bad_input;
use crate::image::layers::Dockerfile;
use crate::settings::ReleaseSettings;

/// As messages name it.
pub const DOCKERFILE: &str = "docker/Dockerfile";

/// Who makes the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Builder {
    /// This program, layer by layer.
    #[default]
    Layers,
    Engine,
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Builder::Layers => "layer by layer, without an engine",
            Builder::Engine => "by the engine",
        })
    }
}

/// Chooses for the Dockerfile in the settings' workspace. With the reason: an option, a setting, or what stands in it.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): the Dockerfile is missing or wrong, or the layer builder, asked for by name,
/// cannot make the image.
pub fn choose(args: &ReleaseArgs, settings: &ReleaseSettings) -> Result<(Builder, String)> {
    let (choice, said) = match args.builder {
        Some(choice) => (choice, format!("`--builder {}`", choice.name())),
        None => {
            let choice = settings.builder;
            (
                choice,
                format!("`builder = \"{}\"` in `Cargo.toml`", choice.name()),
            )
        }
    };
    match (choice, args.via) {
        (BuilderChoice::Engine, _) => return Ok((Builder::Engine, said)),
        (BuilderChoice::Auto, Via::Engine) => {
            return Ok((Builder::Engine, "`--via engine`".to_owned()));
        }
        (BuilderChoice::Layers, Via::Engine) => {
            return Err(bad_input(format!(
                "{said} leaves the engine no image that it could push; hint: `--via direct`"
            )));
        }
        (BuilderChoice::Auto | BuilderChoice::Layers, Via::Auto | Via::Direct) => {}
    }
    let needed = read(&settings.root)?.needs_engine();
    match (choice, needed) {
        (BuilderChoice::Layers, Some(reason)) => Err(bad_input(format!(
            "`{DOCKERFILE}`, {reason}, and {said} runs nothing\nhint: `--builder engine`, or change that line"
        ))),
        (_, Some(reason)) => Ok((Builder::Engine, format!("`{DOCKERFILE}`, {reason}"))),
        (BuilderChoice::Layers, None) => Ok((Builder::Layers, said)),
        (_, None) => Ok((
            Builder::Layers,
            format!("nothing in `{DOCKERFILE}` has to be run"),
        )),
    }
}

/// The Dockerfile of the workspace.
pub fn read(root: &Path) -> Result<Dockerfile> {
    let path = root.join(DOCKERFILE);
    if !path.is_file() {
        return Err(bad_input(format!("there is no `{}`", path.display())));
    }
    let text = std::fs::read_to_string(&path)
        .map_err(|error| bad_input(format!("`{DOCKERFILE}`: {error}")))?;
    Dockerfile::parse(DOCKERFILE, &text).map_err(bad_input)
}
