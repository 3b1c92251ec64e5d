//! Copies between file trees, as BuildKit does for `COPY`: its `solver/llbsolver/file` and fsutil's `copy`.

use super::base_layer::WHITEOUT;
use super::content::FileContent;
use super::error::StepError;
use super::recipe::{Copy, Origin};
use super::tree::{FileTree, Node, NodeKind, clean, file_name, join, parent};
use crate::image::encoding::Encoding;
use crate::image::glob::{self, DoubleStar};

/// What a step changes in the tree of an image.
pub(super) struct Changes<'a> {
    tree: &'a mut FileTree,
    /// In no order, and some of them more than once.
    pub paths: Vec<String>,
    pub warnings: Vec<String>,
    /// Of what is copied.
    owner: Option<(u64, u64)>,
    mode: Option<u32>,
}

impl<'a> Changes<'a> {
    pub fn new(
        tree: &'a mut FileTree,
        owner: Option<(u64, u64)>,
        mode: Option<u32>,
    ) -> Changes<'a> {
        Changes {
            tree,
            paths: Vec::new(),
            warnings: Vec::new(),
            owner,
            mode,
        }
    }

    /// Copies what `step` names of `from`, which is called `origin` in messages.
    pub fn copy(&mut self, step: &Copy, from: &FileTree, origin: &str) -> Result<(), StepError> {
        let is_directory = step.destination.ends_with('/') || step.destination.ends_with("/.");
        let destination = clean(&step.destination);
        let mut sources = Vec::new();
        for source in &step.sources {
            let found = find(from, source, origin)?;
            if found.is_empty() {
                let warning = format!("`{source}` matches nothing in {origin}");
                self.warnings.push(warning);
            }
            sources.extend(found);
        }
        let mut file = None;
        for source in &sources {
            let content = from.follow(source)?;
            if !content.is_empty() && from.get(&content).is_none() {
                return Err(match step.from {
                    Origin::Context => step.absent(source).into(),
                    _ => format!("{origin} has no `{source}`").into(),
                });
            }
            if let (true, Origin::Context, Some(file)) = (
                step.is_add,
                &step.from,
                from.get(&content).and_then(Node::content),
            ) {
                refuse_archive(source, file)?;
            }
            // BuildKit makes them even for a destination that is one: `/out/` makes `/out`, `/out/x` too.
            let directory = match is_directory {
                true => destination.as_str(),
                false => parent(&destination),
            };
            self.make_directories(&self.tree.follow(directory)?)?;
            let target = self.tree.follow(&destination)?;
            if from.is_directory(&content) {
                self.copy_directory(from, &content, &target)?;
                continue;
            }
            let target = if self.tree.is_directory(&target) {
                join(&target, file_name(source))
            } else if let Some(other) = file.replace(source.clone()) {
                // BuildKit would leave the last one.
                return Err(format!(
                    "`{other}` and `{source}` would both be the file `{}`; hint: end the destination with a slash",
                    step.destination
                )
                .into());
            } else {
                target
            };
            // A link in the destination may lead to where nothing is yet.
            self.make_directories(parent(&target))?;
            if let Some(node) = from.get(&content) {
                self.place(&target, node)?;
            }
        }
        Ok(())
    }

    /// Makes the directories down to `path`, whose links were followed.
    pub fn make_directories(&mut self, path: &str) -> Result<(), StepError> {
        if self.tree.is_directory(path) {
            return Ok(());
        }
        if self.tree.get(path).is_some() {
            return Err(format!("`/{path}` is no directory").into());
        }
        self.make_directories(parent(path))?;
        let (uid, gid) = self.owner.unwrap_or_default();
        let node = Node {
            kind: NodeKind::Directory,
            // `--chmod` counts as far as BuildKit's `mkdir`, under its umask, takes it.
            mode: self.mode.unwrap_or(0o755) & 0o755,
            uid,
            gid,
            has_attributes: false,
        };
        self.put(path, node)
    }

    /// Copies what is in `directory`; a target that is there keeps its own mode and owner.
    fn copy_directory(
        &mut self,
        from: &FileTree,
        directory: &str,
        target: &str,
    ) -> Result<(), StepError> {
        if !self.tree.is_directory(target) && self.tree.get(target).is_some() {
            return Err(format!("`/{target}` is no directory, and would become one").into());
        }
        self.make_directories(target)?;
        for (path, node) in from.below(directory) {
            let rest = path[directory.len()..].trim_start_matches('/');
            self.place(&join(target, rest), node)?;
        }
        Ok(())
    }

    /// Copies one file, link or directory; links are replaced, not followed.
    fn place(&mut self, path: &str, node: &Node) -> Result<(), StepError> {
        if matches!(node.kind, NodeKind::Device) {
            return Err(
                format!("`/{path}` would be a device, which only an engine can copy").into(),
            );
        }
        if let Some(old) = self.tree.get(path)
            && old.is_directory() != node.is_directory()
        {
            let (is, becomes) = match old.is_directory() {
                true => ("a directory", "file or link"),
                false => ("no directory", "directory"),
            };
            return Err(format!("`/{path}` is {is}, and would be replaced by a {becomes}").into());
        }
        let mut node = node.clone();
        if std::mem::take(&mut node.has_attributes) {
            self.warnings.push(format!(
                "`/{path}` is copied without its extended attributes (such as file capabilities); hint: `--builder engine`"
            ));
        }
        if let Some((uid, gid)) = self.owner {
            (node.uid, node.gid) = (uid, gid);
        }
        if let (Some(mode), false) = (self.mode, matches!(node.kind, NodeKind::Link(_))) {
            node.mode = mode;
        }
        self.put(path, node)
    }

    fn put(&mut self, path: &str, node: Node) -> Result<(), StepError> {
        if file_name(path).starts_with(WHITEOUT) {
            return Err(format!(
                "`/{path}` cannot be in a layer: unpacked, a name that starts with `{WHITEOUT}` removes another file; \
                 hint: rename it, or exclude it in `.dockerignore`"
            )
            .into());
        }
        let put = self.tree.put(path, node);
        let is_changed = put.map_err(|error| StepError::Read {
            name: path.to_owned(),
            error,
        })?;
        if is_changed {
            self.paths.push(path.to_owned());
        }
        Ok(())
    }
}

