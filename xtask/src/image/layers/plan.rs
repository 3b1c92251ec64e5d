//! Which layers a recipe makes, and what is in each: decided without reading more than has to be compared.

use std::collections::{BTreeSet, HashMap};

use super::copy_step::Changes;
use super::error::{BuildError, StepError};
use super::recipe::{Action, Base, Copy, Origin, Owner, Recipe};
use super::tree::{FileTree, Node, clean, parent};
use crate::oci::{Platform, Reference};

/// What a recipe is carried out on.
pub struct Inputs<'a> {
    /// [`FileTree::of_context`].
    pub context: &'a FileTree,
    /// The images that the recipe names.
    pub images: &'a HashMap<(Reference, Platform), BaseImage>,
}

/// An image to start from, or to copy from.
#[derive(Clone, Debug, Default)]
pub struct BaseImage {
    pub tree: FileTree,
    /// `User` of its config.
    pub user: String,
}

/// The layers to put on the base of the last stage.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// From the bottom. A step that changes nothing has none.
    pub layers: Vec<PlannedLayer>,
    /// What the image holds in the end.
    pub tree: FileTree,
    /// Sentences about what was probably not meant.
    pub warnings: Vec<String>,
}

/// What one step adds.
#[derive(Clone, Debug)]
pub struct PlannedLayer {
    /// In the Dockerfile.
    pub line: usize,
    /// Position in [`Recipe::stages`], and of the step in it.
    pub stage: usize,
    pub step: usize,
    /// Sorted, parents before children.
    pub(super) entries: Vec<(String, Node)>,
}

/// What a stage leaves.
#[derive(Clone, Default)]
struct Done {
    tree: FileTree,
    user: String,
    layers: Vec<PlannedLayer>,
}

/// Carries out `recipe` on file trees.
///
/// # Errors
/// [`BuildError::Step`] for a step that cannot be done, [`BuildError::Read`].
pub fn plan(recipe: &Recipe, inputs: &Inputs) -> Result<Plan, BuildError> {
    let mut stages: Vec<Done> = Vec::new();
    let mut warnings = Vec::new();
    for (number, stage) in recipe.stages.iter().enumerate() {
        let line = stage.steps.first().map_or(1, |step| step.line);
        let mut done = match &stage.base {
            Base::Scratch => Done::default(),
            Base::Stage(other) => {
                let other = stages.get(*other);
                let missing = || StepError::Instruction("it comes before its base".into());
                other.ok_or_else(|| missing().at(line))?.clone()
            }
            Base::Image {
                reference,
                platform,
            } => {
                let image = image(inputs, reference, platform).map_err(|error| error.at(line))?;
                Done {
                    tree: image.tree.clone(),
                    user: image.user.clone(),
                    layers: Vec::new(),
                }
            }
        };
        for (position, step) in stage.steps.iter().enumerate() {
            let changed = match &step.action {
                Action::Copy(copy) => copy_step(copy, &mut done, &stages, inputs, |warning| {
                    warnings.push(format!("line {}: {warning}", step.line));
                }),
                Action::Workdir(path) => workdir(path, &mut done),
                Action::User(user) => {
                    done.user.clone_from(user);
                    continue;
                }
                _ => continue,
            };
            let changed = changed.map_err(|error| error.at(step.line))?;
            if !changed.is_empty() {
                done.layers.push(PlannedLayer {
                    line: step.line,
                    stage: number,
                    step: position,
                    entries: entries(&done.tree, &changed),
                });
            }
        }
        stages.push(done);
    }
    let last = stages.pop().unwrap_or_default();
    Ok(Plan {
        layers: last.layers,
        tree: last.tree,
        warnings,
    })
}

fn image<'a>(
    inputs: &Inputs<'a>,
    reference: &Reference,
    platform: &Platform,
) -> Result<&'a BaseImage, StepError> {
    let image = inputs.images.get(&(reference.clone(), platform.clone()));
    image
        .ok_or_else(|| StepError::Instruction(format!("`{reference}` for {platform} was not read")))
}

fn copy_step(
    copy: &Copy,
    done: &mut Done,
    stages: &[Done],
    inputs: &Inputs,
    warn: impl FnMut(String),
) -> Result<Vec<String>, StepError> {
    let (from, origin) = match &copy.from {
        Origin::Context => (inputs.context, "the build context".to_owned()),
        Origin::Stage(stage) => match stages.get(*stage) {
            Some(stage) => (&stage.tree, "the stage".to_owned()),
            None => return Err("it copies from a later stage".to_owned().into()),
        },
        Origin::Image {
            reference,
            platform,
        } => (
            &image(inputs, reference, platform)?.tree,
            format!("`{reference}`"),
        ),
    };
    let owner = copy.owner.as_ref().map(|owner| owner.ids(&done.tree));
    let mut changes = Changes::new(&mut done.tree, owner.transpose()?, copy.mode);
    changes.copy(copy, from, &origin)?;
    changes.warnings.into_iter().for_each(warn);
    Ok(changes.paths)
}

/// The directory is the user's, as BuildKit has it.
fn workdir(path: &str, done: &mut Done) -> Result<Vec<String>, StepError> {
    let path = done.tree.follow(&clean(path))?;
    if done.tree.is_directory(&path) {
        return Ok(Vec::new());
    }
    let owner = match done.user.as_str() {
        "" => None,
        user => Some(Owner::of_user(user).ids(&done.tree)?),
    };
    let mut changes = Changes::new(&mut done.tree, owner, None);
    changes.make_directories(&path)?;
    Ok(changes.paths)
}

/// What was changed, and the directories that it is in: an engine that unpacks a layer without these makes them anew,
/// as root's with mode 755, whatever lower layers say (tried with 20.10 and 28.5).
fn entries(tree: &FileTree, changed: &[String]) -> Vec<(String, Node)> {
    let mut paths = BTreeSet::new();
    for path in changed {
        let mut path = path.as_str();
        while !path.is_empty() && paths.insert(path) {
            path = parent(path);
        }
    }
    let paths = paths.into_iter();
    let nodes = paths.filter_map(|path| Some((path.to_owned(), tree.get(path)?.clone())));
    nodes.collect()
}
