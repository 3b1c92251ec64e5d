//! Layers made from small contexts.

mod base_entries;
mod copying;
mod keys;
mod layers;
mod layouts;
mod moving;
mod zipped;

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::{
    Action, Base, BuildError, BuiltLayer, Copy, FileTree, Inputs, Origin, Origins, Owner, Plan,
    Recipe, Stage, Step, build_layers, plan,
};
use crate::image::context::Context;
use crate::image::{Compression, Content};

/// A context with these files: `name/`, mode; `name`, mode, content; `name`, `-> target`; separated by tabs.
fn context(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut modes = Vec::new();
    for file in files {
        let fields: Vec<&str> = file.split('\t').collect();
        let path = root.path().join(fields[0]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some(target) = fields[1].strip_prefix("-> ") {
            symlink(target, path).unwrap();
            continue;
        }
        match fields.get(2) {
            Some(content) => fs::write(&path, content.replace("\\n", "\n")).unwrap(),
            None => fs::create_dir_all(&path).unwrap(),
        }
        modes.push((path, u32::from_str_radix(fields[1], 8).unwrap()));
    }
    for (path, mode) in modes {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    root
}

/// A few instructions; the first stage is from scratch.
fn recipe(dockerfile: &str) -> Recipe {
    let stage = || Stage {
        base: Base::Scratch,
        steps: Vec::new(),
    };
    let mut stages = vec![stage()];
    let mut directory = "/".to_owned();
    for (at, text) in dockerfile.lines().enumerate() {
        let (instruction, arguments) = text.split_once(' ').unwrap();
        let action = match instruction {
            "FROM" => {
                stages.push(stage());
                if let Some(other) = arguments.strip_prefix("stage ") {
                    stages.last_mut().unwrap().base = Base::Stage(other.parse().unwrap());
                }
                continue;
            }
            "COPY" => Action::Copy(copy(arguments, &directory)),
            "WORKDIR" => {
                directory = absolute(&directory, arguments);
                Action::Workdir(directory.clone())
            }
            "USER" => Action::User(arguments.to_owned()),
            _ => panic!("{text}"),
        };
        stages.last_mut().unwrap().steps.push(Step {
            line: at + 2,
            text: text.to_owned(),
            action,
        });
    }
    Recipe { stages }
}

fn copy(arguments: &str, directory: &str) -> Copy {
    let mut words: Vec<String> = match arguments.find('[') {
        Some(0) if arguments.ends_with(']') => serde_json::from_str(arguments).unwrap(),
        _ => arguments.split(' ').map(str::to_owned).collect(),
    };
    let flags = words.iter().take_while(|word| word.starts_with("--"));
    let flags: Vec<String> = words.drain(..flags.count()).collect();
    let flag = |name: &str| flags.iter().find_map(|flag| flag.strip_prefix(name));
    let owner = flag("--chown=").map(|owner| match owner.split_once(':') {
        Some((user, group)) => (user.to_owned(), Some(group.to_owned())),
        None => (owner.to_owned(), None),
    });
    Copy {
        is_add: flags.iter().any(|flag| flag == "--add"),
        from: match flag("--from=") {
            Some(stage) => Origin::Stage(stage.parse().unwrap()),
            None => Origin::Context,
        },
        destination: absolute(directory, &words.pop().unwrap()),
        sources: words,
        owner: owner.map(|(user, group)| Owner { user, group }),
        mode: flag("--chmod=").map(|mode| u32::from_str_radix(mode, 8).unwrap()),
        unset: Vec::new(),
    }
}

fn absolute(directory: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", directory.trim_end_matches('/')),
    }
}

fn planned(root: &Path, origins: &Origins, dockerfile: &str) -> Result<Plan, BuildError> {
    let context = Context::read(root, "Dockerfile").unwrap();
    let inputs = Inputs {
        context: &FileTree::of_context(&context, origins),
        images: &HashMap::new(),
    };
    plan(&recipe(dockerfile), &inputs)
}

fn built(plan: &Plan, compression: Compression, workers: usize) -> Vec<BuiltLayer> {
    let layers: Vec<_> = plan.layers.iter().collect();
    build_layers(&layers, compression, Some(workers), None, &|_| ()).unwrap()
}

/// The bytes of a layer as they travel.
fn bytes(layer: &BuiltLayer) -> Vec<u8> {
    let Content::File(file) = &layer.blob.content else {
        panic!("a layer is in a file");
    };
    let mut bytes = vec![0; layer.blob.descriptor.size as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn inflated(layer: &BuiltLayer) -> Vec<u8> {
    let compressed = bytes(layer);
    let mut tar = Vec::new();
    let mut gzip = flate2::read::MultiGzDecoder::new(&*compressed);
    gzip.read_to_end(&mut tar).unwrap();
    tar
}

/// What a layer holds: kind and mode, owner if it is not root's, path, content or target.
fn listed(tar: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let path = path.trim_end_matches('/').to_owned();
        let header = entry.header();
        let (mode, kind) = (header.mode().unwrap(), header.entry_type());
        let owner = match (header.uid().unwrap(), header.gid().unwrap()) {
            (0, 0) => String::new(),
            (uid, gid) => format!(" {uid}:{gid}"),
        };
        let target = entry.link_name_bytes();
        let target = target.map(|target| String::from_utf8(target.into_owned()).unwrap());
        lines.push(match target {
            Some(target) => format!("l{owner}\t{path}\t-> {target}"),
            None if kind.is_dir() => format!("d{mode:o}{owner}\t{path}"),
            None => {
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                let content = content.replace('\n', "\\n");
                format!("f{mode:o}{owner}\t{path}\t{content}")
            }
        });
    }
    lines
}
