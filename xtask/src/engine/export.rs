//! Exports images as one archive, as `docker save` does.
//!
//! It refuses to know what is in the archive. Invariant: a stream that ends well ended where the engine ended it; one
//! that the engine breaks off ends with an error.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::answer::{StreamError, next};
use super::{Engine, Error};

/// An export of which nothing comes for this long is stuck. Until its first byte it has the time of a slow answer's
/// head, because engines up to 28 copy the whole image into a directory of their own first.
const IDLE: Duration = Duration::from_secs(300);

impl Engine {
    /// The archive of the images with these names or ids, in which a layer that several of them have is once.
    ///
    /// Nothing is asked before the stream is read; dropping it ends the export.
    ///
    /// # Errors
    /// The stream's items: [`Error::NoSuchImage`], [`Error::Stalled`], and [`Error::Engine`] for an engine that fails or
    /// goes away on the way.
    pub fn export(
        &self,
        names: &[String],
    ) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        let what = names.join("`, `");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let answer: Pin<Box<dyn Stream<Item = _> + Send>> =
            Box::pin(self.patient().export_images(&names));
        stream::try_unfold(
            (answer, what, false),
            |(mut answer, what, begun)| async move {
                // The head's own limit is the connection's.
                let idle = if begun { IDLE } else { Duration::MAX };
                match next(&mut answer, idle).await {
                    Ok(piece) => Ok(piece.map(|piece| (piece, (answer, what, true)))),
                    Err(StreamError::Reported(Some(404), _)) => Err(Error::NoSuchImage(what)),
                    Err(broken) => Err(Error::broken(format!("export of `{what}`"), broken)),
                }
            },
        )
    }
}
