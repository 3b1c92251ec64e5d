//! What the engine builds of a Dockerfile and what the layer builder makes of it: the same files, and the same
//! settings.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use xtask::engine::{BuildPlan, Engine};
use xtask::image::context::Context;
use xtask::image::layers::{
    self, Base, BaseImage, ConfigDocument, Contents, Dockerfile, FileTree, Inputs, Origins,
    Release, StepLayer, build_layers, plan,
};
use xtask::image::{Compression, Content, ImageFile, ImageFiles};
use xtask::oci::{Digest, Platform, Reference};

use crate::engine::{NOBODY, architecture, engine};
use crate::servers::release_fixture::docker;

#[derive(Default)]
struct Case {
    name: String,
    /// Path, and mode and content, or target.
    files: Vec<String>,
    dockerfile: String,
    error: Option<String>,
    /// Only the layer builder refuses it.
    is_for_engine: bool,
    /// The first engine that makes of it what the newest does.
    since: u32,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("../data/dockerfiles.txt").lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        let case = cases.last_mut();
        match (first, case) {
            ("" | "#", _) => {}
            ("case", _) => cases.push(Case {
                name: rest.to_owned(),
                ..Case::default()
            }),
            ("+", Some(case)) => case.files.push(rest.to_owned()),
            ("|", Some(case)) => case.dockerfile += &format!("{rest}\n"),
            ("since", Some(case)) => case.since = rest.parse().unwrap(),
            ("!" | "!layers", Some(case)) => {
                case.error = Some(rest.to_owned());
                case.is_for_engine = first == "!layers";
            }
            _ => panic!("{line}"),
        }
    }
    cases
}

