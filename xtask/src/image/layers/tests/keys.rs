//! The keys that layers are remembered by.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use super::moving::{package, text};
use super::*;
use crate::oci::Digest;

fn keys(root: &Path, origins: &Origins, dockerfile: &str) -> Vec<Digest> {
    let plan = planned(root, origins, dockerfile).unwrap();
    let layers = plan.layers.iter();
    layers
        .map(|layer| layer.key(Compression::default()).unwrap())
        .collect()
}

#[test]
fn the_same_files_have_the_same_key_wherever_and_whenever() {
    let files = ["a/b\t644\tB", "a/c\t755\tC", "a/l\t-> b"];
    let (one, other) = (context(&files), context(&files));
    let file = fs::File::options()
        .write(true)
        .open(other.path().join("a/b"))
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600))
        .unwrap();
    let dockerfile = "COPY a /app";
    assert_eq!(
        keys(one.path(), &Origins::new(), dockerfile),
        keys(other.path(), &Origins::new(), dockerfile)
    );
}

#[test]
fn whatever_changes_the_bytes_changes_the_key() {
    let variants = [
        (["a/b\t644\tB", "a/l\t-> b"], "COPY a /app"),
        (["a/b\t644\tC", "a/l\t-> b"], "COPY a /app"),
        (["a/b\t600\tB", "a/l\t-> b"], "COPY a /app"),
        (["a/c\t644\tB", "a/l\t-> b"], "COPY a /app"),
        (["a/b\t644\tB", "a/l\t-> c"], "COPY a /app"),
        (["a/b\t644\tB", "a/l\t-> b"], "COPY --chown=7 a /app"),
        (["a/b\t644\tB", "a/l\t-> b"], "COPY --chown=0:7 a /app"),
        (["a/b\t644\tB", "a/l\t-> b"], "COPY a /b"),
        (["a/b\t644\tB", "a/l/b\t644\tB"], "COPY a /app"),
    ];
    let mut seen = HashSet::new();
    for (files, dockerfile) in variants {
        let root = context(&files);
        let key = keys(root.path(), &Origins::new(), dockerfile).remove(0);
        assert!(seen.insert(key), "{files:?} {dockerfile}");
    }
    let root = context(&["a/b\t644\tB", "a/l\t-> b"]);
    let plan = planned(root.path(), &Origins::new(), "COPY a /app").unwrap();
    for compression in [Compression::Gzip(9), Compression::Zstd(3)] {
        assert!(seen.insert(plan.layers[0].key(compression).unwrap()));
    }
}

#[test]
fn a_file_of_a_zip_is_named_by_it_and_not_read() {
    let package = package(&[("one", text(100_000))]);
    let context = package.root.path().join("context");
    let key = |origins: &Origins| keys(&context, origins, "COPY lib /app").remove(0);
    let moved = key(&package.origins);
    assert_ne!(moved, key(&Origins::new()));
    let mut others = package.origins.clone();
    others.get_mut("lib/one").unwrap().entry.zip_digest = Digest::sha256_of(b"another");
    assert_ne!(moved, key(&others));
    let plan = planned(&context, &package.origins, "COPY lib /app").unwrap();
    fs::remove_file(context.join("lib/one")).unwrap();
    assert_eq!(plan.layers[0].key(Compression::default()).unwrap(), moved);
}

#[test]
fn the_bytes_of_a_layer_are_those_that_its_key_stands_for() {
    let package = package(&[("one", text(100_000)), ("tiny", text(1000))]);
    let long = format!("lib/{}\t600\tlong", "n".repeat(120));
    let more = context(&[&long, "lib/link\t-> one", "lib/d/\t750"]);
    let context = package.root.path().join("context");
    fs::rename(more.path().join("lib"), context.join("more")).unwrap();
    let plan = planned(&context, &package.origins, "COPY lib more /app/").unwrap();
    let layer = built(&plan, Compression::default(), 2).remove(0);
    assert_eq!(
        layer.blob.descriptor.digest.as_str(),
        "sha256:8fe5c8e96fc917a966b82cf6706a82dc86a7f192c8e9e75790eb07f803c62182",
        "if that is meant: raise `FORMAT` in `key.rs`, so that no layer of old bytes is remembered"
    );
}
