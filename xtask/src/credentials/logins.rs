//! Logins for registries and for namespaces in them, as a file lists them.

use super::{Credentials, Login};
use crate::oci::{ReferenceError, RepositoryName};

/// Logins by prefix.
#[derive(Clone, Debug, Default)]
pub struct Logins {
    entries: Vec<(Prefix, Login)>,
}

/// A registry, and the first segments of the path there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    host: String,
    path: String,
}

impl Logins {
    /// The login with the longest prefix of `repository`, counted in whole segments.
    pub fn find(&self, repository: &RepositoryName) -> Option<&Login> {
        let fitting = self.entries.iter();
        let fitting = fitting.filter_map(|(prefix, it)| Some((prefix.fit(repository)?, it)));
        let best = fitting.max_by_key(|(fit, _)| *fit);
        best.map(|(_, login)| login)
    }

    /// Those of every login, for masking.
    pub fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        self.entries.iter().map(|(_, login)| &login.credentials)
    }

    /// Adds a login; `false` if there is another one for this very prefix already, which stays. An anonymous entry says
    /// only whether the registry is insecure.
    pub fn add(&mut self, prefix: Prefix, login: Login) -> bool {
        let mut entries = self.entries.iter_mut();
        let Some((_, known)) = entries.find(|(known, _)| *known == prefix) else {
            self.entries.push((prefix, login));
            return true;
        };
        known.insecure |= login.insecure;
        if known.credentials == Credentials::Anonymous {
            (known.credentials, known.origin) = (login.credentials, login.origin);
            return true;
        }
        [&Credentials::Anonymous, &known.credentials].contains(&&login.credentials)
    }
}

impl Prefix {
    /// An empty `path` stands for the whole registry.
    pub fn new(host: &str, path: &str) -> Result<Prefix, ReferenceError> {
        // Two segments, so that no `library/` is added on Docker Hub.
        let name = match path {
            "" => RepositoryName::new(host, "a/a")?,
            path => RepositoryName::new(host, &format!("{path}/a"))?,
        };
        Ok(Prefix {
            host: name.host().to_owned(),
            path: path.to_owned(),
        })
    }

    pub(super) fn is_at(&self, host: &str) -> bool {
        self.host == host
    }

    /// The length of the prefix, if `repository` begins with it.
    pub(super) fn fit(&self, repository: &RepositoryName) -> Option<usize> {
        let rest = repository.path().strip_prefix(&self.path)?;
        let is_whole = self.path.is_empty() || rest.is_empty() || rest.starts_with('/');
        (self.host == repository.host() && is_whole).then_some(self.path.len())
    }
}
