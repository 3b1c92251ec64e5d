//! Docker's `config.json`.

use serde_json::{Value, json};

use crate::credentials::{Credentials, DockerConfig};
use crate::oci::RepositoryName;

const REPOSITORIES: [&str; 5] = [
    "docker.io/library/nginx",
    "r.io/team/app",
    "localhost:5000/a",
    "123.dkr.ecr.eu-west-1.amazonaws.com/a",
    "[::1]:5000/a/b",
];

/// A login that is found is found again when it is written plainly; what is wrong is told without what is secret.
pub(super) fn docker_config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let config = match DockerConfig::parse(&text) {
        Ok(config) => config,
        Err(error) => return tells_no_secret(&text, &error.to_string()),
    };
    let repositories = REPOSITORIES
        .iter()
        .filter_map(|it| it.parse::<RepositoryName>().ok());
    for repository in repositories {
        let host = repository.host();
        if let Some(helper) = config.helper(host) {
            assert!(helper.program.starts_with("docker-credential-"));
        }
        match config.stored(&repository) {
            Err(error) => tells_no_secret(&text, &error.to_string()),
            Ok(credentials) => is_found_again(&repository, credentials),
        }
    }
}

fn is_found_again(repository: &RepositoryName, credentials: Credentials) {
    let login = match &credentials {
        Credentials::Anonymous | Credentials::Pair(_) => return,
        Credentials::Basic { username, password } => {
            json!({"username": username, "password": password.expose()})
        }
        Credentials::RegistryToken(token) => json!({"registrytoken": token.expose()}),
        Credentials::IdentityToken(token) => json!({"identitytoken": token.expose()}),
    };
    let text = json!({"auths": {repository.host(): login}}).to_string();
    let again = DockerConfig::parse(&text).and_then(|it| it.stored(repository));
    assert!(again.is_ok_and(|it| it == credentials), "{repository}");
}

fn tells_no_secret(text: &str, told: &str) {
    super::is_one_line(told);
    let mut open: Vec<Value> = serde_json::from_str(text).into_iter().collect();
    while let Some(value) = open.pop() {
        let Value::Object(fields) = value else {
            continue;
        };
        for (name, value) in fields {
            match value {
                // What stands somewhere else too may be shown as what it is there.
                Value::String(secret) if SECRET.contains(&&*name.to_ascii_lowercase()) => assert!(
                    secret.len() < 6
                        || text.matches(&*secret).count() > 1
                        || !told.contains(&secret),
                    "`{told}` tells what is secret"
                ),
                value => open.push(value),
            }
        }
    }
}

const SECRET: [&str; 4] = ["auth", "password", "identitytoken", "registrytoken"];
