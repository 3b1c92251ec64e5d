//! Bearer tokens: how one is requested, and how long it is used. A token is opaque.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::credentials::Credentials;
use crate::oci::json;
use crate::registry::error::Error;

/// What a request needs to be allowed. Each has a token of its own: one token for all would soon be too long for a
/// header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::registry) struct Scope {
    pub repository: String,
    pub access: Access,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::registry) enum Access {
    Pull,
    Push,
    /// To list tags with what the registry knows of them, as Azure's calls it.
    List,
    /// To push, and to read the repository that a blob is mounted from.
    Mount {
        from: String,
    },
    /// To list the repositories; there is none to name.
    Catalog,
    /// The password itself, at a registry that takes no token for that: Harbor, for whatever lists (harbor#13573).
    Password,
}

impl Scope {
    /// To list the repositories.
    pub(in crate::registry) fn catalog() -> Scope {
        Scope {
            repository: String::new(),
            access: Access::Catalog,
        }
    }

    /// The namespace of the repository, for messages.
    pub(super) fn namespace(&self, host: &str) -> String {
        match self.repository.rsplit_once('/') {
            Some((namespace, _)) => format!("{host}/{namespace}"),
            None if self.repository.is_empty() => host.to_owned(),
            None => format!("{host}/{}", self.repository),
        }
    }

    fn texts(&self) -> Vec<String> {
        let pull = |name: &str| format!("repository:{name}:pull");
        let own = pull(&self.repository);
        match &self.access {
            Access::Pull => vec![own],
            Access::Push => vec![own + ",push"],
            Access::List => vec![own + ",metadata_read"],
            Access::Mount { from } => vec![own + ",push", pull(from)],
            Access::Catalog => vec!["registry:catalog:*".to_owned()],
            Access::Password => Vec::new(),
        }
    }
}

/// A token, ready to be sent.
pub(super) struct Token {
    pub header: HeaderValue,
    /// When it expires by the server's own words, which some mean literally.
    pub stated_end: Instant,
    expires: Instant,
}

impl Token {
    /// Reads a token endpoint's response to a request that was sent at `asked`.
    ///
    /// The lifetime counts from our clock, not from `issued_at`, which is the server's.
    pub(super) fn read(realm: &Url, body: &[u8], asked: Instant) -> Result<Token, Error> {
        #[derive(Deserialize)]
        struct TokenResponse {
            token: Option<String>,
            access_token: Option<String>,
            #[serde(default)]
            expires_in: Value,
        }
        let wrong = |reason| Error::protocol(realm, reason);
        let response: TokenResponse =
            json::from_slice(body, &["token", "access_token", "expires_in"])
                .map_err(|_| wrong("not a token response"))?;
        let token = response.token.filter(|token| !token.is_empty());
        let token = token.or(response.access_token);
        let token = token.ok_or_else(|| wrong("a response without a token"))?;
        // Some servers write a fraction or a string. 60 s is the specification's default and minimum.
        let lifetime = match &response.expires_in {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_f64(),
        };
        let stated = lifetime.filter(|it| *it > 0.0).unwrap_or(60.0);
        let lifetime = stated.clamp(60.0, 24.0 * 3600.0);
        Ok(Token {
            header: sensitive(format!("Bearer {token}"))
                .ok_or_else(|| wrong("a token with illegal characters"))?,
            stated_end: asked + Duration::from_secs_f64(stated.min(lifetime)),
            expires: asked + Duration::from_secs_f64(lifetime),
        })
    }

    /// Whether the token will still be good when a request that is sent `now` arrives.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        now + Duration::from_secs(10) < self.expires
    }
}

/// The request that asks `realm` for a token; without a scope, only whether the login is right.
pub(super) fn request(
    realm: &Url,
    service: Option<&str>,
    scope: Option<&Scope>,
    credentials: &Credentials,
) -> Request {
    let service = service.map(|service| ("service", service));
    let scopes = scope.map(Scope::texts).unwrap_or_default();
    if let Credentials::IdentityToken(identity) = credentials {
        // OAuth 2, which takes all scopes in one parameter.
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(service)
            .append_pair("client_id", "xtask")
            .append_pair("grant_type", "refresh_token")
            .append_pair("scope", &scopes.join(" "))
            .append_pair("refresh_token", identity.expose())
            .finish();
        let mut request = Request::new(Method::POST, realm.clone());
        let media_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, media_type);
        *request.body_mut() = Some(form.into());
        return request;
    }
    let mut url = realm.clone();
    url.query_pairs_mut()
        .extend_pairs(service)
        .extend_pairs(scopes.iter().map(|text| ("scope", text)));
    let mut request = Request::new(Method::GET, url);
    if let Some(basic) = basic(credentials) {
        request.headers_mut().insert(AUTHORIZATION, basic);
    }
    request
}

