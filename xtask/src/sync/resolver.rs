//! Who signs in where: the files' logins, then the variables of the release's registries, then Docker's own.
//!
//! It refuses to know what comes of it. Invariant: Docker's configuration, whose helpers are programs, is asked once
//! for a registry.

use std::collections::HashMap;
use std::io::ErrorKind;

use anyhow::Result;

use super::{Login, Logins};
use crate::credentials::{Credentials, DockerConfig, DockerConfigError};
use crate::exit::BadInput;
use crate::oci::RepositoryName;
use crate::settings::{self, Settings};

pub(super) struct CredentialResolver<'r> {
    /// Of a release's registries, by host.
    variables: Vec<(String, settings::Login)>,
    logins: &'r Logins,
    docker: DockerConfig,
    /// What Docker's configuration gave, by host.
    asked: HashMap<String, Result<Credentials, DockerConfigError>>,
}

impl<'r> CredentialResolver<'r> {
    /// # Errors
    /// A configuration is there and not readable: Docker's, or that of a release.
    pub fn new(settings: &Settings, logins: &'r Logins) -> Result<Self> {
        Ok(CredentialResolver {
            variables: settings.registry_logins()?,
            logins,
            docker: docker_config(settings)?,
            asked: HashMap::new(),
        })
    }

    /// How to sign in for `name`.
    ///
    /// # Errors
    /// Half a login, or a helper of Docker's that fails.
    pub async fn find(&mut self, name: &RepositoryName) -> Result<Login, BadInput> {
        if let Some(login) = self.logins.find(name) {
            return Ok(login.clone());
        }
        let known = self.variables.iter().find(|(host, _)| host == name.host());
        let mut unset = None;
        match known.map(|(_, login)| login) {
            Some(settings::Login::Ready {
                username,
                password,
                variables,
            }) => {
                return Ok(Login {
                    credentials: Credentials::Basic {
                        username: username.clone(),
                        password: password.clone(),
                    },
                    plain_http: false,
                    origin: format!("`{}` and `{}`", variables.username, variables.password),
                });
            }
            Some(settings::Login::Incomplete { set, missing }) => {
                return Err(BadInput(format!("`{set}` is set and `{missing}` is not")));
            }
            Some(settings::Login::Missing(variables)) => unset = Some(variables.missing()),
            None => {}
        }
        let host = name.host();
        if !self.asked.contains_key(host) {
            let credentials = self.docker.credentials(host).await;
            self.asked.insert(host.to_owned(), credentials);
        }
        let credentials = self.asked[host].clone();
        let credentials = credentials.map_err(|error| BadInput(error.to_string()))?;
        let origin = match (&credentials, unset) {
            (Credentials::Anonymous, Some(unset)) => unset,
            (Credentials::Anonymous, None) => format!("`--auth FILE`, or `docker login {host}`"),
            _ => format!("Docker's login for `{host}`"),
        };
        Ok(Login {
            credentials,
            plain_http: false,
            origin,
        })
    }
}

fn docker_config(settings: &Settings) -> Result<DockerConfig, BadInput> {
    let Some(path) = &settings.docker_config else {
        return Ok(DockerConfig::default());
    };
    let problem =
        |error: &dyn std::fmt::Display| BadInput(format!("`{}`: {error}", path.display()));
    match std::fs::read_to_string(path) {
        Ok(text) => DockerConfig::parse(&text).map_err(|error| problem(&error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(DockerConfig::default()),
        Err(error) => Err(problem(&error)),
    }
}
