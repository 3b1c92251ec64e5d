//! Looks at registries from outside while the program works: whatever a tag names has to be all there.
//!
//! It is a client of its own, so that what the program believes does not matter.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fakes::registry::{PASSWORD, USER};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use xtask::oci::{Digest, media_type};

/// Watches until it is told to end.
pub struct Watcher {
    end: Arc<Notify>,
    watching: JoinHandle<Vec<String>>,
}

/// What tags named, and what they lacked.
#[derive(Debug, Default)]
pub struct Look {
    /// `repository:tag` and its digest.
    pub tags: Vec<(String, String)>,
    pub missing: Vec<String>,
}

impl Watcher {
    /// Looks at these repositories again and again; a registry that does not answer is not looked at.
    pub fn of(places: &[(String, String)]) -> Watcher {
        let end = Arc::new(Notify::new());
        let (told, places) = (Arc::clone(&end), places.to_vec());
        let watching = tokio::spawn(async move {
            let mut eye = Eye::default();
            let mut missing = Vec::new();
            let mut told = std::pin::pin!(told.notified());
            loop {
                let began = Instant::now();
                for (host, repository) in &places {
                    if let Ok(look) = eye.look(host, repository).await {
                        missing.extend(look.missing);
                    }
                }
                // The pause leaves the processor to the program.
                let pause = (began.elapsed() * 4).max(Duration::from_millis(20));
                tokio::select! {
                    () = &mut told => return missing,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
        Watcher { end, watching }
    }

    /// Everything that a tag named and that was not there.
    pub async fn end(self) -> Vec<String> {
        self.end.notify_one();
        self.watching.await.expect("the watcher does not panic")
    }
}

/// What every tag of a repository names, to the last blob.
pub async fn look(host: &str, repository: &str) -> Look {
    Eye::default().see(host, repository).await
}

/// A client that remembers what was complete, as nothing is ever removed.
#[derive(Default)]
pub struct Eye {
    client: Option<reqwest::Client>,
    complete: HashSet<String>,
}

impl Eye {
    /// What every tag of a repository names, to the last blob.
    pub async fn see(&mut self, host: &str, repository: &str) -> Look {
        let look = self.look(host, repository).await;
        look.unwrap_or_else(|error| panic!("{host}/{repository}: {error}"))
    }

    async fn look(&mut self, host: &str, repository: &str) -> reqwest::Result<Look> {
        let at = format!("http://{host}/v2/{repository}");
        let mut look = Look::default();
        let list = self.ask(Method::GET, format!("{at}/tags/list?n=1000"));
        let list = list.await?;
        if list.status() == StatusCode::NOT_FOUND {
            return Ok(look);
        }
        let list: Value = list.error_for_status()?.json().await?;
        let tags = list["tags"].as_array().into_iter().flatten();
        for tag in tags.filter_map(Value::as_str) {
            let manifest = self.ask(Method::GET, format!("{at}/manifests/{tag}"));
            let bytes = manifest.await?.error_for_status()?.bytes().await?;
            let name = format!("{repository}:{tag}");
            let lacks = self.lacks(&at, &bytes).await?;
            let told = lacks.map(|it| format!("{host}/{name} lacks {it}"));
            look.missing.extend(told);
            look.tags
                .push((name, Digest::sha256_of(&bytes).to_string()));
        }
        Ok(look)
    }

    /// The first thing that is not there of what a manifest refers to.
    async fn lacks(&mut self, at: &str, root: &[u8]) -> reqwest::Result<Option<String>> {
        let whole = format!("{at}@{}", Digest::sha256_of(root));
        if self.complete.contains(&whole) {
            return Ok(None);
        }
        let mut manifests = vec![root.to_vec()];
        while let Some(bytes) = manifests.pop() {
            let manifest: Value = serde_json::from_slice(&bytes).expect("a manifest is JSON");
            let list = |field: &str| manifest[field].as_array().into_iter().flatten();
            let digest = |it: &Value| it["digest"].as_str().unwrap_or_default().to_owned();
            for child in list("manifests").map(digest) {
                let found = self.ask(Method::GET, format!("{at}/manifests/{child}"));
                let found = found.await?;
                if found.status() == StatusCode::NOT_FOUND {
                    return Ok(Some(format!("the manifest {child}")));
                }
                let bytes = found.error_for_status()?.bytes().await?;
                assert_eq!(Digest::sha256_of(&bytes).to_string(), child);
                manifests.push(bytes.to_vec());
            }
            for blob in list("layers").chain(manifest.get("config")).map(digest) {
                let seen = format!("{at}@{blob}");
                if self.complete.contains(&seen) {
                    continue;
                }
                let head = self.ask(Method::HEAD, format!("{at}/blobs/{blob}"));
                let head = head.await?;
                if head.status() == StatusCode::NOT_FOUND {
                    return Ok(Some(format!("the blob {blob}")));
                }
                head.error_for_status()?;
                self.complete.insert(seen);
            }
        }
        self.complete.insert(whole);
        Ok(None)
    }

    async fn ask(&mut self, method: Method, url: String) -> reqwest::Result<Response> {
        let client = self.client.get_or_insert_with(super::client);
        let request = client.request(method, url).basic_auth(USER, Some(PASSWORD));
        request.header("accept", media_type::ACCEPT).send().await
    }
}
