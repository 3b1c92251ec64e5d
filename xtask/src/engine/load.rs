//! Loads one image of an OCI layout, as `docker load` does.
//!
//! It is sent as a `docker-archive`, which every engine reads with its layers compressed as they are: Docker 20.10 to
//! 29 with either image store, and Podman. OCI layouts are read by Docker 25 and later.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::pin::pin;
use std::time::Duration;

use bollard::query_parameters::ImportImageOptionsBuilder;
use serde_json::json;
use tar::{Builder, Header};

use super::stream::{StreamError, next};
use super::tar_stream::tar_stream;
use super::{Engine, Error};
use crate::image::{ImageFile, ImageFiles};
use crate::oci::Platform;

/// A load that reports nothing for this long is stuck. Engines unpack a layer without a word.
const IDLE: Duration = Duration::from_secs(600);

impl Engine {
    /// The platform that the engine runs on.
    pub async fn platform(&self) -> Result<Platform, Error> {
        let version = self.docker.version().await;
        let version =
            version.map_err(|error| Error::from_stream("version".into(), error.into()))?;
        Ok(Platform {
            os: version.os.unwrap_or_default(),
            architecture: version.arch.unwrap_or_default(),
            ..Platform::default()
        })
    }

    /// Loads `image` under `name`, `app:1.2.3`, and takes that name from any other image.
    ///
    /// # Errors
    /// [`Error::Engine`] if a file of the image cannot be read, or the engine cannot have it; [`Error::Stalled`].
    pub async fn load(&self, image: ImageFiles, name: &str) -> Result<(), Error> {
        let what = format!("load of `{name}`");
        let failed = |reason: String| Error::Engine {
            what: what.clone(),
            reason,
        };
        let (repo_tag, packing) = (name.to_owned(), what.clone());
        let (archive, mut unreadable) = tar_stream(move |out| {
            pack(&image, &repo_tag, out).map_err(|error| Error::Engine {
                what: packing,
                reason: error.to_string(),
            })
        });
        let docker = self.with_long_timeout();
        let options = ImportImageOptionsBuilder::default().build();
        let mut stream = pin!(docker.import_image_stream(options, archive, None));
        let mut is_loaded = false;
        loop {
            match next(&mut stream, IDLE).await {
                Ok(None) if is_loaded => return Ok(()),
                Ok(None) => return Err(failed("it did not say that it has the image".to_owned())),
                Ok(Some(info)) => {
                    let said = info.stream.unwrap_or_default();
                    is_loaded |= said.starts_with("Loaded image");
                }
                Err(error) => {
                    return Err(match (unreadable.try_recv(), error) {
                        (Ok(error), _) => error,
                        (_, StreamError::Reported(_, reason)) => failed(reason),
                        (_, error) => Error::from_stream(what.clone(), error),
                    });
                }
            }
        }
    }
}

/// Writes the archive of `image` to `out`.
fn pack(image: &ImageFiles, name: &str, out: impl Write) -> io::Result<()> {
    let mut archive = Builder::new(out);
    let mut layers: Vec<&ImageFile> = Vec::new();
    for layer in &image.layers {
        if !layers.iter().any(|known| known.name == layer.name) {
            layers.push(layer);
        }
    }
    for file in layers.into_iter().chain([&image.config]) {
        let named = |error| io::Error::other(format!("`{}`: {error}", file.path.display()));
        let content = File::open(&file.path).map_err(named)?;
        let size = content.metadata().map_err(named)?.len();
        add(&mut archive, &file.name, size, &mut content.take(size))?;
    }
    let names: Vec<&str> = image.layers.iter().map(|it| &*it.name).collect();
    let manifest = json!([{ "Config": image.config.name, "RepoTags": [name], "Layers": names }]);
    let manifest = manifest.to_string();
    let size = manifest.len() as u64;
    add(
        &mut archive,
        "manifest.json",
        size,
        &mut manifest.as_bytes(),
    )?;
    archive.into_inner()?.flush()
}

fn add(
    archive: &mut Builder<impl Write>,
    name: &str,
    size: u64,
    content: &mut dyn io::Read,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(size);
    archive.append_data(&mut header, name, content)
}
