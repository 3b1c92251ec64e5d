//! OCI image layouts: archives and directories, of engines since 25, buildx and others.

use std::os::unix::fs::MetadataExt as _;

use super::classic::classic;
use super::*;

#[derive(Default)]
pub(super) struct Layout {
    pub files: Files,
}

impl Layout {
    pub fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = Digest::sha256_of(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        let name = format!("blobs/sha256/{}", digest.hex());
        if !self.files.iter().any(|it| it.0 == name) {
            self.files.push((name, Ok(bytes)));
        }
        descriptor
    }

    pub fn document(&mut self, media_type: &str, mut document: Value) -> Value {
        document["schemaVersion"] = 2.into();
        document["mediaType"] = media_type.into();
        self.blob(media_type, document.to_string().into_bytes())
    }

    /// The manifest of `sample` with `layers`, its layers in the form that `packed` gives them.
    pub fn image(&mut self, sample: &Sample, packed: fn(&[u8]) -> Vec<u8>) -> Value {
        let config = self.blob("application/vnd.oci.image.config.v1+json", sample.config());
        let layers: Vec<Value> = sample
            .layers
            .iter()
            .map(|layer| self.blob("application/vnd.oci.image.layer.v1.tar+gzip", packed(layer)))
            .collect();
        let manifest = json!({"config": config, "layers": layers, "annotations": {"a": "b"}});
        self.document(oci::media_type::OCI_MANIFEST, manifest)
    }

    /// The layout whose `index.json` lists these.
    pub fn with(mut self, manifests: &[Value]) -> Files {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        self.files
            .push(("index.json".to_owned(), json_bytes(index)));
        let version = json!({"imageLayoutVersion": "1.0.0"});
        self.files
            .push(("oci-layout".to_owned(), json_bytes(version)));
        self.files
    }
}

fn plain(layer: &[u8]) -> Vec<u8> {
    layer.to_vec()
}

fn zstd(layer: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(layer, 1).unwrap()
}