/// Writes the context.
fn write(root: &Path, case: &Case, base: &str) {
    let mut modes = Vec::new();
    for file in &case.files {
        let fields: Vec<&str> = file.split('\t').collect();
        let path = root.join(fields[0]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some(target) = fields[1].strip_prefix("-> ") {
            symlink(target, path).unwrap();
            continue;
        }
        if let Some(other) = fields[1].strip_prefix("=> ") {
            fs::hard_link(root.join(other), path).unwrap();
            continue;
        }
        match fields.get(2) {
            Some(content) => fs::write(&path, content.replace("\\n", "\n")).unwrap(),
            None => fs::create_dir_all(&path).unwrap(),
        }
        modes.push((path, u32::from_str_radix(fields[1], 8).unwrap()));
    }
    // The innermost first.
    for (path, mode) in modes.into_iter().rev() {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let dockerfile = case.dockerfile.replace("@base", base);
    fs::write(root.join("Dockerfile"), dockerfile).unwrap();
}

fn platform() -> Platform {
    format!("linux/{}", architecture()).parse().unwrap()
}

fn args() -> BTreeMap<String, String> {
    BTreeMap::from([("VERSION".to_owned(), "1.2.3".to_owned())])
}

async fn by_engine(engine: &Engine, root: &Path, tag: &str) -> Result<(), String> {
    let plan = BuildPlan {
        context: root.to_owned(),
        dockerfile: "Dockerfile".to_owned(),
        tag: tag.to_owned(),
        platform: platform(),
        args: args(),
        labels: BTreeMap::new(),
        timestamp: 1_700_000_000,
    };
    let built = engine.build(&plan, &NOBODY, &|_| ()).await;
    built.map(drop).map_err(|error| error.to_string())
}

/// The image of the first case, as the engine exports it.
struct BaseOfCases {
    _directory: tempfile::TempDir,
    name: String,
    config: Vec<u8>,
    layers: Vec<PathBuf>,
}

impl BaseOfCases {
    fn of_engine(name: &str) -> BaseOfCases {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let archive = root.join("image.tar");
        docker(&["save", "--output", archive.to_str().unwrap(), name]);
        tar::Archive::new(File::open(archive).unwrap())
            .unpack(root)
            .unwrap();
        let read = |name: &str| fs::read(root.join(name)).unwrap();
        let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
        let layers = manifest[0]["Layers"].as_array().unwrap().iter();
        let layers = layers.map(|layer| root.join(layer.as_str().unwrap()));
        BaseOfCases {
            name: name.to_owned(),
            config: read(manifest[0]["Config"].as_str().unwrap()),
            layers: layers.collect(),
            _directory: directory,
        }
    }

    fn image(&self) -> BaseImage {
        let mut tree = FileTree::default();
        for layer in &self.layers {
            let layer = File::open(layer).unwrap();
            tree.apply_compressed(&layer, Contents::Kept).unwrap();
        }
        let config: Value = serde_json::from_slice(&self.config).unwrap();
        let user = config["config"]["User"].as_str().unwrap_or_default();
        BaseImage {
            tree,
            user: user.to_owned(),
        }
    }
}

/// The files of the image that the layer builder makes, below `out`.
fn by_layers(root: &Path, out: &Path, base: Option<&BaseOfCases>) -> Result<ImageFiles, String> {
    let text = fs::read_to_string(root.join("Dockerfile")).unwrap();
    let dockerfile = Dockerfile::parse("Dockerfile", &text).map_err(|it| it.to_string())?;
    if let Some(reason) = dockerfile.needs_engine() {
        return Err(reason.to_string());
    }
    let platform = platform();
    let bases = dockerfile.bases(&platform, &args());
    let mut images = HashMap::new();
    for named in bases.map_err(|it| it.to_string())? {
        images.insert(named, base.unwrap().image());
    }
    let config = || ConfigDocument::of_base(&base.unwrap().config).unwrap();
    let base_config = |_: &Reference, _: &Platform| config().inherited();
    let recipe = dockerfile
        .recipe(&platform, &args(), &base_config)
        .map_err(|it| it.to_string())?;
    let context = Context::read(root, "Dockerfile").unwrap();
    let inputs = Inputs {
        context: &FileTree::of_context(&context, &Origins::new()),
        images: &images,
    };
    let plan = plan(&recipe, &inputs).map_err(|it| it.to_string())?;
    let planned: Vec<_> = plan.layers.iter().collect();
    let built = build_layers(&planned, Compression::default(), None, None, &|_| ()).unwrap();
    let (mut files, document) = match layers::base(&recipe) {
        Base::Image { .. } => (base.unwrap().layers.clone(), config()),
        _ => (Vec::new(), ConfigDocument::scratch(&platform)),
    };
    let mut own = Vec::new();
    for (planned, built) in plan.layers.iter().zip(built) {
        let path = out.join(built.blob.descriptor.digest.hex());
        let Content::File(mut layer) = built.blob.content else {
            panic!("a layer is in a file");
        };
        std::io::Seek::rewind(&mut layer).unwrap();
        std::io::copy(&mut layer, &mut File::create(&path).unwrap()).unwrap();
        files.push(path);
        own.push(StepLayer {
            stage: planned.stage,
            step: planned.step,
            diff_id: built.diff_id,
            descriptor: built.blob.descriptor,
        });
    }
    let release = Release {
        created: "2026-01-01T00:00:00Z",
        labels: &BTreeMap::new(),
    };
    let config = layers::config(&recipe, document, &own, &release);
    let path = out.join("config.json");
    fs::write(&path, config).unwrap();
    let numbered = files.into_iter().enumerate();
    Ok(ImageFiles {
        config: ImageFile {
            name: "config.json".to_owned(),
            path,
        },
        layers: numbered
            .map(|(number, path)| ImageFile {
                name: format!("{number}.tar"),
                path,
            })
            .collect(),
    })
}

/// Kind, mode, owner and content or target of every file that a container of the image sees.
fn files(image: &str) -> BTreeMap<String, String> {
    let container = docker(&["create", "--network=none", image, "nothing"]);
    let export = Command::new("docker")
        .args(["export", container.trim()])
        .output();
    docker(&["rm", "--force", "--volumes", container.trim()]);
    let export = export.unwrap().stdout;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for entry in tar::Archive::new(&*export).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let path = path.trim_end_matches('/').to_owned();
        let header = entry.header();
        let meta = format!(
            "{:o} {}:{}",
            header.mode().unwrap() & 0o7777,
            header.uid().unwrap(),
            header.gid().unwrap()
        );
        let kind = header.entry_type();
        let target = entry.link_name_bytes().map(|target| target.into_owned());
        let target = target.map(|target| String::from_utf8(target).unwrap());
        let seen = match target {
            Some(target) if kind.is_hard_link() => files[&target].clone(),
            Some(target) => format!("{meta} link to {target}"),
            None if kind.is_dir() => format!("{meta} directory"),
            None => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                format!("{meta} file {}", Digest::sha256_of(&content))
            }
        };
        files.insert(path, seen);
    }
    files
}

/// What the image says of how it runs.
fn settings(image: &str) -> BTreeMap<String, String> {
    let inspected = docker(&["image", "inspect", "--format", "{{json .}}", image]);
    let mut inspected: Value = serde_json::from_str(&inspected).unwrap();
    let mut settings = BTreeMap::new();
    for field in ["Architecture", "Os", "Variant", "Author"] {
        settings.insert(field.to_owned(), inspected[field].to_string());
    }
    let Value::Object(config) = inspected["Config"].take() else {
        panic!("{inspected}");
    };
    for (field, value) in config {
        // Nothing and an empty value are the same; the others are of the build's container, or for Windows.
        let is_empty =
            [json!(null), json!({}), json!([]), json!(""), json!(false)].contains(&value);
        if !is_empty && !["Image", "Hostname", "ArgsEscaped"].contains(&&*field) {
            settings.insert(field, value.to_string());
        }
    }
    settings
}

