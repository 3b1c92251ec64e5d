//! Archives that are cut off, incomplete, damaged, or none at all.

use super::classic::classic;
use super::layout::Layout;
use super::*;

pub(super) fn gzipped_layout() -> Files {
    let mut layout = Layout::default();
    let image = layout.image(&Sample::new(), gzip);
    layout.with(&[image])
}

pub(super) async fn refused(files: &Files) -> String {
    let error = read_archive(&tar(files)).await.unwrap_err();
    assert!(error.is_input(), "{error:?}");
    error.to_string()
}

pub(super) fn file<'a>(files: &'a mut Files, end: &str) -> &'a mut Vec<u8> {
    let found = files.iter_mut().find(|it| it.0.ends_with(end)).unwrap();
    found.1.as_mut().unwrap()
}

#[tokio::test]
async fn an_archive_cut_off_anywhere_is_refused() {
    let files = classic(&[Sample {
        architecture: "amd64",
        layers: vec![layer("one", 3_000), layer("two", 2_000_000)],
    }]);
    let archive = tar(&files);
    let list = archive.windows(13).position(|it| it == b"manifest.json");
    let end = list.unwrap() + 512 + 20;
    for length in (0..3_000)
        .step_by(171)
        .chain((3_000..end).step_by(99_991))
        .chain([end])
    {
        let error = read_archive(&archive[..length]).await.unwrap_err();
        assert!(
            matches!(error, Error::CutOff(_) | Error::NotAnImage(_)),
            "{length}: {error:?}"
        );
    }
    let gzipped = gzip(&archive);
    let error = read_archive(&gzipped[..gzipped.len() / 2]).await;
    assert!(matches!(error, Err(Error::CutOff(_))), "{error:?}");
}

#[tokio::test]
async fn a_missing_layer_is_named_with_who_wants_it() {
    let mut files = classic(&[Sample::new()]);
    files.retain(|it| it.0 != "amd641/layer.tar");
    let text = refused(&files).await;
    assert!(
        text.contains("`amd641/layer.tar`, which `manifest.json` lists"),
        "{text}"
    );

    let mut files = gzipped_layout();
    let (name, _) = files.remove(1);
    let text = refused(&files).await;
    let hex = name.rsplit_once('/').unwrap().1;
    assert!(text.contains(&format!("lacks `sha256:{hex}`")), "{text}");
}

#[tokio::test]
async fn a_missing_manifest_or_config_is_named() {
    for at in [0, 4] {
        let mut files = gzipped_layout();
        let name = files.remove(at).0;
        let text = refused(&files).await;
        assert!(text.contains(name.rsplit_once('/').unwrap().1), "{text}");
    }
    let mut files = classic(&[Sample::new()]);
    files.retain(|it| it.0 != "amd64.json");
    let text = refused(&files).await;
    assert!(text.contains("lacks `amd64.json`"), "{text}");
}

/// As engines with the containerd image store export an image of which they pulled one platform.
#[tokio::test]
async fn a_platform_that_only_the_index_has_is_named() {
    let mut layout = Layout::default();
    let mut here = layout.image(&Sample::new(), gzip);
    here["platform"] = json!({"architecture": "amd64", "os": "linux"});
    let mut elsewhere = here.clone();
    elsewhere["digest"] = json!(Digest::sha256_of(b"elsewhere"));
    elsewhere["platform"]["architecture"] = "arm64".into();
    let index = json!({"manifests": [here, elsewhere]});
    let index = layout.document(oci::media_type::OCI_INDEX, index);
    let text = refused(&layout.with(&[index])).await;
    assert!(text.contains("lacks the image for `linux/arm64`"), "{text}");
}

#[tokio::test]
async fn a_config_that_does_not_match_its_layers_is_refused() {
    let sample = Sample::new();
    let mut other = sample.clone();
    other.layers[1] = layer("other", 3_000);
    let mut fewer = sample.clone();
    fewer.layers.pop();
    let mut swapped = sample.clone();
    swapped.layers.swap(0, 1);
    for changed in [&other, &fewer, &swapped] {
        let (config, is_fewer) = (changed.config(), changed.layers.len() < sample.layers.len());
        let mut files = classic(std::slice::from_ref(&sample));
        *file(&mut files, "amd64.json") = config.clone();
        let text = refused(&files).await;
        assert!(text.contains("does not match its layers"), "{text}");

        let mut layout = Layout::default();
        let config = layout.blob("application/vnd.oci.image.config.v1+json", config);
        let layers: Vec<Value> = sample
            .layers
            .iter()
            .map(|it| layout.blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip(it)))
            .collect();
        let manifest = json!({"config": config, "layers": layers});
        let manifest = layout.document(oci::media_type::OCI_MANIFEST, manifest);
        let files = layout.with(&[manifest]);
        // What a manifest lists under its digest is not unpacked: the number is known, and no more.
        if is_fewer {
            let text = refused(&files).await;
            assert!(text.contains("does not match its layers"), "{text}");
        } else {
            assert!(!published_as_it_is(&files).await.is_sound());
        }
    }
}

