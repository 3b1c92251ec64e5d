//! Files that are in a zip only.

use std::sync::Arc;

use super::moving::{package, text};
use super::*;
use crate::image::layers::{FileContent, Node, NodeKind, Source, ZipEntry};

fn file(entry: &ZipEntry) -> Node {
    let content = FileContent {
        size: entry.size,
        source: Source::Zip(Arc::new(entry.clone())),
    };
    node(NodeKind::File(content), 0o644)
}

fn node(kind: NodeKind, mode: u32) -> Node {
    Node {
        kind,
        mode,
        uid: 0,
        gid: 0,
        has_attributes: false,
    }
}

/// The plan for a context of these entries and nothing on the disk.
fn planned_of(entries: &[(String, ZipEntry)]) -> Plan {
    let nothing = context(&[]);
    let context = Context::read(nothing.path(), "Dockerfile").unwrap();
    let files = entries
        .iter()
        .map(|(path, entry)| (path.clone(), file(entry)));
    let lib = ("lib".to_owned(), node(NodeKind::Directory, 0o755));
    let mut tree = FileTree::of_context(&context, &Origins::new());
    tree.add(files.chain([lib]).collect(), &context);
    let inputs = Inputs {
        context: &tree,
        images: &HashMap::new(),
    };
    plan(&recipe("COPY lib /app"), &inputs).unwrap()
}

#[test]
fn they_make_the_layer_that_they_make_from_the_disk() {
    let package = package(&[
        ("one", text(100_000)),
        ("large", text(6 << 20)),
        ("tiny", text(1000)),
        ("empty", Vec::new()),
        ("stored", text(100_000)),
    ]);
    let disk = package.root.path().join("context");
    let on_disk = planned(&disk, &package.origins, "COPY lib /app").unwrap();
    let zipped = planned_of(&package.entries);
    for compression in [Compression::default(), Compression::Gzip(9)] {
        let layers = [&on_disk, &zipped].map(|plan| built(plan, compression, 2).remove(0));
        let digests = layers.map(|layer| (layer.diff_id, layer.blob.descriptor.digest));
        assert_eq!(digests[0], digests[1], "{compression}");
    }
    // Nobody needs the content to know that nothing changed.
    fs::remove_file(&package.entries[0].1.zip).unwrap();
    let again = planned_of(&package.entries[..3]).layers.remove(0);
    again.key(Compression::default()).unwrap();
}

#[test]
fn what_does_not_have_its_crc_is_an_error_also_where_it_is_compressed_anew() {
    let mut package = package(&[("tiny", text(1000)), ("stored", text(100_000))]);
    for at in [0, 1] {
        let (path, entry) = &mut package.entries[at];
        entry.crc ^= 1;
        let plan = planned_of(&[(path.clone(), entry.clone())]);
        let layers: Vec<_> = plan.layers.iter().collect();
        let built = build_layers(&layers, Compression::default(), Some(2), None, &|_| ());
        let text = built.unwrap_err().to_string();
        assert!(text.contains("is damaged in `"), "{path}: {text}");
    }
}

#[test]
fn what_the_context_excludes_is_left_out() {
    let root = context(&[]);
    fs::write(
        root.path().join(".dockerignore"),
        "**/*.tmp\nlib/d\n!lib/d/keep\nlib/gone\n",
    )
    .unwrap();
    let context = Context::read(root.path(), "Dockerfile").unwrap();
    let link = |path: &str| {
        let kind = NodeKind::Link("x".to_owned());
        (path.to_owned(), node(kind, 0o777))
    };
    let directory = |path: &str| (path.to_owned(), node(NodeKind::Directory, 0o755));
    let mut tree = FileTree::default();
    let links = [
        "lib/a",
        "lib/a.tmp",
        "lib/d/drop",
        "lib/d/keep",
        "lib/gone/x",
    ]
    .map(link);
    let directories = ["lib", "lib/d", "lib/gone"].map(directory);
    tree.add(directories.into_iter().chain(links).collect(), &context);
    let paths: Vec<&String> = tree.below("").map(|(path, _)| path).collect();
    assert_eq!(paths, ["lib", "lib/a", "lib/d", "lib/d/keep"]);
}

#[test]
fn an_empty_file_needs_no_stream() {
    let mut package = package(&[("empty", Vec::new())]);
    let (path, entry) = &mut package.entries[0];
    entry.compressed = 0;
    let layer = built(
        &planned_of(&[(path.clone(), entry.clone())]),
        Compression::default(),
        1,
    );
    let lines = listed(&inflated(&layer[0]));
    assert_eq!(lines.last().unwrap(), "f644\tapp/empty\t");
}
