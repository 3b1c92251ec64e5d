//! How one signs in to the fake registry, and what one may do then.
//!
//! A token opens what its scopes say, until tokens expire.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::header::AUTHORIZATION;

use super::{ListingApi, RecordedRequest};
use crate::http::{Form, Reply};

/// How one signs in. The user is [`USER`] with [`PASSWORD`].
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum AuthMode {
    #[default]
    Open,
    Basic,
    /// Everybody may read, also `/v2/`.
    BasicToPush,
    /// What is private is 404, also to somebody who is not signed in; only `/v2/` asks who it is.
    BasicHidden,
    /// Tokens for scopes, from `/token`; nobody may push under `readonly/`, nobody gets a token for
    /// `forbidden/`, and anybody may pull from `public/`.
    Tokens,
    /// The same behind a proxy that hides the project: what it calls `app` is `project/app` to the token server.
    TokensOfProject,
}

pub const USER: &str = "robot$x";
/// `~`, `>` and `?` are where two alphabets of base64 differ, and `$` where careless tools expand.
pub const PASSWORD: &str = "p>>>p~~~?$";
/// Accepted by the token endpoint as an OAuth 2 refresh token.
pub const IDENTITY: &str = "identity/token+";

const SERVICE: &str = "fake-registry";

/// Issues tokens, and tells whom the registry may serve.
pub(super) struct TokenServer {
    mode: AuthMode,
    api: Option<ListingApi>,
    life: Duration,
    /// Tokens, the scopes they are for, and when they were issued.
    tokens: Vec<(String, Vec<String>, Instant)>,
    issued: usize,
}

impl TokenServer {
    pub fn new(mode: AuthMode, life: Option<Duration>, api: Option<ListingApi>) -> TokenServer {
        TokenServer {
            mode,
            api,
            life: life.unwrap_or(Duration::from_secs(300)),
            tokens: Vec::new(),
            issued: 0,
        }
    }

    /// Every token that was issued is worthless from now on.
    pub fn expire(&mut self) {
        self.tokens.clear();
    }