#[tokio::test]
async fn a_damaged_blob_is_refused_and_not_handed_out() {
    for at in [0, 1, 2, 4] {
        let mut files = gzipped_layout();
        let content = files[at].1.as_mut().unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        let events = Mutex::new(Vec::new());
        let listener = |event| {
            if let Event::Ready(blob) = event {
                events.lock().unwrap().push(blob.descriptor.digest);
            }
        };
        let archive = tar(&files);
        let error = read(delivered(&archive), Options::default(), &listener).await;
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{at}: {error:?}");
        let hex = files[at].0.rsplit_once('/').unwrap().1.to_owned();
        let events = events.into_inner().unwrap();
        assert!(events.iter().all(|digest| digest.hex() != hex), "{at}");
    }
}

/// Nothing but the config says what it unpacks to.
#[tokio::test]
async fn a_compressed_layer_without_a_digest_that_ends_early_is_refused() {
    for packed in [gzip, |it: &[u8]| zstd::bulk::compress(it, 1).unwrap()] {
        let mut files = classic(&[Sample::new()]);
        let content = file(&mut files, "amd640/layer.tar");
        *content = packed(content);
        content.truncate(content.len() / 2);
        let text = refused(&files).await;
        assert!(text.contains("`amd640/layer.tar`"), "{text}");
        assert!(text.contains("is damaged"), "{text}");
    }
}

/// A registry would take it as well: its digest is right.
#[tokio::test]
async fn a_layer_that_its_manifest_lists_by_digest_is_not_unpacked() {
    let mut layout = Layout::default();
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": [Digest::sha256_of(b"")]}});
    let config = config.to_string().into_bytes();
    let config = layout.blob("application/vnd.oci.image.config.v1+json", config);
    let packed = b"\x1f\x8b that is all".to_vec();
    let layer = layout.blob(
        "application/vnd.oci.image.layer.v1.tar+gzip",
        packed.clone(),
    );
    let manifest = json!({"config": config, "layers": [layer]});
    let manifest = layout.document(oci::media_type::OCI_MANIFEST, manifest);
    let read = published_as_it_is(&layout.with(std::slice::from_ref(&manifest))).await;
    assert_eq!(json!(read.root()), manifest["digest"]);
    assert_eq!(read.blobs[&Digest::sha256_of(&packed)], packed);
}

async fn published_as_it_is(files: &Files) -> Published {
    read_archive(&tar(files)).await.unwrap()
}

/// Its manifest must keep its bytes, and they list the layer as it came.
#[tokio::test]
async fn an_artifact_with_a_plain_layer_is_refused() {
    let mut layout = Layout::default();
    let layer = layout.blob("application/x-tar", layer("chart", 100));
    let config = layout.blob("application/vnd.oci.empty.v1+json", b"{}".to_vec());
    let manifest = json!({"config": config, "layers": [layer]});
    let manifest = layout.document(oci::media_type::OCI_MANIFEST, manifest);
    let text = refused(&layout.with(&[manifest])).await;
    assert!(text.contains("artifact"), "{text}");
}

