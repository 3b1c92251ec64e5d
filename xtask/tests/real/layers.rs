//! Layers of the layer builder, read by an engine, by skopeo, and by Python.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use xtask::image::context::Context;
use xtask::image::layers::{
    Action, Base, BuiltLayer, Copy, FileTree, Inputs, Origin, Origins, Owner, Recipe, Stage, Step,
    ZipEntry, ZipOrigin, build_layers, plan,
};
use xtask::image::{Compression, Content};
use xtask::oci::Digest;

use crate::servers::engine_image::skopeo;
use crate::servers::release_fixture::docker;

fn copy(source: &str, destination: &str, owner: Option<&str>) -> Step {
    let owner = owner.map(|user| Owner {
        user: user.to_owned(),
        group: None,
    });
    let copy = Copy {
        is_add: false,
        from: Origin::Context,
        sources: vec![source.to_owned()],
        destination: destination.to_owned(),
        owner,
        mode: None,
        unset: Vec::new(),
    };
    Step {
        line: 2,
        text: String::new(),
        action: Action::Copy(copy),
    }
}

/// `lib/large`, `lib/small` and `lib/tiny` come from a zip; the rest is what tar readers find hard.
fn context(root: &Path, long: &str) -> Origins {
    let zip = root.join("package.zip");
    let mut writer = zip::ZipWriter::new(File::create(&zip).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    let lib = root.join("context/lib");
    fs::create_dir_all(&lib).unwrap();
    for (name, lines) in [("large", 900_000_u32), ("small", 9_000), ("tiny", 3)] {
        let text: String = (0..lines)
            .map(|n| format!("{}\n", n * 4001 + std::process::id()))
            .collect();
        fs::write(lib.join(name), &text).unwrap();
        writer.start_file(name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let mut archive = zip::ZipArchive::new(File::open(&zip).unwrap()).unwrap();
    let origins = ["large", "small", "tiny"].map(|name| {
        let entry = archive.by_name(name).unwrap();
        let metadata = lib.join(name).metadata().unwrap();
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        let entry = ZipEntry {
            zip: zip.clone(),
            zip_digest: Digest::sha256_of(&fs::read(&zip).unwrap()),
            offset: entry.data_start().unwrap(),
            compressed: entry.compressed_size(),
            size: entry.size(),
            crc: entry.crc32(),
            is_deflated: true,
        };
        (format!("lib/{name}"), ZipOrigin { entry, changed })
    });
    let other = root.join("context/other");
    fs::create_dir_all(other.join(long).parent().unwrap()).unwrap();
    fs::write(other.join(long), "long").unwrap();
    fs::write(other.join("文件"), "中文").unwrap();
    fs::write(other.join("secret"), "s").unwrap();
    fs::set_permissions(other.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink(long, other.join("link")).unwrap();
    origins.into()
}

fn layers(root: &Path, origins: &Origins) -> Vec<BuiltLayer> {
    let recipe = Recipe {
        stages: vec![Stage {
            base: Base::Scratch,
            steps: vec![
                copy("lib", "/app/lib", Some("7")),
                copy("other", "/app", None),
            ],
        }],
    };
    let context = Context::read(&root.join("context"), "Dockerfile").unwrap();
    let inputs = Inputs {
        context: &FileTree::of_context(&context, origins),
        images: &HashMap::new(),
    };
    let plan = plan(&recipe, &inputs).unwrap();
    let layers: Vec<_> = plan.layers.iter().collect();
    build_layers(&layers, Compression::default(), None, None, &|_| ()).unwrap()
}

fn bytes(layer: &BuiltLayer) -> Vec<u8> {
    let Content::File(file) = &layer.blob.content else {
        panic!("a layer is in a file");
    };
    let mut bytes = vec![0; layer.blob.descriptor.size as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// What `docker load` reads.
fn archive(root: &Path, name: &str, layers: &[BuiltLayer]) -> PathBuf {
    let path = root.join("image.tar");
    let mut archive = tar::Builder::new(File::create(&path).unwrap());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content).unwrap();
    };
    let diff_ids: Vec<&Digest> = layers.iter().map(|layer| &layer.diff_id).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": { "Cmd": ["/none"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    add("config.json", config.to_string().as_bytes());
    let files: Vec<String> = (0..layers.len()).map(|at| format!("{at}.tar")).collect();
    for (layer, file) in layers.iter().zip(&files) {
        add(file, &bytes(layer));
    }
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": files }]);
    add("manifest.json", manifest.to_string().as_bytes());
    archive.finish().unwrap();
    path
}

/// Mode, user and content by path, of what a container would see below `/app`.
fn seen_by_the_engine(root: &Path, image: &str) -> HashMap<String, (u32, u64, Vec<u8>)> {
    let container = docker(&["create", "--network", "none", image]);
    let exported = root.join("exported.tar");
    docker(&["export", "--output", exported.to_str().unwrap(), &container]);
    docker(&["rm", &container]);
    let mut archive = tar::Archive::new(File::open(&exported).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let header = entry.header();
        let (mode, user) = (header.mode().unwrap() & 0o7777, header.uid().unwrap());
        let mut content = Vec::new();
        match entry.link_name_bytes() {
            Some(target) => content = target.into_owned(),
            None => drop(entry.read_to_end(&mut content).unwrap()),
        }
        (path, (mode, user, content))
    });
    entries
        .filter(|(path, _)| path.starts_with("app"))
        .collect()
}

#[test]
fn an_engine_has_the_files_that_the_layers_hold() {
    let root = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(150));
    let origins = context(root.path(), &long);
    let layers = layers(root.path(), &origins);
    let image = format!("xtask-layers-{}:1", std::process::id());
    let path = archive(root.path(), &image, &layers);
    // It checks every diff id.
    docker(&["load", "--input", path.to_str().unwrap()]);
    let seen = seen_by_the_engine(root.path(), &image);
    docker(&["image", "rm", "--force", &image]);

    let file = |name: &str| fs::read(root.path().join("context").join(name)).unwrap();
    for name in ["lib/large", "lib/small", "lib/tiny"] {
        let expected = (0o644, 7, file(name));
        assert!(seen[&format!("app/{name}")] == expected, "{name}");
    }
    assert_eq!(seen["app/lib/"], (0o755, 7, vec![]));
    assert_eq!(seen["app/secret"], (0o600, 0, b"s".to_vec()));
    assert_eq!(seen["app/文件"], (0o644, 0, "中文".into()));
    assert_eq!(seen["app/link"], (0o777, 0, long.clone().into()));
    assert_eq!(seen[&format!("app/{long}")], (0o644, 0, b"long".to_vec()));
    // With `app/` itself and the long name's directory.
    assert_eq!(seen.len(), 10, "{:?}", seen.keys());

    let unpacked = root.path().join("unpacked");
    // It checks every diff id as well.
    skopeo(&[
        &format!("docker-archive:{}", path.display()),
        &format!("dir:{}", unpacked.display()),
    ]);
}

#[test]
fn pythons_readers_see_one_archive() {
    let root = tempfile::tempdir().unwrap();
    let origins = context(root.path(), "long");
    let layer = &layers(root.path(), &origins)[0];
    let script = "import gzip, hashlib, io, sys, tarfile\n\
        tar = gzip.decompress(sys.stdin.buffer.read())\n\
        names = tarfile.open(fileobj=io.BytesIO(tar)).getnames()\n\
        print('sha256:' + hashlib.sha256(tar).hexdigest(), *names)";
    let python = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    // It is no party of the other tests: a machine may lack it.
    let Ok(mut python) = python else { return };
    python
        .stdin
        .take()
        .unwrap()
        .write_all(&bytes(layer))
        .unwrap();
    let output = python.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        format!(
            "{} app app/lib app/lib/large app/lib/small app/lib/tiny",
            layer.diff_id
        )
    );
}

#[test]
fn gzip_itself_sees_one_archive() {
    let root = tempfile::tempdir().unwrap();
    let origins = context(root.path(), "long");
    let layer = &layers(root.path(), &origins)[0];
    let path = root.path().join("layer");
    fs::write(&path, bytes(layer)).unwrap();
    let output = Command::new("gzip")
        .args(["-cd"])
        .stdin(File::open(path).unwrap())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(Digest::sha256_of(&output.stdout), layer.diff_id);
}
