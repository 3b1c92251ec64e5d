//! Inspects and tags images in the engine, and tells how it holds them.

use bollard::errors::Error as Bollard;
use bollard::query_parameters::TagImageOptionsBuilder;

use super::error::Error;
use super::{Engine, stream::StreamError};
use crate::oci::{Digest, DigestError, Reference};

impl Engine {
    /// The id of the image of that name, or `None` when the engine has none: the digest of its config or, in an engine
    /// with the containerd image store, of its manifest or index. Only the same engine knows the image by it.
    pub async fn image_id(&self, name: &str) -> Result<Option<Digest>, Error> {
        let failed = |error| Error::from_stream(format!("inspection of `{name}`"), error);
        let image = match self.docker.inspect_image(name).await {
            Ok(image) => image,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let unreadable = |error: DigestError| failed(StreamError::Disconnected(error.to_string()));
        let id = image.id.unwrap_or_default();
        id.parse().map(Some).map_err(unreadable)
    }

    /// Whether the engine has containerd's image store, which keeps layers as a registry gets them. Any other keeps
    /// them unpacked, and compresses them for every push.
    pub async fn holds_layers_compressed(&self) -> bool {
        let info = self.docker.info().await.unwrap_or_default();
        let status = info.driver_status.unwrap_or_default();
        status.iter().flatten().any(|it| it.contains("containerd"))
    }

    /// Gives `image` another name, such as `127.0.0.1:5000/ns/app:1.2.3`, and takes that name from any other image.
    pub async fn tag(&self, image: &Digest, reference: &Reference) -> Result<(), Error> {
        let options = TagImageOptionsBuilder::default()
            .repo(&reference.repository.to_string())
            .tag(reference.tag_or_latest().as_str())
            .build();
        match self.docker.tag_image(image.as_str(), Some(options)).await {
            Err(error) if is_not_found(&error) => Err(Error::NoSuchImage(image.to_string())),
            Err(error) => Err(Error::from_stream(
                format!("tagging of `{reference}`"),
                StreamError::from(error),
            )),
            Ok(()) => Ok(()),
        }
    }
}

pub(super) fn is_not_found(error: &Bollard) -> bool {
    matches!(
        error,
        Bollard::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}
