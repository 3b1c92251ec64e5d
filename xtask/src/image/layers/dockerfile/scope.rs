//! What a stage knows: variables, directory and shell.

use std::collections::BTreeMap;

use super::paths;
use crate::image::layers::recipe::BaseConfig;

/// BuildKit's, for an image without one.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the instructions of a stage see, and hand on to the stages that are made from it.
pub(super) struct StageScope {
    /// The stage that it is made from: what is not here is looked up there.
    base: Option<usize>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) working_dir: String,
    pub(super) shell: Vec<String>,
}

impl StageScope {
    pub(super) fn new(base: Option<usize>, config: BaseConfig) -> Self {
        // A later one replaces an earlier one.
        let default = base.is_none().then(|| DEFAULT_PATH.to_owned());
        let env = default.into_iter().chain(config.env);
        let variables = env.map(|pair| match pair.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (pair, String::new()),
        });
        StageScope {
            base,
            variables: variables.collect(),
            working_dir: paths::join("/", &config.working_dir),
            shell: config.shell,
        }
    }

    /// All but the variables, which are looked up.
    pub(super) fn inherited(&self) -> BaseConfig {
        BaseConfig {
            env: Vec::new(),
            working_dir: self.working_dir.clone(),
            shell: self.shell.clone(),
        }
    }
}

/// In the last stage, else in the one that it is made from.
pub(super) fn lookup<'a>(scopes: &'a [StageScope], name: &str) -> Option<&'a str> {
    let mut scope = scopes.last();
    while let Some(at) = scope {
        if let Some(value) = at.variables.get(name) {
            return Some(value);
        }
        scope = at.base.and_then(|base| scopes.get(base));
    }
    None
}
