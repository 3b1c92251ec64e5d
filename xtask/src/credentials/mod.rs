//! Who signs in where. Every command asks the one [`Resolver`], which has the order.
//!
//! Nothing here speaks to a registry. No message and no `Debug` output shows a password.

mod docker_config;
mod helper;
mod logins;
mod resolver;
mod variables;

pub(crate) use docker_config::DockerConfig;
pub use docker_config::DockerConfigError;
pub use logins::{Logins, Prefix};
pub use resolver::{ReleaseRegistry, Resolver};
pub use variables::Variables;

use crate::secret::{Redactor, Secret};

/// Who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Anonymous,
    Basic {
        username: String,
        password: Secret<String>,
    },
    /// `user:password` that is no UTF-8, as it is.
    Pair(Secret<Vec<u8>>),
    /// A token for the registry itself, which is sent as it is.
    RegistryToken(Secret<String>),
    /// An OAuth 2 refresh token, as credential helpers and `docker login` to some clouds keep.
    IdentityToken(Secret<String>),
}

/// How to sign in to a registry, or to a namespace there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub credentials: Credentials,
    /// The registry's certificate may be any, and where it does not speak TLS it is spoken to without.
    pub insecure: bool,
    /// Where it is written, for messages.
    pub origin: String,
}

/// The user by which a helper says that its secret is an identity token.
const TOKEN: &str = "<token>";

/// Why nobody signs in to a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLogin {
    #[error("`{set}` is set and `{missing}` is not")]
    Half { set: String, missing: String },
    #[error("{}there is no `docker login {host}`", unset(variables))]
    Missing {
        host: String,
        /// The names of those that could say it.
        variables: Vec<String>,
    },
    /// What is wrong with Docker's configuration, or with a helper that it names.
    #[error(transparent)]
    Docker(#[from] DockerConfigError),
}

fn unset(variables: &[String]) -> String {
    match variables {
        [] => String::new(),
        variables => format!("{} are not set, and ", variables.join(" and ")),
    }
}

impl NoLogin {
    /// What would let somebody sign in: "`docker login ghcr.io`, or set `A` and `B`".
    pub fn remedy(&self) -> String {
        match self {
            NoLogin::Missing { host, variables } if variables.is_empty() => {
                format!("`docker login {host}`")
            }
            NoLogin::Missing { host, variables } => {
                format!("`docker login {host}`, or set {}", variables.join(" or "))
            }
            other => other.to_string(),
        }
    }

    /// Whether there may be a login that its helper did not give. It is a failure for who writes; reading goes on
    /// without it.
    pub fn is_helper_failure(&self) -> bool {
        matches!(self, NoLogin::Docker(DockerConfigError::Helper(_)))
    }
}

impl Credentials {
    /// What a user's name and a secret mean in Docker's configuration and for its helpers.
    fn of(username: &str, secret: &str) -> Credentials {
        let secret = Secret::new(secret.to_owned());
        match (username, secret.expose().as_str()) {
            ("", _) | (TOKEN, "") => Credentials::Anonymous,
            (TOKEN, _) => Credentials::IdentityToken(secret),
            (username, _) => Credentials::Basic {
                username: username.to_owned(),
                password: secret,
            },
        }
    }

    /// Has `redactor` mask what must not be shown.
    pub fn hide(&self, redactor: &mut Redactor) {
        match self {
            Credentials::Anonymous => {}
            Credentials::Basic { username, password } => redactor.add_login(username, password),
            Credentials::Pair(pair) => redactor.add_pair(pair),
            Credentials::IdentityToken(token) | Credentials::RegistryToken(token) => {
                redactor.add(token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credentials_print_what_is_secret() {
        let secret = || Secret::new("hunter22".to_owned());
        let basic = Credentials::Basic {
            username: "robot$x".to_owned(),
            password: secret(),
        };
        let printed = format!("{basic:?} {:?}", Credentials::IdentityToken(secret()));
        assert!(printed.contains("robot$x"));
        assert!(!printed.contains("hunter22"), "{printed}");
    }
}
