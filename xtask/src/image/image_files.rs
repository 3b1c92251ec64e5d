//! Finds the files of one image of an OCI layout.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::contents::blob_name;
use crate::oci::{Content, Descriptor, Digest, Manifest, Platform, media_type};

/// Where the parts of an image are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFiles {
    pub config: ImageFile,
    /// From the bottom.
    pub layers: Vec<ImageFile>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// In an archive: `<digest>.json`, `<digest>.tar`.
    pub name: String,
    pub path: PathBuf,
}

impl ImageFiles {
    /// The image for `platform` in the layout `directory`; the only one, whatever its platform, of a layout without an
    /// index of several.
    ///
    /// # Errors
    /// A layout that cannot be read, or has no such image.
    pub fn find(directory: &Path, platform: &Platform) -> io::Result<ImageFiles> {
        let read = |path: &Path| {
            fs::read(path).map_err(|error| {
                io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
            })
        };
        let mut manifest = Manifest::new(
            media_type::OCI_INDEX,
            read(&directory.join("index.json"))?.into(),
        );
        // An index may list an index.
        for _ in 0..4 {
            let children = match manifest.content().map_err(io::Error::other)? {
                Content::Image(image) => {
                    let file = |digest: &Digest, kind: &str| ImageFile {
                        name: format!("{}.{kind}", digest.hex()),
                        path: directory.join(blob_name(digest)),
                    };
                    let layers = image.layers.iter();
                    return Ok(ImageFiles {
                        config: file(&image.config.digest, "json"),
                        layers: layers.map(|layer| file(&layer.digest, "tar")).collect(),
                    });
                }
                Content::Index(index) => index.manifests,
                Content::Artifact(_) => Vec::new(),
            };
            let distance = |child: &Descriptor| match &child.platform {
                Some(own) => platform.distance(own),
                None => Some(u32::MAX),
            };
            let fitting = children
                .iter()
                .filter_map(|child| Some((distance(child)?, child)));
            let Some((_, child)) = fitting.min_by_key(|(distance, _)| *distance) else {
                let directory = directory.display();
                return Err(io::Error::other(format!(
                    "`{directory}` has no image for {platform}"
                )));
            };
            let path = directory.join(blob_name(&child.digest));
            manifest = Manifest::new(&child.media_type, read(&path)?.into());
        }
        Err(io::Error::other("its indexes are nested too deeply"))
    }
}