/// The header of Basic authentication, for credentials that have a password; a registry's own token is sent as it is.
pub(super) fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    let basic = |pair: &[u8]| sensitive(format!("Basic {}", STANDARD.encode(pair)));
    match credentials {
        Credentials::Basic { username, password } => {
            basic(format!("{username}:{}", password.expose()).as_bytes())
        }
        Credentials::Pair(pair) => basic(pair.expose()),
        Credentials::RegistryToken(token) => sensitive(format!("Bearer {}", token.expose())),
        Credentials::Anonymous | Credentials::IdentityToken(_) => None,
    }
}

/// A header value that `Debug` does not show.
fn sensitive(text: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn realm() -> Url {
        Url::parse("https://auth/token?account=x").unwrap()
    }

    fn scope(access: Access) -> Scope {
        Scope {
            repository: "a/b".to_owned(),
            access,
        }
    }

    fn login() -> Credentials {
        Credentials::Basic {
            username: "robot$x".to_owned(),
            password: Secret::new("p>>>p~~~?$".to_owned()),
        }
    }

    #[test]
    fn the_realm_is_asked_for_one_scope() {
        let push = scope(Access::Push);
        let request = request(&realm(), Some("reg istry"), Some(&push), &login());
        assert_eq!(
            request.url().as_str(),
            "https://auth/token?account=x&service=reg+istry&scope=repository%3Aa%2Fb%3Apull%2Cpush"
        );
        let header = &request.headers()[AUTHORIZATION];
        assert_eq!(
            header.to_str().unwrap(),
            format!("Basic {}", STANDARD.encode("robot$x:p>>>p~~~?$"))
        );
        assert_eq!(format!("{header:?}"), "Sensitive");
    }

    #[test]
    fn a_mount_asks_for_both_repositories() {
        let mount = scope(Access::Mount {
            from: "c/d".to_owned(),
        });
        let request = request(&realm(), None, Some(&mount), &Credentials::Anonymous);
        let scopes: Vec<_> = request
            .url()
            .query_pairs()
            .filter(|(name, _)| name == "scope")
            .collect();
        assert_eq!(scopes[0].1, "repository:a/b:pull,push");
        assert_eq!(scopes[1].1, "repository:c/d:pull");
        assert!(!request.headers().contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_list_of_repositories_names_none() {
        let catalog = Scope {
            repository: String::new(),
            access: Access::Catalog,
        };
        let request = request(&realm(), None, Some(&catalog), &Credentials::Anonymous);
        let query = request.url().query().unwrap();
        assert_eq!(query, "account=x&scope=registry%3Acatalog%3A*");
        assert_eq!(catalog.namespace("r.io"), "r.io");
    }

    #[test]
    fn an_identity_token_goes_in_a_body_not_in_a_url() {
        let identity = Credentials::IdentityToken(Secret::new("id&entity".to_owned()));
        let pull = scope(Access::Pull);
        let request = request(&realm(), Some("s"), Some(&pull), &identity);
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.url(), &realm());
        let body = request.body().and_then(|body| body.as_bytes()).unwrap();
        assert_eq!(
            std::str::from_utf8(body).unwrap(),
            "service=s&client_id=xtask&grant_type=refresh_token&scope=repository%3Aa%2Fb%3Apull&refresh_token=id%26entity"
        );
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        let asked = Instant::now();
        let usable = |body: &str, after: u64| {
            let token = Token::read(&realm(), body.as_bytes(), asked).ok().unwrap();
            token.is_usable(asked + Duration::from_secs(after))
        };
        let five_minutes = r#"{"token":"t","expires_in":300}"#;
        assert!(usable(five_minutes, 280));
        assert!(!usable(five_minutes, 291));
        for expires_in in ["300.0", "3e2", r#""300""#, "300.9"] {
            let body = format!(r#"{{"token":"t","expires_in":{expires_in}}}"#);
            assert!(usable(&body, 289) && !usable(&body, 292), "{body}");
        }
        for expires_in in ["null", "0", "-1", "\"\"", "\"NaN\"", "{}"] {
            let body = format!(r#"{{"token":"t","expires_in":{expires_in}}}"#);
            assert!(usable(&body, 45) && !usable(&body, 51), "{body}");
        }
        assert!(usable(r#"{"token":"t","expires_in":1e300}"#, 3600));
        for short in [
            r#"{"access_token":"t"}"#,
            r#"{"token":"","access_token":"t","expires_in":5}"#,
        ] {
            assert!(usable(short, 45));
            assert!(!usable(short, 51));
        }
    }

    #[test]
    fn an_answer_without_a_token_is_an_error() {
        for body in ["{}", "no", r#"{"token":"a\nb"}"#] {
            assert!(
                Token::read(&realm(), body.as_bytes(), Instant::now()).is_err(),
                "{body}"
            );
        }
    }
}