/// Refuses a file that `ADD` unpacks: an engine looks at its content, not at its name.
fn refuse_archive(name: &str, file: &FileContent) -> Result<(), StepError> {
    let mut head = Vec::new();
    let read = file.read(512, |chunk| {
        head.extend_from_slice(chunk);
        head.len() < 512
    });
    read.map_err(|error| StepError::Read {
        name: name.to_owned(),
        error,
    })?;
    match Encoding::is_packed(&head) {
        true => Err(format!(
            "`ADD {name}` would unpack it, as it is an archive by its content; hint: `COPY` if it is to stay packed, \
             `--builder engine` if not"
        )
        .into()),
        false => Ok(()),
    }
}

/// The paths that a source stands for; none if a pattern matches nothing.
fn find(from: &FileTree, source: &str, origin: &str) -> Result<Vec<String>, StepError> {
    let source = clean(source);
    let names: Vec<&str> = source.split('/').collect();
    let Some(first) = names.iter().position(|name| has_wildcard(name)) else {
        return Ok(vec![source]);
    };
    let base = from.follow(&names[..first].join("/"))?;
    if !from.is_directory(&base) {
        return Err(format!("{origin} has no directory `{}`", names[..first].join("/")).into());
    }
    let pattern = glob::compile(&names[first..].join("/"), DoubleStar::Star)
        .map_err(|reason| format!("`{source}` {reason}"))?;
    let found = from.below(&base).map(|(path, _)| path);
    let mut found: Vec<String> = found
        .filter(|path| {
            let rest: Vec<char> = path[base.len()..].trim_start_matches('/').chars().collect();
            glob::matches(&pattern, &rest)
        })
        .cloned()
        .collect();
    // As a walk meets them; the last of two with the same name counts.
    found.sort_by(|one, other| one.split('/').cmp(other.split('/')));
    Ok(found)
}

fn has_wildcard(name: &str) -> bool {
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}
