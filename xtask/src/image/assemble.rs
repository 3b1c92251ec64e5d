//! Makes the manifests of an image from the contents of its archive. Pure.
//!
//! A manifest whose layers all came compressed keeps its bytes, and so does an index whose manifests all do; the others
//! are rewritten. Every blob that a manifest lists was in the archive, is reused, or has URLs of its own.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use serde::Deserialize;

use super::blob::{Blob, Content};
use super::choice::{chosen, name};
use super::config;
use super::contents::{Contents, blob_name};
use super::encoding::Encoding;
use super::error::Error;
use super::layer_sink::Layer;
use super::options::Options;
use super::rewrite;
use crate::oci::{self, Descriptor, Digest, Image, ImageConfig, Manifest, media_type};

/// Lists the images of an OCI image layout.
pub(super) const OCI: &str = "index.json";

/// Lists the images of a `docker-archive`.
pub(super) const CLASSIC: &str = "manifest.json";

/// Levels of nested indexes; nobody needs more than two.
const MAX_DEPTH: u32 = 8;

/// An image as registries hold it, without its layers.
#[derive(Debug, Default)]
pub(super) struct Assembled {
    /// Children first; the last is the image.
    pub manifests: Vec<Manifest>,
    /// Configs and other small blobs.
    pub blobs: Vec<Blob>,
}

/// Assembles the one image in `contents`, or the chosen one of several. It may have several platforms.
pub(super) fn assemble(contents: &Contents, options: &Options) -> Result<Assembled, Error> {
    let mut assembly = Assembly {
        contents,
        by_diff_id: contents
            .layers
            .values()
            .filter_map(|it| Some((it.diff_id.as_ref()?, it)))
            .collect(),
        rewritten: HashMap::new(),
        out: Assembled::default(),
    };
    let mut roots: Vec<Root> = Vec::new();
    for root in assembly.roots(options)? {
        match roots
            .iter_mut()
            .find(|it| it.image.digest == root.image.digest)
        {
            Some(known) => known.names.extend(root.names),
            None => roots.push(root),
        }
    }
    match &roots[..] {
        [] => return Err(Error::NotAnImage("it lists no image".to_owned())),
        [_] => {}
        several => {
            let is_one =
                options.joins_names || several.iter().all(|it| it.names == several[0].names);
            let index = rewrite::side_by_side(several.iter().map(|it| &it.image));
            let index = index.filter(|_| is_one);
            let shown = || several.iter().map(Root::shown).collect();
            let index = index.ok_or_else(|| Error::Several(shown()))?;
            assembly.out.manifests.push(index);
        }
    }
    Ok(assembly.out)
}

/// An image that the archive lists.
struct Root {
    image: Descriptor,
    /// What it is called there, which may be nothing.
    names: BTreeSet<String>,
    /// What it has instead of a name.
    id: String,
}

impl Root {
    /// For people.
    fn shown(&self) -> String {
        let mut names = self.names.iter();
        names.next().unwrap_or(&self.id).clone()
    }
}

struct Assembly<'a> {
    contents: &'a Contents,
    /// Those whose diff id is known.
    by_diff_id: HashMap<&'a Digest, &'a Layer>,
    /// New descriptors of manifests by their digests in the archive.
    rewritten: HashMap<Digest, Descriptor>,
    out: Assembled,
}

impl<'a> Assembly<'a> {
    fn roots(&mut self, options: &Options) -> Result<Vec<Root>, Error> {
        let contents = self.contents;
        if let Some(index) = contents.document(OCI) {
            let index = Manifest::new(media_type::OCI_INDEX, index.clone());
            let oci::Content::Index(index) = index.content()? else {
                unreachable!("the media type is an index's")
            };
            let document = |it: &Descriptor| contents.document(&blob_name(&it.digest)).cloned();
            let listed = match &contents.roots {
                Some(roots) => roots.clone(),
                None => chosen(index.manifests, options.chosen.as_ref(), document)?,
            };
            let mut roots = Vec::new();
            for listed in &listed {
                roots.push(Root {
                    image: self.manifest(listed, OCI, 0)?,
                    names: name(listed).map(str::to_owned).into_iter().collect(),
                    id: listed.digest.to_string(),
                });
            }
            Ok(roots)
        } else if let Some(list) = contents.document(CLASSIC) {
            let items: Result<Vec<Classic>, _> = serde_json::from_slice(list);
            let items = items.map_err(|error| Error::damaged(CLASSIC, error))?;
            items.iter().map(|item| self.classic(item)).collect()
        } else if let Some(list) = [OCI, CLASSIC]
            .into_iter()
            .find(|it| contents.is_too_large(it))
        {
            Err(Error::too_large(list))
        } else {
            let reason = format!("it has neither `{OCI}` nor `{CLASSIC}`");
            Err(Error::NotAnImage(reason))
        }
    }

