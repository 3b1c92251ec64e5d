//! Reads an engine's response stream one item at a time, with an idle timeout. Knows how bollard's streams end and
//! fail.

use std::time::Duration;

use bollard::errors::Error as Bollard;
use futures_util::{Stream, StreamExt};

use crate::secret::with_public_urls;

/// Why a stream has no next item.
#[derive(Debug)]
pub(super) enum StreamError {
    /// An error of the engine, with the status of the response; without one if it came in the stream.
    Reported(Option<u16>, String),
    /// No item for this long.
    IdleTimeout(Duration),
    /// The connection to the engine failed, or the engine does not speak its protocol.
    Disconnected(String),
}

/// The next item, `None` at the end.
///
/// bollard's own timeout covers the headers only: without `idle`, a stream that stalls would hang for ever.
pub(super) async fn next<T>(
    stream: &mut (impl Stream<Item = Result<T, Bollard>> + Unpin),
    idle: Duration,
) -> Result<Option<T>, StreamError> {
    match tokio::time::timeout(idle, stream.next()).await {
        Err(_) => Err(StreamError::IdleTimeout(idle)),
        Ok(None) => Ok(None),
        Ok(Some(Ok(item))) => Ok(Some(item)),
        Ok(Some(Err(error))) if is_end(&error) => Ok(None),
        Ok(Some(Err(error))) => Err(error.into()),
    }
}

/// bollard#560: if the last line break arrives in a packet of its own, bollard reports the end of a good stream as this
/// error. A truncated stream lacks what the callers take as proof of success.
fn is_end(error: &Bollard) -> bool {
    matches!(error, Bollard::IOError { err } if err.to_string() == "bytes remaining on stream")
}

impl From<Bollard> for StreamError {
    fn from(error: Bollard) -> Self {
        match error {
            Bollard::DockerResponseServerError {
                status_code,
                message,
            } => StreamError::Reported(Some(status_code), with_public_urls(message.trim())),
            Bollard::DockerStreamError { error } => {
                StreamError::Reported(None, with_public_urls(error.trim()))
            }
            error => StreamError::Disconnected(root_cause(&error)),
        }
    }
}

/// The root cause of an error: bollard's own text ends at "client error (Connect)".
pub(super) fn root_cause(error: &Bollard) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    with_public_urls(&error.to_string())
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{iter, pending};

    use super::*;

    fn io(text: &str) -> Bollard {
        std::io::Error::other(text.to_owned()).into()
    }

    #[tokio::test]
    async fn a_late_line_break_is_the_end_and_not_an_error() {
        let mut stream = iter([Ok(1), Err(io("bytes remaining on stream"))]);
        assert_eq!(next(&mut stream, Duration::MAX).await.unwrap(), Some(1));
        assert_eq!(next(&mut stream, Duration::MAX).await.unwrap(), None);

        let mut stream = iter([Err::<(), _>(io("connection reset by peer"))]);
        let error = next(&mut stream, Duration::MAX).await.unwrap_err();
        assert!(matches!(error, StreamError::Disconnected(_)), "{error:?}");
    }

    #[tokio::test]
    async fn an_idle_stream_fails() {
        let idle = Duration::from_millis(1);
        let error = next(&mut pending::<Result<(), _>>(), idle).await;
        assert!(matches!(error, Err(StreamError::IdleTimeout(d)) if d == idle));
    }
}
