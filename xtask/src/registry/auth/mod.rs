//! Signing in to one host: its challenge is learned once, then every request carries what it needs.
//!
//! There is one token request at a time for each scope, its result shared by all who wait; a refused login is
//! remembered and never tried again.

mod challenge;
mod token;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use reqwest::header::{HeaderMap, HeaderValue};
use url::Url;

pub(crate) use challenge::Challenge;
use token::Token;
pub(super) use token::{Access, Scope};

use super::error::{Error, ErrorResponse};
use super::transport::Transport;
use crate::credentials::Credentials;

/// The state of being signed in to one host.
pub(super) struct Auth {
    host: String,
    credentials: Credentials,
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<HashMap<Scope, Slot>>,
    /// What the host calls a repository in its challenge, where a proxy before it has given it another name.
    names: Mutex<HashMap<String, String>>,
    /// Whether these credentials have ever been accepted.
    accepted: AtomicBool,
    /// The refusal of the login, once there was one.
    refusal: OnceLock<Error>,
}

/// Locked while its token is fetched. A denial is kept like a token: asking again would not change it.
type Slot = Arc<tokio::sync::Mutex<Option<Result<Token, Error>>>>;

/// What one request carries.
pub(super) struct Authorization {
    pub header: HeaderValue,
    /// Where its token is kept.
    kept: Option<Slot>,
    /// Refusing what was made for this very request is final, until it expires on the way.
    final_until: Option<Instant>,
}

impl Auth {
    pub(super) fn new(host: &str, credentials: Credentials) -> Auth {
        Auth {
            host: host.to_owned(),
            credentials,
            challenge: Mutex::default(),
            tokens: Mutex::default(),
            names: Mutex::default(),
            accepted: AtomicBool::new(false),
            refusal: OnceLock::new(),
        }
    }

    /// What a request of `scope` has to carry; nothing until the host asks for it.
    pub(super) async fn authorize(
        &self,
        transport: &Transport,
        scope: &Scope,
    ) -> Result<Option<Authorization>, Error> {
        self.check_login()?;
        let challenge = self.challenge();
        let is_own_token = matches!(self.credentials, Credentials::RegistryToken(_));
        let is_password = scope.access == Access::Password;
        match challenge {
            None => Ok(None),
            Some(challenge) if challenge == Challenge::Basic || is_own_token || is_password => {
                let header = token::basic(&self.credentials);
                Ok(header.map(|header| Authorization {
                    header,
                    kept: None,
                    final_until: None,
                }))
            }
            Some(Challenge::Basic) => Ok(None),
            Some(Challenge::Bearer { realm, service }) => self
                .bearer(transport, &realm, service.as_deref(), scope)
                .await
                .map(Some),
        }
    }

    async fn bearer(
        &self,
        transport: &Transport,
        realm: &Url,
        service: Option<&str>,
        scope: &Scope,
    ) -> Result<Authorization, Error> {
        if let Some(wider) = self.token_to_push(scope) {
            return Ok(wider);
        }
        let slot = {
            let mut tokens = self.tokens.lock().expect("no holder panics");
            Arc::clone(tokens.entry(scope.clone()).or_default())
        };
        let mut token = slot.lock().await;
        if let Some(kept) = usable(token.as_ref(), &slot) {
            return Ok(kept);
        }
        if let Some(Err(denied)) = &*token {
            return Err(denied.clone());
        }
        // Whoever held the slot before may have been refused.
        self.check_login()?;
        transport.check_realm(realm, &self.credentials)?;
        let asked = Instant::now();
        let request = token::request(realm, service, Some(&self.named(scope)), &self.credentials);
        let method = request.method().clone();
        let mut response = transport.small(request).await?;
        if !response.status().is_success() {
            let refusal = transport.refusal(&method, response).await;
            let error = match refusal.status {
                403 if !self.is_login_refused(transport, realm, service).await => {
                    self.denied(refusal, scope)
                }
                _ => self.rejected(refusal, scope),
            };
            if matches!(error, Error::Denied { .. }) {
                *token = Some(Err(error.clone()));
            }
            return Err(error);
        }
        let body = transport.document(&mut response, 1 << 20).await?;
        let fresh = Token::read(realm, &body, asked)?;
        let (header, stated_end) = (fresh.header.clone(), fresh.stated_end);
        // A token is ASCII: it was checked to be a header.
        let text = header.to_str().unwrap_or_default();
        transport.mask(|redactor| redactor.add_token(text.trim_start_matches("Bearer ")));
        *token = Some(Ok(fresh));
        self.accept();
        drop(token);
        Ok(Authorization {
            header,
            kept: Some(slot),
            final_until: Some(stated_end),
        })
    }

