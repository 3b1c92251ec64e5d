//! The logins of a release's registries.

use std::collections::BTreeMap;

use crate::credentials::{Credentials, Login, NoLogin, Resolver};
use crate::report::Console;
use crate::settings::RegistrySettings;

/// The error that nothing can be pushed anywhere.
pub const NO_CREDENTIALS: &str = "no registry has credentials\nhint: set the user and password of at least one, see \
    `.env.example`, or use `docker login`";

/// By the names of the registries.
pub type RegistryLogins = BTreeMap<String, Result<Login, NoLogin>>;

/// Finds them. A helper is asked only for those that are `needed`; the others have the logins that are known without.
pub async fn find(
    registries: &[RegistrySettings],
    resolver: &mut Resolver,
    needed: impl Fn(&RegistrySettings) -> bool,
) -> RegistryLogins {
    let unset = registries
        .iter()
        .filter(|it| needed(it) && matches!(it.variables.login(), Ok(None)));
    resolver.ask(unset.map(|it| it.repository.host())).await;
    let mut logins = RegistryLogins::new();
    for it in registries {
        let host = it.repository.host();
        let login = match needed(it) {
            true => resolver.for_registry(&it.repository, &it.variables).await,
            false => match resolver.planned(&it.repository, &it.variables) {
                // What only its helper could tell.
                Ok(login) if matches!(login.credentials, Credentials::Anonymous) => {
                    Err(NoLogin::Missing {
                        host: host.to_owned(),
                        variables: vec![it.variables.names()],
                    })
                }
                known => known,
            },
        };
        logins.insert(it.name.clone(), login);
    }
    logins
}

/// Has `console` mask what signs in.
pub fn mask(logins: &RegistryLogins, console: &Console) {
    for login in logins.values().flatten() {
        console.mask(|redactor| login.credentials.hide(redactor));
    }
}

/// The same as far as it is known without starting a program.
pub fn planned(registries: &[RegistrySettings], resolver: &mut Resolver) -> RegistryLogins {
    let planned = registries.iter().map(|it| {
        let login = resolver.planned(&it.repository, &it.variables);
        (it.name.clone(), login)
    });
    planned.collect()
}

/// Half a login is a mistake wherever it is used; of `registries`, those are.
pub fn halves<'r>(
    registries: impl IntoIterator<Item = &'r RegistrySettings>,
    logins: &RegistryLogins,
) -> Vec<String> {
    let halves = registries
        .into_iter()
        .filter_map(|registry| match &logins[&registry.name] {
            Err(half @ NoLogin::Half { .. }) => {
                Some(format!("registry `{}`: {half}", registry.name))
            }
            _ => None,
        });
    halves.collect()
}
