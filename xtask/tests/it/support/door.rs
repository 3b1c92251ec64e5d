//! How one signs in to the faulty registry, and what one may do then.
//!
//! It refuses to know what is stored. Invariant: a token opens what its scopes say, until tokens expire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::header::AUTHORIZATION;

use super::faulty::Seen;
use super::store::Answer;

/// How one signs in. The user is [`USER`] with [`PASSWORD`].
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Door {
    #[default]
    Open,
    Basic,
    /// Tokens for scopes, from `/token`; nobody may push under `readonly/`, and anybody may pull from `public/`.
    Tokens,
}

pub const USER: &str = "robot$x";
pub const PASSWORD: &str = "p>>>p~~~?$";
/// Accepted by the token endpoint as an OAuth 2 refresh token.
pub const IDENTITY: &str = "identity/token+";

/// Lets in who may come in.
pub struct Keeper {
    door: Door,
    /// The address that tokens come from.
    host: String,
    /// Tokens and the scopes they are for.
    tokens: Vec<(String, Vec<String>)>,
    issued: usize,
}

impl Keeper {
    pub fn new(door: Door, host: &str) -> Keeper {
        Keeper {
            door,
            host: host.to_owned(),
            tokens: Vec::new(),
            issued: 0,
        }
    }

    /// Every token that was issued is worthless from now on.
    pub fn expire(&mut self) {
        self.tokens.clear();
    }

    /// The answer to whom it does not let in.
    pub fn challenge(&self) -> Answer {
        let challenge = match self.door {
            Door::Tokens => format!(
                r#"Bearer realm="http://{}/token",service="faulty""#,
                self.host
            ),
            Door::Basic | Door::Open => r#"Basic realm="faulty""#.to_owned(),
        };
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        Answer {
            body: body.into(),
            ..Answer::empty(401)
        }
        .with("www-authenticate", challenge)
    }

    /// Whether the request may go on to `/v2/{rest}`.
    pub fn lets_in(&self, seen: &Seen, rest: &str) -> bool {
        let given = authorization(seen);
        match self.door {
            Door::Open => true,
            Door::Basic => given == Some(&basic()),
            Door::Tokens => {
                let parts: Vec<&str> = rest.split('/').collect();
                let end = parts
                    .iter()
                    .position(|part| matches!(*part, "blobs" | "manifests" | "tags" | "referrers"));
                let repository = parts[..end.unwrap_or(parts.len())].join("/");
                let is_read = matches!(seen.method, Method::GET | Method::HEAD);
                let needed = format!(
                    "repository:{repository}:{}",
                    if is_read { "pull" } else { "pull,push" }
                );
                let token = given.and_then(|given| given.strip_prefix("Bearer "));
                let scopes = self.tokens.iter().find(|(text, _)| Some(&**text) == token);
                scopes.is_some_and(|(_, scopes)| {
                    scopes.iter().any(|scope| scope.starts_with(&needed))
                })
            }
        }
    }

    /// Answers a request to `/token`.
    pub fn issue(&mut self, seen: &Seen, query: &[(String, String)], body: &[u8]) -> Answer {
        let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
        let given = authorization(seen);
        let all = || query.iter().chain(&form);
        let value = |wanted: &str| {
            all()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.as_str())
        };
        let is_known = given == Some(&basic()) || value("refresh_token") == Some(IDENTITY);
        let is_public = value("scope")
            .and_then(|scope| scope.strip_prefix("repository:public/"))
            .is_some_and(|rest| rest.ends_with(":pull"));
        if !(is_known || is_public) || value("service") != Some("faulty") {
            return Answer::empty(401);
        }
        let asked = all()
            .filter(|(name, _)| name == "scope")
            .flat_map(|(_, value)| value.split(' '));
        // A scope that is not granted in full is granted in part, as at Docker Hub.
        let scopes = asked.map(|scope| match scope.starts_with("repository:readonly/") {
            true => scope.replace("pull,push", "pull"),
            false => scope.to_owned(),
        });
        let scopes = scopes.collect();
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        let body = format!(r#"{{"token":"{token}","expires_in":300}}"#);
        self.tokens.push((token, scopes));
        Answer {
            body: body.into(),
            ..Answer::empty(200)
        }
    }
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

fn authorization(seen: &Seen) -> Option<&str> {
    seen.headers.get(AUTHORIZATION)?.to_str().ok()
}