    /// Where tokens come from.
    pub fn path(&self) -> &'static str {
        match self.api {
            Some(ListingApi::Azure) => "/oauth2/token",
            Some(ListingApi::Harbor) => "/service/token",
            None => "/token",
        }
    }

    /// What it calls the registry.
    fn service<'h>(&self, host: &'h str) -> &'h str {
        match self.api {
            Some(ListingApi::Azure) => host,
            Some(ListingApi::Harbor) => "harbor-registry",
            None => SERVICE,
        }
    }

    /// The reply to a request that is not permitted; tokens come from `host`.
    pub fn challenge(&self, host: &str, rest: &str) -> Reply {
        if self.mode == AuthMode::BasicHidden && !rest.is_empty() {
            return Reply::new(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#);
        }
        let challenge = match self.mode {
            AuthMode::Tokens => {
                let (path, service) = (self.path(), self.service(host));
                format!(r#"Bearer realm="http://{host}{path}",service="{service}""#)
            }
            AuthMode::TokensOfProject => {
                let scope = format!("repository:project/{}:pull", repository(rest));
                format!(r#"Bearer realm="http://{host}/token",service="{SERVICE}",scope="{scope}""#)
            }
            _ => format!(r#"Basic realm="{SERVICE}""#),
        };
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        Reply::new(401, body).with("www-authenticate", challenge)
    }

    /// Whether the request may go on to `/v2/{rest}`.
    pub fn permits(&self, request: &RecordedRequest, rest: &str) -> bool {
        let given = authorization(request);
        match self.mode {
            AuthMode::Open => true,
            AuthMode::Basic | AuthMode::BasicHidden => given == Some(&basic()),
            AuthMode::BasicToPush => {
                matches!(request.method, Method::GET | Method::HEAD) || given == Some(&basic())
            }
            AuthMode::Tokens if rest == "_catalog" && self.api == Some(ListingApi::Harbor) => {
                given == Some(&basic())
            }
            AuthMode::Tokens | AuthMode::TokensOfProject => {
                let Some(scopes) = self.scopes(request) else {
                    return false;
                };
                if rest == "_catalog" {
                    return scopes.iter().any(|it| it == "registry:catalog:*");
                }
                let is_read = matches!(request.method, Method::GET | Method::HEAD);
                let project = match self.mode {
                    AuthMode::TokensOfProject => "project/",
                    _ => "",
                };
                let name = format!("{project}{}", repository(rest));
                let needed = (name, if is_read { "pull" } else { "push" });
                // `/v2/` itself is for whoever has a token.
                rest.is_empty() || scopes.iter().any(|scope| grants(scope, &needed))
            }
        }
    }

    /// The scopes of the token that the request carries.
    fn scopes(&self, request: &RecordedRequest) -> Option<&[String]> {
        let token = authorization(request)?.strip_prefix("Bearer ")?;
        let (_, scopes, at) = self.tokens.iter().find(|(it, ..)| it == token)?;
        (at.elapsed() < self.life).then_some(scopes)
    }

    /// Whether the request may do this in the repository.
    pub fn permits_action(&self, request: &RecordedRequest, name: &str, action: &str) -> bool {
        let needed = (name.to_owned(), action);
        let scopes = self.scopes(request).unwrap_or_default();
        self.mode == AuthMode::Open || scopes.iter().any(|scope| grants(scope, &needed))
    }

    /// Whether the request carries the password itself.
    pub fn permits_password(&self, request: &RecordedRequest) -> bool {
        self.mode == AuthMode::Open || authorization(request) == Some(&basic())
    }

    /// Answers a request to [`Self::path`].
    pub fn issue(
        &mut self,
        request: &RecordedRequest,
        query: Form,
        body: &[u8],
        host: &str,
    ) -> Reply {
        let values = query.and(Form::parse(body));
        let is_known = authorization(request) == Some(&basic())
            || values.get("refresh_token") == Some(IDENTITY);
        let is_public = values
            .get("scope")
            .and_then(|scope| scope.strip_prefix("repository:public/"))
            .is_some_and(|rest| rest.ends_with(":pull"));
        if !(is_known || is_public) || values.get("service") != Some(self.service(host)) {
            return Reply::empty(401);
        }
        let mut forbidden = values.all("scope");
        if forbidden.any(|it| it.starts_with("repository:forbidden/")) {
            return Reply::new(403, r#"{"errors":[{"code":"DENIED"}]}"#);
        }
        let asked = values.all("scope").flat_map(|value| value.split(' '));
        // A scope that is not granted in full is granted in part, as at Docker Hub.
        let scopes = asked.map(|scope| match scope.starts_with("repository:readonly/") {
            true => scope.replace("push,", "").replace(",push", ""),
            false => scope.to_owned(),
        });
        let scopes = scopes.collect();
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        let life = self.life.as_secs();
        let body = format!(r#"{{"token":"{token}","expires_in":{life}}}"#);
        self.tokens.push((token, scopes, Instant::now()));
        Reply::new(200, body)
    }
}

/// The name in `{name}/manifests/latest` and its like.
fn repository(rest: &str) -> String {
    let parts: Vec<&str> = rest.split('/').collect();
    let end = parts
        .iter()
        .position(|part| matches!(*part, "blobs" | "manifests" | "tags" | "referrers"));
    parts[..end.unwrap_or(parts.len())].join("/")
}

/// Whether a scope, as `repository:ns/app:push,pull`, allows the action in the repository.
fn grants(scope: &str, (repository, action): &(String, &str)) -> bool {
    let scope = scope.strip_prefix("repository:");
    let parts = scope.and_then(|scope| scope.rsplit_once(':'));
    parts.is_some_and(|(name, actions)| {
        name == repository && actions.split(',').any(|it| it == *action)
    })
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

fn authorization(request: &RecordedRequest) -> Option<&str> {
    request.headers.get(AUTHORIZATION)?.to_str().ok()
}