    /// One image of a `docker-archive`, as engines before 25 write it.
    fn classic(&mut self, item: &Classic) -> Result<Root, Error> {
        let missing = |what: &str| match self.contents.is_too_large(what) {
            true => Error::too_large(what),
            false => Error::missing(what, CLASSIC),
        };
        let no_layer = |name: &str| match self.contents.has(name) {
            true => Error::damaged(name, "it is to be a layer, and begins as no tar archive"),
            false => missing(name),
        };
        let bytes = self.contents.document(&item.config);
        let bytes = bytes.ok_or_else(|| missing(&item.config))?;
        let digest = Digest::sha256_of(bytes);
        let descriptor = Descriptor::new(media_type::OCI_CONFIG, digest, bytes.len() as u64);
        let config = config::read(&descriptor.digest, bytes)?;
        let mut layers = Vec::new();
        for name in item.layers.iter().flatten() {
            let layer = self.contents.layer(name);
            layers.push(Some(layer.ok_or_else(|| no_layer(name))?));
        }
        config::compare(&config, &descriptor.digest, &layers)?;
        let layers = self.paired(&config, &layers);
        let manifest = rewrite::manifest(&descriptor, &config, &layers, None)?;
        self.add(&descriptor, bytes.clone());
        Ok(Root {
            image: self.image(manifest, &config),
            names: item.repo_tags.iter().flatten().cloned().collect(),
            id: item.config.clone(),
        })
    }

    /// The manifest or index that `wanted_by` lists, and all below it.
    fn manifest(
        &mut self,
        listed: &Descriptor,
        wanted_by: &str,
        depth: u32,
    ) -> Result<Descriptor, Error> {
        if let Some(descriptor) = self.rewritten.get(&listed.digest) {
            return Ok(descriptor.clone());
        }
        if depth > MAX_DEPTH {
            let reason = "its indexes list each other too deeply".to_owned();
            return Err(Error::NotAnImage(reason));
        }
        let bytes = self.document(listed, wanted_by)?;
        let manifest = Manifest::new(&listed.media_type, bytes.clone());
        let mut descriptor = match manifest.content()? {
            oci::Content::Index(index) => {
                for child in &index.manifests {
                    self.check_platform(child, &listed.digest)?;
                    match media_type::is_manifest(&child.media_type) {
                        true => drop(self.manifest(child, listed.digest.as_str(), depth + 1)?),
                        false => self.blob(child, listed.digest.as_str())?,
                    }
                }
                let index = rewrite::index(manifest, &self.rewritten);
                self.push(index)
            }
            oci::Content::Image(image) => self.single(manifest, &image)?,
            oci::Content::Artifact(artifact) => {
                for blob in &artifact.blobs {
                    self.blob(blob, listed.digest.as_str())?;
                }
                self.push(manifest)
            }
        };
        if descriptor.platform.is_none() {
            descriptor.platform.clone_from(&listed.platform);
        }
        descriptor.annotations = listed.annotations.clone();
        self.rewritten
            .insert(listed.digest.clone(), descriptor.clone());
        Ok(descriptor)
    }