#[tokio::test]
async fn a_wrong_size_is_refused() {
    for wrong in ["config", "layers"] {
        let mut layout = Layout::default();
        let config = Sample::new().config();
        let mut manifest = json!({
            "config": layout.blob("application/vnd.oci.image.config.v1+json", config),
            "layers": [layout.blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip(&layer("one", 1_000)))],
        });
        match wrong {
            "config" => manifest["config"]["size"] = 1.into(),
            _ => manifest["layers"][0]["size"] = 1.into(),
        }
        let manifest = layout.document(oci::media_type::OCI_MANIFEST, manifest);
        let text = refused(&layout.with(&[manifest])).await;
        assert!(text.contains("bytes instead of 1"), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_image_is_said_to_be_none() {
    let strangers = [
        b"".to_vec(),
        b"hello".to_vec(),
        vec![0; 10_240],
        vec![7; 100_000],
        gzip(b"hello"),
        layer("root-file-system", 5_000_000),
        tar(&vec![("manifest.json".to_owned(), Ok(b"[]".to_vec()))]),
    ];
    for (number, stranger) in strangers.iter().enumerate() {
        let error = read_archive(stranger).await.unwrap_err();
        assert!(error.is_input(), "{number}: {error:?}");
        assert!(
            matches!(error, Error::NotAnImage(_) | Error::CutOff(_)),
            "{number}: {error:?}"
        );
    }
    for json in ["nonsense", "{}", "[1]"] {
        let files = vec![("manifest.json".to_owned(), Ok(json.into()))];
        let text = refused(&files).await;
        assert!(text.contains("`manifest.json`"), "{text}");
    }
    let files = vec![("index.json".to_owned(), Ok(b"{\"manifests\":[1]}".to_vec()))];
    refused(&files).await;
}

#[tokio::test]
async fn several_images_for_one_platform_are_named() {
    let mut other = Sample::new();
    other.layers.pop();
    let mut files = classic(&[Sample::new(), other]);
    // The second one's files have the names of the first one's.
    let text = refused(&files).await;
    assert!(text.contains("does not match"), "{text}");

    let mut layout = Layout::default();
    let mut other = Sample::new();
    other.layers.pop();
    let mut images = [
        layout.image(&Sample::new(), gzip),
        layout.image(&other, gzip),
    ];
    images[0]["annotations"] = json!({"org.opencontainers.image.ref.name": "1.2.3"});
    files = layout.with(&images);
    let text = refused(&files).await;
    assert!(text.contains("several images: 1.2.3, sha256:"), "{text}");
}

#[tokio::test]
async fn many_small_files_do_not_fill_the_memory() {
    let files = (0..20).map(|n| (format!("{n}.json"), Ok(vec![b' '; 1 << 20])));
    let text = refused(&files.collect()).await;
    assert!(text.contains("more than 16 MiB"), "{text}");
}

#[tokio::test]
async fn indexes_within_indexes_end_somewhere() {
    let mut layout = Layout::default();
    let mut listed = layout.image(&Sample::new(), gzip);
    for _ in 0..20 {
        let index = json!({"manifests": [listed]});
        listed = layout.document(oci::media_type::OCI_INDEX, index);
    }
    let text = refused(&layout.with(&[listed])).await;
    assert!(text.contains("too deeply"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    for input in [
        Input::File("/no/such/image.tar".into()),
        Input::File("/".into()),
        Input::Directory("/no/such/layout".into()),
        Input::Directory("/proc/self".into()),
    ] {
        let error = read_from(input, Options::default()).await.unwrap_err();
        let is_named = matches!(error, Error::Open { .. } | Error::NoLayout(_));
        assert!(is_named && error.is_input(), "{error:?}");
        assert!(error.to_string().contains('/'), "{error}");
    }
}

#[tokio::test]
async fn whoever_delivers_the_archive_fails_in_their_own_words() {
    let archive = tar(&classic(&[Sample::new()]));
    for archive in [&gzip(&archive), &archive] {
        for length in [0, 3, archive.len() / 2] {
            let chunks = [
                Ok(Bytes::copy_from_slice(&archive[..length])),
                Err(std::io::Error::other("the engine went away")),
            ];
            let input = Input::Stream(Box::pin(stream::iter(chunks)));
            let error = read_from(input, Options::default()).await.unwrap_err();
            assert_eq!(error.to_string(), "the engine went away");
            assert!(!error.is_input());
        }
    }
}

#[tokio::test]
async fn a_reader_that_is_dropped_lets_go_of_a_source_that_is_silent() {
    struct Source(tokio::sync::mpsc::Sender<()>);
    let (sender, mut dropped) = tokio::sync::mpsc::channel(1);
    let source = Source(sender);
    let chunks = stream::once(async move {
        let _source = &source.0;
        std::future::pending().await
    });
    let reading = read_from(Input::Stream(Box::pin(chunks)), Options::default());
    let limit = std::time::Duration::from_millis(20);
    assert!(tokio::time::timeout(limit, reading).await.is_err());
    assert_eq!(dropped.recv().await, None);
}

#[tokio::test]
async fn a_name_of_gigabytes_is_not_read() {
    for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
        let name = vec![b'a'; 9 << 20];
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(name.len() as u64);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, "name", &name[..]).unwrap();
        let archive = archive.into_inner().unwrap();
        let error = read_archive(&gzip(&archive)).await.unwrap_err();
        assert!(error.to_string().contains("longer than 4 MiB"), "{error}");
    }
}