/// As buildx writes it: an index with an attestation for one of its images.
fn multi_platform(packed: fn(&[u8]) -> Vec<u8>) -> Files {
    let mut layout = Layout::default();
    let mut children = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let sample = Sample {
            architecture,
            ..Sample::new()
        };
        let mut child = layout.image(&sample, packed);
        child["platform"] = json!({"architecture": architecture, "os": "linux"});
        children.push(child);
    }
    let statement = layout.blob(
        "application/vnd.in-toto+json",
        json!({"predicate": {}}).to_string().into_bytes(),
    );
    let config = json!({"architecture": "unknown", "os": "unknown", "rootfs": {"diff_ids": [statement["digest"]]}});
    let config = layout.blob(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().into_bytes(),
    );
    let manifest = json!({"config": config, "layers": [statement]});
    let mut attestation = layout.document(oci::media_type::OCI_MANIFEST, manifest);
    attestation["platform"] = json!({"architecture": "unknown", "os": "unknown"});
    attestation["annotations"] = json!({
        "vnd.docker.reference.digest": children[0]["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    });
    children.push(attestation);
    let index = layout.document(
        oci::media_type::OCI_INDEX,
        json!({"manifests": children, "unknown": 1}),
    );
    layout.with(&[index])
}

fn listed(files: &Files) -> Vec<Digest> {
    let index = files.iter().find(|it| it.0 == "index.json").unwrap();
    let index: Value = serde_json::from_slice(index.1.as_ref().unwrap()).unwrap();
    let manifests = index["manifests"].as_array().unwrap().iter();
    manifests
        .map(|it| serde_json::from_value(it["digest"].clone()).unwrap())
        .collect()
}

#[tokio::test]
async fn an_image_whose_layers_are_compressed_keeps_its_bytes() {
    for packed in [gzip, zstd] {
        let mut layout = Layout::default();
        let image = layout.image(&Sample::new(), packed);
        let files = layout.with(&[image]);
        let published = published(&files).await;
        assert_eq!([published.root().clone()], listed(&files)[..]);
        assert_eq!(published.blobs.len(), 4);
    }
}

#[tokio::test]
async fn a_layer_that_came_compressed_beside_others_keeps_its_bytes_and_its_place() {
    let sample = Sample::new();
    for number in 0..3 {
        let mut layout = Layout::default();
        let config = layout.blob("application/vnd.oci.image.config.v1+json", sample.config());
        let packed = gzip(&sample.layers[number]);
        let layers: Vec<Value> = sample
            .layers
            .iter()
            .map(|layer| match *layer == sample.layers[number] {
                true => layout.blob(
                    "application/vnd.oci.image.layer.v1.tar+gzip",
                    packed.clone(),
                ),
                false => layout.blob("application/vnd.oci.image.layer.v1.tar", layer.clone()),
            })
            .collect();
        let manifest = json!({"config": config, "layers": layers});
        let manifest = layout.document(oci::media_type::OCI_MANIFEST, manifest);
        let published = published(&layout.with(&[manifest])).await;
        assert!(published.blobs.contains_key(&Digest::sha256_of(&packed)));
    }
}

/// As others do that keep blobs under their digests and list them for `docker load` alone.
#[tokio::test]
async fn layers_that_came_compressed_under_their_digests_are_paired_by_place() {
    let sample = Sample::new();
    let mut layout = Layout::default();
    layout.image(&sample, gzip);
    let mut files = layout.files;
    files.pop();
    let name = |content: &[u8]| format!("blobs/sha256/{}", Digest::sha256_of(content).hex());
    let layers: Vec<String> = sample.layers.iter().map(|it| name(&gzip(it))).collect();
    let list = json!([{"Config": name(&sample.config()), "Layers": layers}]);
    files.push(("manifest.json".to_owned(), json_bytes(list)));
    assert_eq!(published(&files).await.blobs.len(), 4);
}

#[tokio::test]
async fn an_index_with_attestations_keeps_its_bytes() {
    let files = multi_platform(gzip);
    let published = published(&files).await;
    assert_eq!([published.root().clone()], listed(&files)[..]);
    assert_eq!(published.manifests.len(), 4);
}

#[tokio::test]
async fn an_index_follows_the_images_that_were_compressed() {
    let published = published(&multi_platform(plain)).await;
    let root: Value = serde_json::from_slice(published.manifest().bytes()).unwrap();
    assert_eq!(root["unknown"], 1);
    let children = root["manifests"].as_array().unwrap();
    assert_eq!(children[1]["platform"]["architecture"], "arm64");
    let subject = &children[2]["annotations"]["vnd.docker.reference.digest"];
    assert_eq!(*subject, children[0]["digest"]);
    for (child, manifest) in children.iter().zip(&published.manifests) {
        assert_eq!(child["digest"], json!(manifest.digest()));
        assert_eq!(child["size"], manifest.bytes().len());
    }
}

/// Engines 25.0 to 27.0 list each different layer once, in any order (moby, 1e335cfa74).
#[tokio::test]
async fn an_engine_that_lists_layers_in_any_order_gives_the_image_of_an_older_one() {
    let sample = Sample::new();
    let classic = published(&classic(std::slice::from_ref(&sample))).await;
    let mut layout = Layout::default();
    let config = layout.blob("application/vnd.oci.image.config.v1+json", sample.config());
    let layers: Vec<Value> = [2, 0, 1]
        .iter()
        .map(|&n| {
            let layer = sample.layers[n].clone();
            layout.blob("application/vnd.oci.image.layer.v1.tar", layer)
        })
        .collect();
    let manifest = json!({"config": config, "layers": layers});
    let manifest = layout.document(oci::media_type::OCI_MANIFEST, manifest);
    let published = published(&layout.with(&[manifest])).await;
    assert_eq!(published.root(), classic.root());
    assert_eq!(published.images()[0].1, sample.diff_ids());
}

#[tokio::test]
async fn two_names_of_one_image_are_one_image() {
    let mut layout = Layout::default();
    let mut one = layout.image(&Sample::new(), plain);
    let mut other = one.clone();
    one["annotations"] = json!({"org.opencontainers.image.ref.name": "1.2.3"});
    other["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    let published = published(&layout.with(&[one, other])).await;
    assert_eq!(published.manifests.len(), 1);
}

#[tokio::test]
async fn images_side_by_side_become_an_index_without_the_archives_names() {
    let mut layout = Layout::default();
    let mut children = ["arm64", "amd64"].map(|architecture| {
        let sample = Sample {
            architecture,
            ..Sample::new()
        };
        layout.image(&sample, gzip)
    });
    children[0]["annotations"] = json!({
        "io.containerd.image.name": "app:arm",
        "config.digest": "sha256:…",
        "containerd.io/distribution.source.r.example": "app",
        "kept": "yes",
    });
    let published = joined(&layout.with(&children)).await;
    let root: Value = serde_json::from_slice(published.manifest().bytes()).unwrap();
    let platform = |n: usize| root["manifests"][n]["platform"]["architecture"].clone();
    assert_eq!([platform(0), platform(1)], ["amd64", "arm64"]);
    assert_eq!(root["manifests"][1]["annotations"], json!({"kept": "yes"}));
}

#[tokio::test]
async fn images_of_one_name_or_none_are_one_image_for_several_platforms() {
    for names in [&["1"][..], &[], &["1", "latest"]] {
        let mut layout = Layout::default();
        let mut listed = Vec::new();
        for architecture in ["amd64", "arm64"] {
            let sample = Sample {
                architecture,
                ..Sample::new()
            };
            let image = layout.image(&sample, gzip);
            listed.extend(names.is_empty().then(|| image.clone()));
            listed.extend(names.iter().map(|name| {
                let mut named = image.clone();
                named["annotations"] = json!({"org.opencontainers.image.ref.name": name});
                named
            }));
        }
        let published = published(&layout.with(&listed)).await;
        let content = published.manifest().content().unwrap();
        assert!(matches!(content, oci::Content::Index(_)), "{names:?}");
    }
}

#[tokio::test]
async fn an_artifact_passes_as_it_is() {
    let mut layout = Layout::default();
    let large = [b"{", &[b' '; 5 << 20][..], b"}"].concat();
    let layers = [
        layout.blob("application/spdx+json", large.clone()),
        layout.blob("text/plain", b"small".to_vec()),
    ];
    let config = layout.blob("application/vnd.oci.empty.v1+json", b"{}".to_vec());
    let manifest = json!({"config": config, "layers": layers});
    let manifest = layout.document(oci::media_type::OCI_MANIFEST, manifest);
    let files = layout.with(&[manifest]);
    let read = read_archive(&tar(&files)).await.unwrap();
    assert_eq!([read.root().clone()], listed(&files)[..]);
    assert!(read.blobs.contains_key(&Digest::sha256_of(&large)));
    assert_eq!(read.blobs.len(), 3);
}

#[tokio::test]
async fn a_directory_is_the_same_image_and_what_nothing_lists_stays_there() {
    for packed in [gzip, plain] {
        let files = multi_platform(packed);
        let archive = published(&files).await;
        let directory = tempfile::tempdir().unwrap();
        let left_behind = (
            format!("blobs/sha256/{}", Digest::sha256_of(b"x").hex()),
            Ok(layer("left behind", 100)),
        );
        for (name, content) in files.iter().chain([&left_behind]) {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.as_ref().unwrap()).unwrap();
        }
        let input = Input::Directory(directory.path().to_owned());
        let published = read_from(input, Options::default()).await.unwrap();
        assert_eq!(published.root(), archive.root());
        assert_eq!(
            published.blobs.keys().collect::<Vec<_>>(),
            archive.blobs.keys().collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn an_image_with_its_signature_is_that_image() {
    let mut layout = Layout::default();
    let config = layout.blob("application/vnd.oci.empty.v1+json", b"{}".to_vec());
    let layers = [layout.blob("text/plain", b"signature".to_vec())];
    let mut files = multi_platform(gzip);
    let [image] = &listed(&files)[..] else {
        panic!("one image")
    };
    let image = image.clone();
    let subject = json!({"mediaType": oci::media_type::OCI_INDEX, "digest": image, "size": 1});
    let manifest = json!({"config": config, "layers": layers, "subject": subject});
    let signature = layout.document(oci::media_type::OCI_MANIFEST, manifest);
    let index = files.iter_mut().find(|(name, _)| name == "index.json");
    let (_, index) = index.unwrap();
    let mut document: Value = serde_json::from_slice(index.as_ref().unwrap()).unwrap();
    let children = document["manifests"].as_array_mut().unwrap();
    children.push(serde_json::to_value(signature).unwrap());
    *index = json_bytes(document);
    let more = layout.with(&[]);
    files.extend(
        more.into_iter()
            .filter(|(name, _)| name.starts_with("blobs/")),
    );
    assert_eq!(*published(&files).await.root(), image);

    let directory = tempfile::tempdir().unwrap();
    for (name, content) in &files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content.as_ref().unwrap()).unwrap();
    }
    let input = Input::Directory(directory.path().to_owned());
    let read = read_from(input, Options::default()).await.unwrap();
    assert_eq!(*read.root(), image);
}

#[tokio::test]
async fn layers_that_stay_as_they_are_in_a_directory_are_handed_out_where_they_are() {
    for (packed, keeps_layers, are_there) in [
        (gzip as fn(&[u8]) -> Vec<u8>, false, true),
        (plain, true, true),
        (plain, false, false),
    ] {
        let sample = Sample::new();
        let mut layout = Layout::default();
        let image = layout.image(&sample, packed);
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in layout.with(&[image]) {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content.unwrap()).unwrap();
        }
        let files = std::fs::read_dir(directory.path().join("blobs/sha256")).unwrap();
        let files: Vec<u64> = files
            .map(|it| it.unwrap().metadata().unwrap().ino())
            .collect();
        let layers = Mutex::new(0);
        let listener = |event| {
            if let Event::Ready(blob) = event
                && let Content::File(file) = blob.content
            {
                *layers.lock().unwrap() += 1;
                assert_eq!(files.contains(&file.metadata().unwrap().ino()), are_there);
                let size = file.metadata().unwrap().len();
                assert_eq!(blob.descriptor.size, size);
            }
        };
        let options = Options {
            keeps_layers,
            ..Options::default()
        };
        let input = Input::Directory(directory.path().to_owned());
        let manifests = read(input, options, &listener).await.unwrap();
        assert_eq!(manifests.len(), 1);
        assert_eq!(*layers.lock().unwrap(), 3);
    }
}
