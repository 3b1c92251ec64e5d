//! Base images of the layer builder: read from their registries, verified, as blobs of a layout and as file trees.

use std::fs::File;
use std::io::Write as _;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::exit::bad_input;
use crate::image::layers::{BaseImage, ConfigDocument, Contents, FileTree, LayoutWriter};
use crate::oci::{
    Content, Descriptor, Digest, Image, ImageConfig, Manifest, Platform, Reference, TagOrDigest,
};
use crate::registry::Repository;

/// The largest config that is read, in bytes.
const LARGEST_CONFIG: u64 = 8 << 20;

/// A base image for one platform. Its blobs are in the layout.
pub struct FetchedBase {
    pub config: Vec<u8>,
    pub layers: Vec<Descriptor>,
    /// Of its manifest, or of the index that lists it.
    pub digest: Digest,
    pub image: BaseImage,
}

/// Reads the image `reference` for `platform` into `layout`.
///
/// # Errors
/// [`BadInput`](crate::exit::BadInput): there is no such image, or none for the platform.
pub async fn fetch(
    repository: &Repository,
    reference: &Reference,
    platform: &Platform,
    layout: &LayoutWriter,
) -> Result<FetchedBase> {
    let at = match &reference.digest {
        Some(digest) => TagOrDigest::Digest(digest.clone()),
        None => TagOrDigest::Tag(reference.tag_or_latest()),
    };
    let root = repository
        .get_manifest(&at)
        .await?
        .ok_or_else(|| bad_input(format!("there is no base image `{reference}`")))?;
    let digest = root.digest().clone();
    let image = select(repository, reference, root, platform).await?;
    if image.config.size > LARGEST_CONFIG {
        bail!("its config is larger than 8 MiB");
    }
    for blob in image.layers.iter().chain([&image.config]) {
        download(repository, blob, layout).await?;
    }
    let config = tokio::fs::read(layout.blob(&image.config.digest)).await?;
    // An image without an index says its platform only here.
    let own = serde_json::from_slice::<ImageConfig>(&config)?.platform;
    if !platform.fits(&own) {
        return Err(no_platform(reference, platform, &format!("`{own}`")));
    }
    let document = ConfigDocument::of_base(&config)?;
    if document.has_triggers() {
        return Err(bad_input(format!(
            "`{reference}` has instructions for those who build from it (`ONBUILD`), which only an engine performs\n\
             hint: `--builder engine`"
        )));
    }
    let user = document.user();
    let paths: Vec<_> = image
        .layers
        .iter()
        .map(|it| layout.blob(&it.digest))
        .collect();
    let tree = tokio::task::spawn_blocking(move || {
        let mut tree = FileTree::default();
        for path in paths {
            tree.apply_compressed(&File::open(path)?, Contents::Kept)?;
        }
        Ok::<_, std::io::Error>(tree)
    });
    let tree = tree.await?.context("a layer cannot be read")?;
    Ok(FetchedBase {
        config,
        layers: image.layers,
        digest,
        image: BaseImage { tree, user },
    })
}

/// The image for the platform: the root itself, or the one that it lists.
async fn select(
    repository: &Repository,
    reference: &Reference,
    root: Manifest,
    platform: &Platform,
) -> Result<Image> {
    let index = match root.content()? {
        Content::Image(image) => return Ok(image),
        Content::Index(index) => index,
    };
    let platforms = || index.manifests.iter().filter_map(|it| it.platform.as_ref());
    let child = index.manifests.iter().find(|child| {
        let own = child.platform.as_ref();
        own.is_some_and(|own| platform.fits(own))
    });
    let Some(child) = child else {
        let has: Vec<String> = platforms()
            .filter(|it| it.os != "unknown")
            .map(|it| format!("`{it}`"))
            .collect();
        return Err(no_platform(reference, platform, &has.join(", ")));
    };
    let at = TagOrDigest::Digest(child.digest.clone());
    let manifest = repository.get_manifest(&at).await?;
    match manifest.context("it lists what is not there")?.content()? {
        Content::Image(image) => Ok(image),
        Content::Index(_) => bail!("`{reference}` lists an index within an index"),
    }
}

fn no_platform(reference: &Reference, platform: &Platform, has: &str) -> anyhow::Error {
    bad_input(format!(
        "`{reference}` has no image for `{platform}`\nhint: it has {has}"
    ))
}

/// Stores a blob, unless it is there already; its digest is checked on the way.
async fn download(repository: &Repository, blob: &Descriptor, layout: &LayoutWriter) -> Result<()> {
    let path = layout.blob(&blob.digest);
    if path.exists() {
        return Ok(());
    }
    let reading = repository.get_blob(blob).await?;
    let mut reading = reading.ok_or_else(|| anyhow!("the registry lacks {}", blob.digest))?;
    let partial = path.with_extension("part");
    let mut file = File::create(&partial)?;
    while let Some(chunk) = reading.chunk().await? {
        file.write_all(&chunk)?;
    }
    std::fs::rename(partial, path)?;
    Ok(())
}