    fn check_platform(&self, child: &Descriptor, index: &Digest) -> Result<(), Error> {
        match &child.platform {
            Some(platform) if !self.contents.has(&blob_name(&child.digest)) => {
                Err(Error::NoPlatform {
                    platform: platform.to_string(),
                    index: index.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// A manifest of the archive: unchanged if its layers came compressed, rewritten otherwise.
    fn single(&mut self, manifest: Manifest, image: &Image) -> Result<Descriptor, Error> {
        let wanted_by = manifest.digest().clone();
        let mut layers = Vec::new();
        let mut came_compressed = true;
        let mut are_layers = false;
        for listed in &image.layers {
            let name = blob_name(&listed.digest);
            let layer = self.contents.layer(&name);
            layers.push(layer);
            if let Some(layer) = layer {
                came_compressed &= layer.encoding != Encoding::Tar;
                if layer.encoding != Encoding::Tar {
                    same_size(listed, layer.descriptor.size)?;
                }
                are_layers |= layer.encoding != Encoding::Other;
            } else if self.contents.document(&name).is_some() {
                self.blob(listed, wanted_by.as_str())?;
            } else if !listed.is_foreign() {
                return Err(Error::missing(&listed.digest, wanted_by.as_str()));
            }
        }
        let bytes = self.document(&image.config, wanted_by.as_str())?;
        let config = match media_type::is_config(&image.config.media_type) {
            true => Some(config::read(&image.config.digest, bytes)?),
            false => None,
        };
        self.blob(&image.config, wanted_by.as_str())?;
        match config {
            Some(config) if !came_compressed => {
                let annotations = image.annotations.as_ref();
                let layers = self.paired(&config, &layers);
                let written = rewrite::manifest(&image.config, &config, &layers, annotations)?;
                Ok(self.image(written, &config))
            }
            Some(config) if are_layers => {
                config::compare(&config, &image.config.digest, &layers)?;
                Ok(self.image(manifest, &config))
            }
            None if !came_compressed => {
                let reason = "it is an artifact, and layers of those must come compressed";
                Err(Error::NotAnImage(reason.to_owned()))
            }
            _ => Ok(self.push(manifest)),
        }
    }

    /// Layers by diff id. One of the image's `layers` that was not inflated has the diff id that the config lists at
    /// its place.
    fn paired<'l>(
        &self,
        config: &'l ImageConfig,
        layers: &[Option<&'l Layer>],
    ) -> HashMap<&'l Digest, &'l Layer>
    where
        'a: 'l,
    {
        let mut by_diff_id: HashMap<&'l Digest, &'l Layer> = self.by_diff_id.clone();
        for (diff_id, layer) in config.diff_ids().iter().zip(layers) {
            if let Some(layer) = layer
                && layer.diff_id.is_none()
            {
                by_diff_id.entry(diff_id).or_insert(layer);
            }
        }
        by_diff_id
    }

    fn image(&mut self, manifest: Manifest, config: &ImageConfig) -> Descriptor {
        let mut descriptor = self.push(manifest);
        descriptor.platform = Some(config.platform.clone());
        descriptor
    }

    fn push(&mut self, manifest: Manifest) -> Descriptor {
        let descriptor = manifest.descriptor();
        if !self.out.manifests.contains(&manifest) {
            self.out.manifests.push(manifest);
        }
        descriptor
    }

    /// Adds a small blob; a large one was handed out when it was read.
    fn blob(&mut self, listed: &Descriptor, wanted_by: &str) -> Result<(), Error> {
        if self.contents.layer(&blob_name(&listed.digest)).is_some() {
            return Ok(());
        }
        let bytes = self.document(listed, wanted_by)?.clone();
        self.add(listed, bytes);
        Ok(())
    }

    fn add(&mut self, descriptor: &Descriptor, bytes: Bytes) {
        let is_same = |it: &Blob| it.descriptor.digest == descriptor.digest;
        if !self.out.blobs.iter().any(is_same) {
            self.out.blobs.push(Blob {
                descriptor: descriptor.clone(),
                content: Content::Memory(bytes),
            });
        }
    }

    fn document(&self, listed: &Descriptor, wanted_by: &str) -> Result<&Bytes, Error> {
        let name = blob_name(&listed.digest);
        let bytes = self.contents.document(&name);
        let bytes = bytes.ok_or_else(|| match self.contents.is_too_large(&name) {
            true => Error::too_large(&listed.digest),
            false => Error::missing(&listed.digest, wanted_by),
        })?;
        same_size(listed, bytes.len() as u64)?;
        Ok(bytes)
    }
}

/// An entry of `manifest.json` (moby, `image/spec`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Classic {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

fn same_size(listed: &Descriptor, size: u64) -> Result<(), Error> {
    if size == listed.size {
        return Ok(());
    }
    let reason = format!("it has {size} bytes instead of {}", listed.size);
    Err(Error::damaged(&listed.digest, reason))
}
