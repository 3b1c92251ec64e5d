//! A registry of its own user and password. Refuses to know why it is written to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use axum::Json;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ferro_blob_store::InMemoryBlobStore;
use ferro_oci_server::{AppState, InMemoryRegistryMeta, router};
use serde_json::{Value, json};

use crate::serve::serve as listen;

pub struct Registry {
    /// What the names of its variables begin with.
    prefix: &'static str,
    /// `127.0.0.1:port`
    pub host: String,
    user: String,
    password: String,
    writes: Arc<AtomicUsize>,
}

/// How a registry answers those who may sign in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Takes,
    /// As one does whose namespace is missing: signing in works, uploading is denied.
    Refuses,
}

impl Registry {
    pub async fn serve(prefix: &'static str, manner: Manner) -> Result<Self> {
        let user = format!("{}-robot", prefix.to_lowercase());
        // `~`, `>` and `?` are where two alphabets of base64 differ, and `$` where careless tools expand.
        let password = format!("{user}-p>>>p~~~?$");
        let expected = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let writes = Arc::new(AtomicUsize::new(0));
        let counter = writes.clone();
        let guard = from_fn(move |request: Request, next: Next| {
            let answer = answer(&request, &expected, manner);
            if request.method() == Method::PUT {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            async move {
                match answer {
                    Some(answer) => answer,
                    None => next.run(request).await,
                }
            }
        });
        let store = AppState::new(
            Arc::new(InMemoryBlobStore::new()),
            Arc::new(InMemoryRegistryMeta::new()),
        );
        let address = listen(|_| router(store).layer(guard)).await?;
        Ok(Registry {
            prefix,
            host: address.to_string(),
            user,
            password,
            writes,
        })
    }

    /// What a release must know to push here.
    pub fn variables(&self) -> [(String, String); 4] {
        [
            ("REGISTRY", &self.host as &str),
            ("NAMESPACE", "demo"),
            ("USERNAME", &self.user),
            ("PASSWORD", &self.password),
        ]
        .map(|(name, value)| (format!("{}_{name}", self.prefix), value.to_owned()))
    }

    /// How many blobs and manifests were brought.
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    /// Every digest that has tags, and these as `repository:tag`, as anybody sees them over HTTP.
    pub async fn held(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let mut held: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let catalog = self.get("_catalog").await?;
        for repository in names(&catalog["repositories"]) {
            let list = self.get(&format!("{repository}/tags/list")).await?;
            for tag in names(&list["tags"]) {
                let manifest = format!("{repository}/manifests/{tag}");
                let answer = self.ask(Method::HEAD, &manifest).await?;
                let digest = answer
                    .headers()
                    .get("docker-content-digest")
                    .context("a manifest without digest")?;
                let references = held.entry(digest.to_str()?.to_owned()).or_default();
                references.push(format!("{repository}:{tag}"));
            }
        }
        Ok(held)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.ask(Method::GET, path).await?.json().await?)
    }

    async fn ask(&self, method: Method, path: &str) -> Result<reqwest::Response> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let answer = http
            .request(method, format!("http://{}/v2/{path}", self.host))
            .basic_auth(&self.user, Some(&self.password))
            .send()
            .await?;
        Ok(answer.error_for_status()?)
    }
}

/// The answer to a request that does not get through to the registry.
fn answer(request: &Request, expected: &str, manner: Manner) -> Option<Response> {
    let given = request.headers().get(header::AUTHORIZATION);
    if given.is_none_or(|given| given != expected) {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"demo\"")];
        let body = error("UNAUTHORIZED", "authentication required");
        return Some((StatusCode::UNAUTHORIZED, challenge, body).into_response());
    }
    if manner == Manner::Refuses && request.method() == Method::POST {
        let body = error("DENIED", "requested access to the resource is denied");
        return Some((StatusCode::FORBIDDEN, body).into_response());
    }
    None
}

fn error(code: &str, message: &str) -> Json<Value> {
    Json(json!({"errors": [{"code": code, "message": message}]}))
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}
