//! One registry, as its users see it.

use std::sync::Arc;
use std::time::Duration;

use super::connection::Connection;
use super::error::Error;
use super::options::Options;
use super::repository::Repository;
use crate::credentials::Credentials;

/// How long the end of a run waits for a registry to cancel uploads.
const LONGEST_END: Duration = Duration::from_secs(3);

/// A registry, signed in to with one set of credentials. A clone is another handle to the same: all share its tokens,
/// connections, rate limiter and pauses.
#[derive(Clone)]
pub struct Registry(Arc<Connection>);

impl Registry {
    /// The registry `host`, which is not contacted yet.
    pub fn new(host: &str, credentials: Credentials, options: Options) -> Result<Registry, Error> {
        let connection = Connection::new(host, credentials, options)?;
        Ok(Registry(Arc::new(connection)))
    }

    /// Cancels the uploads that are open still, at the end of a run, within [`LONGEST_END`].
    pub async fn cancel_uploads(&self) {
        self.0.cancel_uploads(LONGEST_END).await;
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }

    /// Whether any request has got a response.
    pub fn has_answered(&self) -> bool {
        self.0.has_answered()
    }

    /// Whether what is sent there can be read on the way: it does not speak TLS, and is not on this machine. It is
    /// known after the first response.
    pub fn is_in_clear(&self) -> bool {
        self.0.is_in_clear()
    }

    /// The repository at `path`, which is that of a [`RepositoryName`](crate::oci::RepositoryName).
    pub fn repository(&self, path: &str) -> Repository {
        Repository {
            connection: Arc::clone(&self.0),
            path: path.into(),
        }
    }
}
