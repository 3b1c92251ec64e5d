//! Inspects and tags images in the engine.

use bollard::errors::Error as Bollard;
use bollard::query_parameters::TagImageOptionsBuilder;

use super::error::Error;
use super::{Engine, stream::StreamError};
use crate::oci::{Digest, DigestError, Reference};

/// An image as the engine describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The digest of the image's config or, in an engine with the containerd image store, of its manifest. Only the
    /// same engine knows the image by it.
    pub id: Digest,
    /// Its tags: `repository:tag`.
    pub names: Vec<String>,
    /// The digests of its layers before compression, from the bottom.
    pub diff_ids: Vec<Digest>,
}

impl Engine {
    /// The image of that name or id, or `None` when the engine has none.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, Error> {
        let failed = |error| Error::from_stream(format!("inspection of `{name}`"), error);
        let image = match self.docker.inspect_image(name).await {
            Ok(image) => image,
            Err(error) if is_not_found(&error) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let layers = image.root_fs.and_then(|it| it.layers).unwrap_or_default();
        let unreadable = |error: DigestError| failed(StreamError::Disconnected(error.to_string()));
        let diff_ids: Result<_, DigestError> = layers.iter().map(|it| it.parse()).collect();
        Ok(Some(Image {
            id: image.id.unwrap_or_default().parse().map_err(unreadable)?,
            names: image.repo_tags.unwrap_or_default(),
            diff_ids: diff_ids.map_err(unreadable)?,
        }))
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
