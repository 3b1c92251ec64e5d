//! Packages as they become layers.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};

use crate::image::context::Context;
use crate::image::layers::{
    BaseConfig, BuildArgs, BuiltLayer, Dockerfile, FileTree, Inputs, Origins, build_layers, plan,
};
use crate::image::{Compression, Content};
use crate::oci::{Digest, Platform};
use crate::packages::{ListedKind, extract, list};
use crate::release::zipped;

/// More would say the same, and take longer.
const LARGEST: u64 = 4 << 20;

/// A zip that is taken is a layer whose digests verify and whose entries stay where they belong; it holds what the
/// extracted package holds, and one that cannot be extracted makes no layer.
pub(super) fn zip_layer(data: &[u8]) {
    let Ok(root) = tempfile::tempdir() else {
        return;
    };
    let (zip, context) = (root.path().join("p.zip"), root.path().join("context"));
    let written = fs::write(&zip, data).and_then(|()| fs::create_dir(&context));
    assert!(written.is_ok(), "the temporary folder cannot be written");
    let listed = match list(&zip) {
        Ok(listed) => listed,
        Err(error) => return super::is_one_line(&error.to_string()),
    };
    let mut size = 0;
    for (path, entry) in &listed {
        assert!(is_inside(path), "{}", path.display());
        match &entry.kind {
            ListedKind::Directory => {}
            ListedKind::File(file) => size += file.size,
            ListedKind::Link(target) => {
                let up = path.parent().map_or(0, |it| it.components().count());
                let climbs = Path::new(target).components();
                let climbs = climbs.filter(|it| *it == Component::ParentDir).count();
                assert!(climbs <= up && !target.starts_with('/'), "{target}");
            }
        }
    }
    // A name that would remove another file is refused when there is a layer to be made.
    let hides = listed.keys().flat_map(|path| path.iter());
    let mut hides = hides.filter(|name| name.as_encoded_bytes().starts_with(b".wh."));
    if size > LARGEST || hides.next().is_some() {
        return;
    }
    let into = root.path().join("extracted");
    let extracted = extract(&zip, &into);
    match (layer(&zip, &context), extracted) {
        (Ok(layer), Ok(_)) => assert_eq!(files_of_layer(&layer), files_below(&into)),
        (Err(error), Err(refusal)) => {
            super::is_one_line(&error);
            super::is_one_line(&refusal.to_string());
        }
        (Err(error), Ok(_)) => assert!(error.is_empty(), "extracted, and no layer: {error}"),
        (Ok(_), Err(refusal)) => {
            assert!(refusal.to_string().is_empty(), "a layer, though {refusal}")
        }
    }
}

fn is_inside(path: &Path) -> bool {
    let is_name = |part| matches!(part, Component::Normal(_));
    path.components().all(is_name) && path.components().next().is_some()
}

fn layer(zip: &Path, context: &Path) -> Result<BuiltLayer, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let nodes = zipped::nodes(zip, "lib").map_err(|it| text(&it))?;
    let context = Context::read(context, "Dockerfile").map_err(|it| text(&it))?;
    let mut tree = FileTree::of_context(&context, &Origins::new());
    tree.add(nodes, &context);
    let file = Dockerfile::parse("Dockerfile", "FROM scratch\nCOPY lib /app\n");
    let none = |_: &_, _: &_| BaseConfig::default();
    let recipe = file.and_then(|it| it.recipe(&Platform::default(), &BuildArgs::new(), &none));
    let inputs = Inputs {
        context: &tree,
        images: &HashMap::new(),
    };
    let plan = plan(&recipe.map_err(|it| text(&it))?, &inputs).map_err(|it| text(&it))?;
    let layers: Vec<_> = plan.layers.iter().collect();
    let built = build_layers(&layers, Compression::default(), Some(1), None, &|_| ());
    let built = built.map_err(|it| text(&it))?;
    built
        .into_iter()
        .next()
        .ok_or_else(|| "no layer".to_owned())
}

/// The files and links of a layer, which has to be what its digests say.
fn files_of_layer(layer: &BuiltLayer) -> BTreeMap<PathBuf, Vec<u8>> {
    let descriptor = &layer.blob.descriptor;
    let mut blob = vec![0; descriptor.size as usize];
    let read = match &layer.blob.content {
        Content::File(file) => file.read_exact_at(&mut blob, 0),
        Content::Memory(bytes) => (&**bytes).read_exact(&mut blob),
    };
    assert!(read.is_ok(), "the blob is shorter than its descriptor says");
    assert_eq!(descriptor.digest, Digest::sha256_of(&blob));
    let mut tar = Vec::new();
    let inflated = flate2::read::MultiGzDecoder::new(&*blob).read_to_end(&mut tar);
    assert!(inflated.is_ok(), "{inflated:?}");
    assert_eq!(layer.diff_id, Digest::sha256_of(&tar));
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(&*tar);
    for entry in archive.entries().into_iter().flatten() {
        assert!(entry.is_ok(), "no tar archive");
        let Ok(mut entry) = entry else { break };
        let path = entry
            .path()
            .map(|path| path.into_owned())
            .unwrap_or_default();
        assert!(is_inside(&path), "{}", path.display());
        let Ok(path) = path.strip_prefix("app").map(Path::to_owned) else {
            assert!(path.starts_with("app"), "{}", path.display());
            continue;
        };
        let mut content = Vec::new();
        match entry.link_name_bytes() {
            Some(target) => content.extend_from_slice(&target),
            None if entry.header().entry_type().is_dir() => continue,
            None => assert!(entry.read_to_end(&mut content).is_ok()),
        }
        files.insert(path, content);
    }
    files
}

fn files_below(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let content = match (fs::read_link(&path), fs::read_dir(&path)) {
            (Ok(target), _) => target.into_os_string().into_encoded_bytes(),
            (_, Ok(below)) => {
                open.extend(below.flatten().map(|entry| entry.path()));
                continue;
            }
            _ => fs::read(&path).unwrap_or_default(),
        };
        files.insert(path.strip_prefix(root).unwrap_or(&path).to_owned(), content);
    }
    files
}
