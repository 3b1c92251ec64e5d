//! Reads an engine's streamed answer: one item at a time, with a limit on silence.
//!
//! It knows how bollard's streams end and fail, and refuses to know what the items mean.

use std::time::Duration;

use bollard::errors::Error as Bollard;
use futures_util::{Stream, StreamExt};

use super::error::clean;

/// Why an answer has no next item.
#[derive(Debug)]
pub(super) enum StreamError {
    /// The engine said what is wrong, with the status of its answer, or none when it said so in the stream.
    Reported(Option<u16>, String),
    /// Nothing came for this long.
    IdleTimeout(Duration),
    /// The connection to the engine failed, or the engine does not speak its protocol.
    Disconnected(String),
}

/// The next item, `None` at the end.
///
/// `idle` is needed because bollard's own timeout ends with the headers: a stream that stalls would hang for ever.
pub(super) async fn next<T>(
    answer: &mut (impl Stream<Item = Result<T, Bollard>> + Unpin),
    idle: Duration,
) -> Result<Option<T>, StreamError> {
    match tokio::time::timeout(idle, answer.next()).await {
        Err(_) => Err(StreamError::IdleTimeout(idle)),
        Ok(None) => Ok(None),
        Ok(Some(Ok(item))) => Ok(Some(item)),
        Ok(Some(Err(error))) if is_end(&error) => Ok(None),
        Ok(Some(Err(error))) => Err(error.into()),
    }
}

/// bollard#560: when the last line break arrives in a packet of its own, the end of a good stream is reported as this
/// error. A stream that really was cut lacks what the callers take as proof of success.
fn is_end(error: &Bollard) -> bool {
    matches!(error, Bollard::IOError { err } if err.to_string() == "bytes remaining on stream")
}

impl From<Bollard> for StreamError {
    fn from(error: Bollard) -> Self {
        match error {
            Bollard::DockerResponseServerError {
                status_code,
                message,
            } => StreamError::Reported(Some(status_code), clean(message.trim())),
            Bollard::DockerStreamError { error } => {
                StreamError::Reported(None, clean(error.trim()))
            }
            error => StreamError::Disconnected(root(&error)),
        }
    }
}

/// What is at the bottom of an error: bollard's own text stops at "client error (Connect)".
pub(super) fn root(error: &Bollard) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    clean(&error.to_string())
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn io(text: &str) -> Bollard {
        std::io::Error::other(text.to_owned()).into()
    }

    #[tokio::test]
    async fn a_late_line_break_is_the_end_and_not_an_error() {
        let mut answer = stream::iter([Ok(1), Err(io("bytes remaining on stream"))]);
        assert_eq!(next(&mut answer, Duration::MAX).await.unwrap(), Some(1));
        assert_eq!(next(&mut answer, Duration::MAX).await.unwrap(), None);

        let mut answer = stream::iter([Err::<(), _>(io("connection reset by peer"))]);
        let broken = next(&mut answer, Duration::MAX).await.unwrap_err();
        assert!(matches!(broken, StreamError::Disconnected(_)), "{broken:?}");
    }

    #[tokio::test]
    async fn silence_ends_the_wait() {
        let idle = Duration::from_millis(1);
        let broken = next(&mut stream::pending::<Result<(), _>>(), idle).await;
        assert!(matches!(broken, Err(StreamError::IdleTimeout(d)) if d == idle));
    }
}
