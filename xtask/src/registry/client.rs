//! One registry, as its users see it.

use std::sync::Arc;

use super::connection::Connection;
use super::error::Error;
use super::options::Options;
use super::repository::Repository;
use crate::credentials::Credentials;

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

    /// The repository at `path`, which is that of a [`RepositoryName`](crate::oci::RepositoryName).
    pub fn repository(&self, path: &str) -> Repository {
        Repository {
            connection: Arc::clone(&self.0),
            path: path.into(),
        }
    }
}
