//! Layers that the destinations have already.

use std::collections::HashMap;

use super::classic::classic;
use super::layout::Layout;
use super::*;

/// The layers of an earlier release by diff id.
fn reusable(earlier: &Published) -> HashMap<Digest, oci::Descriptor> {
    let mut reusable = HashMap::new();
    for (manifest, (_, diff_ids)) in earlier.manifests.iter().zip(earlier.images()) {
        let oci::Content::Image(image) = manifest.content().unwrap() else {
            panic!("an image");
        };
        reusable.extend(diff_ids.into_iter().zip(image.layers));
    }
    reusable
}

/// A release of `sample`, as an OCI layout with its layers so packed.
async fn released(sample: &Sample, packed: fn(&[u8]) -> Vec<u8>) -> Published {
    let mut layout = Layout::default();
    let image = layout.image(sample, packed);
    published(&layout.with(&[image])).await
}

/// The next release of `sample`: one more layer.
fn next(sample: &Sample) -> Sample {
    let mut next = sample.clone();
    next.layers.push(layer("new", 2_000_000));
    next
}

#[tokio::test]
async fn a_reusable_layer_is_listed_and_neither_compressed_nor_handed_out() {
    let sample = Sample::new();
    let earlier = released(&sample, <[u8]>::to_vec).await;

    let mut layout = Layout::default();
    let image = layout.image(&next(&sample), <[u8]>::to_vec);
    let archive = tar(&layout.with(&[image]));
    let whole = read_archive(&archive).await.unwrap();
    let mut reusable = reusable(&earlier);
    for layer in reusable.values_mut() {
        // As the engine that pushed it calls it.
        layer.media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip".to_owned();
    }
    let options = Options {
        reusable,
        ..Options::default()
    };
    let partial = read_from(delivered(&archive), options).await.unwrap();
    assert_eq!(partial.root(), whole.root());
    // The new layer and the config.
    assert_eq!(partial.blobs.len(), 2);
}

#[tokio::test]
async fn a_reusable_layer_that_comes_compressed_is_not_handed_out_but_verified() {
    let sample = Sample::new();
    let earlier = released(&sample, gzip).await;

    let mut layout = Layout::default();
    let image = layout.image(&next(&sample), gzip);
    let mut files = layout.with(&[image]);
    let whole = published(&files).await;
    let options = || Options {
        reusable: reusable(&earlier),
        ..Options::default()
    };
    let partial = read_from(delivered(&tar(&files)), options()).await.unwrap();
    assert_eq!(partial.root(), whole.root());
    // The new layer and the config.
    assert_eq!(partial.blobs.len(), 2);

    let contents = files
        .iter_mut()
        .map(|(_, content)| content.as_mut().unwrap());
    let layer = contents.max_by_key(|it| it.len()).unwrap();
    // Its time, which changes nothing of what it unpacks to.
    layer[4] ^= 1;
    let error = read_from(delivered(&tar(&files)), options()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("its digest is sha256:"), "{error}");
}

#[tokio::test]
async fn how_a_reusable_layer_is_compressed_is_the_earlier_releases_choice() {
    let sample = Sample::new();
    let archive = tar(&classic(std::slice::from_ref(&sample)));
    let zstd = Options {
        compression: "zstd".parse().unwrap(),
        ..Options::default()
    };
    let earlier = read_from(delivered(&archive), zstd).await.unwrap();

    let mut layout = Layout::default();
    let image = layout.image(&next(&sample), <[u8]>::to_vec);
    let options = Options {
        reusable: reusable(&earlier),
        ..Options::default()
    };
    let mut published = read_from(delivered(&tar(&layout.with(&[image]))), options)
        .await
        .unwrap();
    published.blobs.extend(earlier.blobs);
    assert!(published.is_sound());
    let manifest: Value = serde_json::from_slice(published.manifest().bytes()).unwrap();
    let kinds = manifest["layers"].as_array().unwrap().iter().map(|layer| {
        let media_type = layer["mediaType"].as_str().unwrap();
        media_type.rsplit_once('+').unwrap().1.to_owned()
    });
    let kinds: Vec<String> = kinds.collect();
    assert_eq!(kinds, ["zstd", "zstd", "zstd", "zstd", "gzip"]);
}

#[tokio::test]
async fn no_layer_of_a_classic_export_is_reused() {
    let archive = tar(&classic(&[Sample::new()]));
    let earlier = read_archive(&archive).await.unwrap();
    let options = Options {
        reusable: reusable(&earlier),
        ..Options::default()
    };
    let again = read_from(delivered(&archive), options).await.unwrap();
    assert_eq!(again.root(), earlier.root());
    assert_eq!(again.blobs.len(), earlier.blobs.len());
}
