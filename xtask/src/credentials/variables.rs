//! A user and a password in two variables.

use super::{Credentials, Login, NoLogin};
use crate::secret::Secret;

/// Two variables that sign in to a registry together, and what they hold.
#[derive(Clone, Debug)]
pub struct Variables {
    names: [String; 2],
    username: Option<String>,
    password: Option<Secret<String>>,
}

impl Variables {
    /// Those of these names, with what `lookup` says they hold.
    pub fn read(
        username: impl Into<String>,
        password: impl Into<String>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let names = [username.into(), password.into()];
        Variables {
            username: lookup(&names[0]),
            password: lookup(&names[1]).map(Secret::new),
            names,
        }
    }

    /// "`NAME` and `NAME`".
    pub fn names(&self) -> String {
        let [username, password] = &self.names;
        format!("`{username}` and `{password}`")
    }

    /// The login that they are; `None` when neither is set.
    ///
    /// # Errors
    /// [`NoLogin::Half`]: only one is set.
    pub fn login(&self) -> Result<Option<Login>, NoLogin> {
        let half = |set: usize, missing: usize| NoLogin::Half {
            set: self.names[set].clone(),
            missing: self.names[missing].clone(),
        };
        match (&self.username, &self.password) {
            (Some(username), Some(password)) => Ok(Some(Login {
                credentials: Credentials::Basic {
                    username: username.clone(),
                    password: password.clone(),
                },
                insecure: false,
                origin: self.names(),
            })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(half(0, 1)),
            (None, Some(_)) => Err(half(1, 0)),
        }
    }
}
