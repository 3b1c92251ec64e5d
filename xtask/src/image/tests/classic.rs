//! `docker save` before engine 25, and those who write like it.

use super::*;

/// The archive of these images as engine 20.10 writes it: layers first, a repeated one as a link.
pub(super) fn classic(samples: &[Sample]) -> Files {
    let mut files = Files::new();
    let mut list = Vec::new();
    for sample in samples {
        let mut names: Vec<String> = Vec::new();
        for (number, layer) in sample.layers.iter().enumerate() {
            let name = format!("{}{number}/layer.tar", sample.architecture);
            let content = match sample.layers.iter().position(|it| it == layer) {
                Some(first) if first < number => Err(format!("../{}", names[first])),
                _ => Ok(layer.clone()),
            };
            files.push((name.clone(), content));
            names.push(name);
        }
        let config = format!("{}.json", sample.architecture);
        files.push((config.clone(), Ok(sample.config())));
        let tag = format!("app:{}", sample.architecture);
        list.push(json!({"Config": config, "RepoTags": [tag], "Layers": names}));
    }
    files.push(("manifest.json".to_owned(), json_bytes(json!(list))));
    files.push(("repositories".to_owned(), json_bytes(json!({"app": {}}))));
    files
}

#[tokio::test]
async fn every_layer_is_compressed_and_unpacks_to_its_diff_id() {
    let sample = Sample::new();
    let published = published(&classic(std::slice::from_ref(&sample))).await;
    assert_eq!(published.manifests.len(), 1);
    let (config, diff_ids) = &published.images()[0];
    assert_eq!(config["config"]["Cmd"], json!(["/x"]));
    assert_eq!(diff_ids, &sample.diff_ids());
    // Three different layers and the config.
    assert_eq!(published.blobs.len(), 4);
    let stored: usize = published.blobs.values().map(Bytes::len).sum();
    assert!((1_000_000..4_000_000).contains(&stored), "{stored}");
    assert!(published.bytes_read > 3_000_000);
}

#[tokio::test]
async fn the_digest_depends_on_the_compression_and_not_on_the_number_of_cores() {
    let archive = tar(&classic(&[Sample::new()]));
    let mut digests = Vec::new();
    for compression in ["gzip", "gzip:9", "zstd"] {
        for workers in [Some(1), Some(2), Some(7), None] {
            let options = Options {
                compression: compression.parse().unwrap(),
                workers,
                ..Options::default()
            };
            let published = read_from(delivered(&archive), options).await.unwrap();
            assert!(published.is_sound());
            digests.push(published.root().clone());
        }
        let digest = digests.last().unwrap().clone();
        assert!(digests.ends_with(&vec![digest; 4]), "{compression}");
    }
    digests.dedup();
    assert_eq!(digests.len(), 3);
}

#[tokio::test]
async fn order_and_names_in_the_archive_do_not_matter() {
    let mut files = classic(&[Sample::new()]);
    let digest = published(&files).await.root().clone();
    files.reverse();
    for (name, _) in &mut files {
        name.insert_str(0, "./");
    }
    assert_eq!(*published(&files).await.root(), digest);
}

#[tokio::test]
async fn an_archive_that_is_compressed_as_a_whole_is_the_same_image() {
    let archive = tar(&classic(&[Sample::new()]));
    let plain = read_archive(&archive).await.unwrap();
    let zstd = zstd::bulk::compress(&archive, 1).unwrap();
    for compressed in [gzip(&archive), zstd] {
        let unpacked = read_archive(&compressed).await.unwrap();
        assert_eq!(unpacked.root(), plain.root());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), compressed).unwrap();
        let input = Input::File(file.path().to_owned());
        let from_file = read_from(input, Options::default()).await.unwrap();
        assert_eq!(from_file.root(), plain.root());
    }
}

/// As crane and bazel do.
#[tokio::test]
async fn layers_that_came_compressed_are_not_touched() {
    let sample = Sample::new();
    let mut files = classic(std::slice::from_ref(&sample));
    for (name, content) in &mut files {
        if let (true, Ok(content)) = (name.ends_with("layer.tar"), content) {
            *content = gzip(content);
        }
    }
    let published = published(&files).await;
    for layer in &sample.layers {
        assert!(
            published
                .blobs
                .contains_key(&Digest::sha256_of(&gzip(layer)))
        );
    }
}

#[tokio::test]
async fn images_for_several_platforms_become_an_index_in_one_order() {
    let arm = Sample {
        architecture: "arm64",
        layers: vec![layer("arm", 10)],
    };
    let there = joined(&classic(&[arm.clone(), Sample::new()])).await;
    let back = joined(&classic(&[Sample::new(), arm])).await;
    assert_eq!(there.root(), back.root());
    let oci::Content::Index(index) = there.manifest().content().unwrap() else {
        panic!("an index");
    };
    let platforms: Vec<String> = index
        .manifests
        .iter()
        .map(|it| it.platform.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
}
