//! What cannot be the base of an image that everyone can pull, in sentences.

use anyhow::Result;

use crate::exit::bad_input;
use crate::oci::{Image, ImageConfig, Platform, Reference, media_type};

/// The largest config that is read, in bytes.
const LARGEST_CONFIG: u64 = 8 << 20;

/// Docker unpacks no more (moby's `maxLayerDepth`).
const MAX_LAYERS: usize = 125;

/// The error that an image is there, but not for `platform`; `has` are those that it is there for.
pub fn no_platform(reference: &Reference, platform: &Platform, has: &str) -> anyhow::Error {
    let has = match has {
        "" => "no image that names a platform",
        has => has,
    };
    bad_input(format!(
        "`{reference}` has no image for `{platform}`\nhint: it has {has}"
    ))
}

/// Refuses what cannot be part of an image that everyone can pull.
pub fn check(image: &Image) -> Result<()> {
    let config = &image.config;
    if !media_type::is_config(&config.media_type) {
        let kind = &config.media_type;
        return Err(bad_input(format!("it is no image: its config is `{kind}`")));
    }
    if config.size > LARGEST_CONFIG {
        return Err(bad_input("its config is larger than 8 MiB"));
    }
    for blob in image.layers.iter().chain([config]) {
        let (kind, digest) = (&blob.media_type, &blob.digest);
        if digest.algorithm() != "sha256" {
            return Err(bad_input(format!(
                "`{digest}` is not a sha256 digest, and engines pull no other"
            )));
        }
        if kind.contains(".foreign.") || kind.contains(".nondistributable.") {
            return Err(bad_input(format!(
                "its layer {digest} is not in its registry (`{kind}`)\nhint: `--builder engine`"
            )));
        }
    }
    let mut layers = image.layers.iter();
    match layers.find(|layer| !media_type::is_layer(&layer.media_type)) {
        Some(layer) => Err(bad_input(format!(
            "its layer {} is of the unknown type `{}`",
            layer.digest, layer.media_type
        ))),
        None => Ok(()),
    }
}

/// Refuses a config that does not say of every layer what it unpacks to: no engine pulls an image made from it.
pub fn check_diff_ids(config: &ImageConfig, image: &Image) -> Result<()> {
    let (layers, listed) = (image.layers.len(), config.diff_ids().len());
    match layers == listed {
        true => Ok(()),
        false => Err(bad_input(format!(
            "its manifest has {layers} layers and its config {listed} (`rootfs.diff_ids`), so that no engine can pull it"
        ))),
    }
}

/// Refuses an image that Docker would not unpack, with so many layers of its base and of its own.
pub fn check_depth(reference: Option<&Reference>, base: usize, own: usize) -> Result<()> {
    let layers = base + own;
    let on = reference.map_or_else(String::new, |reference| format!("on `{reference}` "));
    match layers > MAX_LAYERS {
        true => Err(bad_input(format!(
            "{on}the image would have {layers} layers, and Docker unpacks at most {MAX_LAYERS}: {base} are its base's, {own} \
             of `COPY`, `ADD` and `WORKDIR` lines\n\
             hint: fewer such lines (a `COPY` takes several files or a directory), or a base with fewer layers"
        ))),
        false => Ok(()),
    }
}
