//! Exports images as one archive, as `docker save` does. A truncated export ends with an error.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::stream::{StreamError, next};
use super::{Engine, Error};

/// An export that sends nothing for this long is stuck. The first byte may take as long as the head of the response,
/// because engines up to 28 copy the whole image into a directory of their own first.
const IDLE: Duration = Duration::from_secs(300);

impl Engine {
    /// The archive of the images with these names or ids; a layer that several of them share is in it once.
    ///
    /// The export starts when the stream is read, and stops when it is dropped.
    ///
    /// # Errors
    /// The stream's items: [`Error::NoSuchImage`], [`Error::Stalled`], and [`Error::Engine`] if the engine fails or
    /// stops.
    pub fn export(
        &self,
        names: &[String],
    ) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        let what = names.join("`, `");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let stream: Pin<Box<dyn Stream<Item = _> + Send>> =
            Box::pin(self.with_long_timeout().export_images(&names));
        stream::try_unfold(
            (stream, what, false),
            |(mut stream, what, has_started)| async move {
                // The connection limits the time until the head.
                let idle = if has_started { IDLE } else { Duration::MAX };
                match next(&mut stream, idle).await {
                    Ok(chunk) => Ok(chunk.map(|chunk| (chunk, (stream, what, true)))),
                    Err(StreamError::Reported(Some(404), _)) => Err(Error::NoSuchImage(what)),
                    Err(error) => Err(Error::from_stream(format!("export of `{what}`"), error)),
                }
            },
        )
    }
}