/// What is not the same, each with the engine's first.
fn differences(engine: BTreeMap<String, String>, layers: BTreeMap<String, String>) -> Vec<String> {
    let names = engine.keys().chain(layers.keys());
    let names: std::collections::BTreeSet<_> = names.collect();
    let differ = names
        .into_iter()
        .filter(|name| engine.get(*name) != layers.get(*name));
    let value = |of: &BTreeMap<String, String>, name: &str| of.get(name).cloned();
    differ
        .map(|name| {
            let (one, other) = (value(&engine, name), value(&layers, name));
            let text = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
            format!(
                "  `{name}`: engine {}\n  {:>w$}: layers {}",
                text(one),
                "",
                text(other),
                w = name.len() + 2
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_builder_makes_what_the_engine_builds() {
    let engine = engine().await;
    let prefix = format!("xtask-equal-{}", std::process::id());
    let mut base: Option<BaseOfCases> = None;
    let mut wrong = Vec::new();
    let mut images = Vec::new();
    let cases = cases();
    assert!(cases.len() > 50, "{} cases", cases.len());
    let version = docker(&["version", "--format", "{{.Server.Version}}"]);
    let version: u32 = version.split('.').next().unwrap().parse().unwrap();
    let known = cases.iter().filter(|case| case.since <= version);
    for (number, case) in known.enumerate() {
        let root = tempfile::tempdir().unwrap();
        let out = tempfile::tempdir().unwrap();
        let name = base.as_ref().map_or("none", |base| &base.name);
        write(root.path(), case, name);
        let [theirs, ours] = ["engine", "layers"].map(|it| format!("{prefix}-{it}:{number}"));
        images.extend([theirs.clone(), ours.clone()]);
        let built = by_engine(&engine, root.path(), &theirs).await;
        let made = by_layers(root.path(), out.path(), base.as_ref());
        let mut differ = Vec::new();
        match (built, made, &case.error) {
            (built, Err(reason), Some(expected)) => {
                if !reason.contains(expected) {
                    differ.push(format!("  it is refused because {reason}"));
                }
                if built.is_ok() && !case.is_for_engine {
                    differ.push("  the engine builds it".to_owned());
                }
            }
            (Ok(()), Ok(image), None) => {
                if let Err(error) = engine.load(image, &ours).await {
                    differ.push(format!("  {error}"));
                } else {
                    differ.extend(differences(files(&theirs), files(&ours)));
                    differ.extend(differences(settings(&theirs), settings(&ours)));
                }
                if number == 0 {
                    base = Some(BaseOfCases::of_engine(&theirs));
                }
            }
            (built, made, _) => {
                let made = made.map(|_| "made");
                differ.push(format!("  engine {built:?}\n  layers {made:?}"));
            }
        }
        if !differ.is_empty() {
            let (name, text) = (&case.name, differ.join("\n"));
            wrong.push(format!("{name}:\n{}\n{text}", case.dockerfile));
        }
    }
    let remove: Vec<&str> = images.iter().map(String::as_str).collect();
    let _ = Command::new("docker")
        .args(["image", "rm", "--force"])
        .args(&remove)
        .output();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_runs_what_the_layer_builder_made_and_finds_it_healthy() {
    let engine = engine().await;
    let case = Case {
        dockerfile: r#"FROM scratch
            COPY --chmod=755 busybox /bin/busybox
            COPY said /srv/said
            USER 1000
            WORKDIR /srv
            HEALTHCHECK --interval=1s --retries=60 CMD ["/bin/busybox", "grep", "healthy", "said"]
            CMD ["/bin/busybox", "sleep", "600"]"#
            .to_owned(),
        files: vec!["said\t644\thealthy".to_owned()],
        ..Case::default()
    };
    let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(root.path(), &case, "none");
    let shell = fs::copy("/bin/busybox", root.path().join("busybox"));
    shell.expect("a static busybox; hint: xtask/tests/setup");
    let image = by_layers(root.path(), out.path(), None).unwrap();
    let name = format!("xtask-healthy-{}:1", std::process::id());
    engine.load(image, &name).await.unwrap();
    let container = docker(&["run", "--detach", "--network=none", &name]);
    let state = ["inspect", "--format", "{{.State.Health.Status}}"];
    let health = loop {
        match docker(&[&state[..], &[&container]].concat()) {
            health if health != "starting" => break health,
            _ => std::thread::sleep(std::time::Duration::from_millis(200)),
        }
    };
    docker(&["rm", "--force", &container]);
    docker(&["image", "rm", "--force", &name]);
    assert_eq!(health, "healthy");
}
