//! Who signs in where: what a login is, and Docker's own configuration as a source of them.

mod docker_config;

pub use docker_config::{DockerConfig, DockerConfigError};

use crate::secret::Secret;

/// Who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Anonymous,
    Basic {
        username: String,
        password: Secret<String>,
    },
    /// An OAuth 2 refresh token, as credential helpers and `docker login` to some clouds keep.
    IdentityToken(Secret<String>),
}