    /// The scope, of what the host calls its repositories.
    fn named(&self, scope: &Scope) -> Scope {
        let names = self.names.lock().expect("no holder panics");
        let named = |name: &String| names.get(name).unwrap_or(name).clone();
        Scope {
            repository: named(&scope.repository),
            access: match &scope.access {
                Access::Mount { from } => Access::Mount { from: named(from) },
                access => access.clone(),
            },
        }
    }

    /// Whether a 403 of the token endpoint is about the login, as GitHub's to a wrong token, and not about the one
    /// repository, as GitLab's: asked for no repository, as `docker login` asks, only the login can be refused.
    async fn is_login_refused(
        &self,
        transport: &Transport,
        realm: &Url,
        service: Option<&str>,
    ) -> bool {
        if self.is_known() {
            return false;
        }
        let request = token::request(realm, service, None, &self.credentials);
        match transport.small(request).await {
            Ok(response) if response.status().is_success() => {
                self.accept();
                false
            }
            Ok(response) => matches!(response.status().as_u16(), 401 | 403),
            Err(_) => false,
        }
    }

    /// Learns from a 401 to a request that carried `used`; returns whether another try can end differently.
    pub(super) async fn learn(
        &self,
        used: Option<&Authorization>,
        headers: &HeaderMap,
        scope: &Scope,
    ) -> bool {
        let Some(challenge) = Challenge::of(headers) else {
            return false;
        };
        if let Some(name) = challenge::repository(headers).filter(|it| *it != scope.repository) {
            let mut names = self.names.lock().expect("no holder panics");
            names.insert(scope.repository.clone(), name);
        }
        let again = match used {
            None => challenge != Challenge::Basic || token::basic(&self.credentials).is_some(),
            Some(Authorization { kept: None, .. }) => false,
            Some(Authorization {
                final_until: Some(end),
                ..
            }) if Instant::now() < *end => false,
            Some(Authorization {
                header,
                kept: Some(slot),
                ..
            }) => {
                // Another request may have replaced the token already.
                let is_it = |token: &mut Result<Token, Error>| {
                    token.as_ref().is_ok_and(|token| token.header == header)
                };
                slot.lock().await.take_if(is_it);
                true
            }
        };
        *self.challenge.lock().expect("no holder panics") = Some(challenge);
        again
    }

    /// How the host asks for a login, once it has.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.challenge.lock().expect("no holder panics").clone()
    }

    /// The error for a response that says nothing about the login.
    pub(super) fn denied(&self, refusal: ErrorResponse, scope: &Scope) -> Error {
        let who = match self.credentials {
            Credentials::Anonymous => "someone who is not signed in, as by `docker login`,",
            _ => "this user",
        };
        refusal.into_error(scope.namespace(&self.host), who)
    }

    /// The error for a 401 or 403 to a request that carried the login: until these credentials are accepted once, a
    /// denial is about them.
    pub(super) fn rejected(&self, refusal: ErrorResponse, scope: &Scope) -> Error {
        match self.denied(refusal, scope) {
            Error::Denied { response, .. } if !self.is_known() => {
                let host = self.host.clone();
                let rejected = || Error::Rejected { host, response };
                self.refusal.get_or_init(rejected).clone()
            }
            error => error,
        }
    }

    /// Notes that the credentials are good: from now on a refusal is about permissions, not about the login.
    pub(super) fn accept(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    /// Whether nothing is left to find out about the login: it was accepted once, or there is none.
    pub(super) fn is_known(&self) -> bool {
        self.credentials == Credentials::Anonymous || self.accepted.load(Ordering::Relaxed)
    }

    /// Whether there is a login that has an answer to what the host asks for.
    pub(super) fn can_sign_in(&self) -> bool {
        match &*self.challenge.lock().expect("no holder panics") {
            None => false,
            Some(Challenge::Basic) => token::basic(&self.credentials).is_some(),
            Some(Challenge::Bearer { .. }) => self.credentials != Credentials::Anonymous,
        }
    }

    fn check_login(&self) -> Result<(), Error> {
        self.refusal.get().cloned().map_or(Ok(()), Err)
    }

    /// A token that may push may pull as well, so one that is there already is used.
    fn token_to_push(&self, scope: &Scope) -> Option<Authorization> {
        if scope.access != Access::Pull {
            return None;
        }
        let push = Scope {
            repository: scope.repository.clone(),
            access: Access::Push,
        };
        let slot = Arc::clone(self.tokens.lock().expect("no holder panics").get(&push)?);
        usable(slot.try_lock().ok()?.as_ref(), &slot)
    }
}

/// The token of `slot`, if it may still be used.
fn usable(token: Option<&Result<Token, Error>>, slot: &Slot) -> Option<Authorization> {
    let token = token?.as_ref().ok();
    let token = token.filter(|token| token.is_usable(Instant::now()))?;
    Some(Authorization {
        header: token.header.clone(),
        kept: Some(Arc::clone(slot)),
        final_until: None,
    })
}
