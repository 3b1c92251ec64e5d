//! The plain registry within the faulty one: blobs, manifests, uploads, tags, referrers.
//!
//! It refuses to know who asks and how answers go wrong. Invariant: what is stored has the digest it is stored under.

use std::collections::{BTreeMap, HashMap};

use bytes::{Bytes, BytesMut};
use hyper::header::RANGE;
use hyper::{HeaderMap, Method};
use xtask::oci::{Digest, media_type};

use super::faulty::Habits;

/// An answer before it is sent.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Answer {
    pub fn empty(status: u16) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Answer {
        self.headers.push((name, value.to_string()));
        self
    }

    fn json(body: String) -> Answer {
        Answer {
            body: body.into(),
            ..Answer::empty(200)
        }
    }

    fn error(status: u16, code: &str) -> Answer {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"says the test"}}]}}"#);
        Answer {
            status,
            ..Answer::json(body)
        }
    }
}

/// Everything that is stored, by repository.
#[derive(Default)]
pub struct Store {
    pub blobs: HashMap<(String, Digest), Bytes>,
    /// By tag and by digest, with the media type.
    pub manifests: BTreeMap<(String, String), (String, Bytes)>,
    uploads: HashMap<String, BytesMut>,
    opened: usize,
}

impl Store {
    /// Answers a request to `/v2/{rest}`.
    pub fn answer(
        &mut self,
        habits: &Habits,
        method: &Method,
        rest: &str,
        query: &[(String, String)],
        headers: &HeaderMap,
        body: Bytes,
    ) -> Answer {
        let parameter = |wanted: &str| {
            query
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.clone())
        };
        let cut = |part: &str| {
            rest.split_once(part)
                .map(|(name, rest)| (name.to_owned(), rest.to_owned()))
        };
        if let Some((name, session)) = cut("/blobs/uploads/") {
            return match (method, parameter("mount"), parameter("digest")) {
                (&Method::POST, Some(digest), _) => {
                    self.mount(habits, name, &digest, parameter("from"))
                }
                (&Method::POST, None, _) => self.open(&name),
                (&Method::PATCH, ..) => self.append(&name, &session, &body, 202),
                (&Method::PUT, _, Some(digest)) => self.commit(name, &session, &digest, &body),
                // As GitHub does.
                _ => Answer::empty(405),
            };
        }
        if let Some((name, digest)) = cut("/blobs/") {
            let blob = digest
                .parse()
                .ok()
                .and_then(|digest| self.blobs.get(&(name, digest)));
            return blob.map_or_else(
                || Answer::error(404, "BLOB_UNKNOWN"),
                |blob| ranged(habits, blob, headers),
            );
        }
        if let Some((name, at)) = cut("/manifests/") {
            return match *method {
                Method::PUT => self.put_manifest(habits, name, at, headers, body),
                _ => self.manifest(name, at),
            };
        }
        if let Some((name, _)) = cut("/tags/list") {
            return self.tags(habits, &name, parameter("n"), parameter("last"));
        }
        match cut("/referrers/") {
            Some((name, digest)) if habits.lists_referrers => self.referrers(&name, &digest),
            _ => Answer::empty(404),
        }
    }

    fn open(&mut self, name: &str) -> Answer {
        self.opened += 1;
        let session = format!("session-{}", self.opened);
        self.uploads.insert(session.clone(), BytesMut::new());
        Answer::empty(202).with("location", session_url(name, &session))
    }

    fn append(&mut self, name: &str, session: &str, body: &[u8], status: u16) -> Answer {
        match self.uploads.get_mut(session) {
            Some(upload) => {
                upload.extend_from_slice(body);
                Answer::empty(status).with("location", session_url(name, session))
            }
            None => Answer::error(404, "BLOB_UPLOAD_UNKNOWN"),
        }
    }

    fn commit(&mut self, name: String, session: &str, digest: &str, body: &[u8]) -> Answer {
        let Some(mut upload) = self.uploads.remove(session) else {
            return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
        };
        upload.extend_from_slice(body);
        let bytes = upload.freeze();
        match digest.parse::<Digest>() {
            Ok(digest) if digest == digest.same_algorithm(&bytes) => {
                self.blobs.insert((name, digest), bytes);
                Answer::empty(201)
            }
            _ => Answer::error(400, "DIGEST_INVALID"),
        }
    }

    fn mount(
        &mut self,
        habits: &Habits,
        name: String,
        digest: &str,
        from: Option<String>,
    ) -> Answer {
        let source = digest.parse::<Digest>().ok().zip(from);
        let blob = source.and_then(|(digest, from)| self.blobs.get_key_value(&(from, digest)));
        match (habits.mount.unwrap_or(201), blob) {
            (201, Some(((_, digest), blob))) => {
                let (digest, blob) = (digest.clone(), blob.clone());
                self.blobs.insert((name, digest), blob);
                Answer::empty(201)
            }
            (201 | 202, _) => self.open(&name),
            (status, _) => Answer::empty(status),
        }
    }

    fn put_manifest(
        &mut self,
        habits: &Habits,
        name: String,
        at: String,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Answer {
        let media_type = headers["content-type"]
            .to_str()
            .expect("a media type")
            .to_owned();
        if habits.checks_children && !self.has_children(&name, &body) {
            return Answer::error(404, "MANIFEST_BLOB_UNKNOWN");
        }
        let manifest: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let config = &manifest["config"]["mediaType"];
        if habits.refuses_empty_configs && config == "application/vnd.oci.empty.v1+json" {
            return Answer::error(403, "DENIED");
        }
        let digest = Digest::sha256_of(&body).to_string();
        for at in [at, digest.clone()] {
            let manifest = (media_type.clone(), body.clone());
            self.manifests.insert((name.clone(), at), manifest);
        }
        Answer::empty(201).with("docker-content-digest", digest)
    }

    /// Whether all is there that a manifest refers to.
    fn has_children(&self, name: &str, manifest: &[u8]) -> bool {
        let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
        let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
        let manifests = list("manifests").into_iter().all(|child| {
            let at = child["digest"].as_str().unwrap_or_default().to_owned();
            self.manifests.contains_key(&(name.to_owned(), at))
        });
        let config = manifest.get("config").cloned();
        let blobs = list("layers").into_iter().chain(config).all(|blob| {
            let digest = blob["digest"].as_str().and_then(|it| it.parse().ok());
            digest.is_some_and(|digest| self.blobs.contains_key(&(name.to_owned(), digest)))
        });
        manifests && blobs
    }

    fn manifest(&self, name: String, at: String) -> Answer {
        match self.manifests.get(&(name, at)) {
            Some((media_type, bytes)) => Answer {
                body: bytes.clone(),
                ..Answer::empty(200)
                    .with("content-type", media_type)
                    .with("docker-content-digest", Digest::sha256_of(bytes))
            },
            None => Answer::error(404, "MANIFEST_UNKNOWN"),
        }
    }

    fn tags(&self, habits: &Habits, name: &str, n: Option<String>, last: Option<String>) -> Answer {
        let n = n
            .and_then(|n| n.parse().ok())
            .unwrap_or(usize::MAX)
            .min(habits.page.unwrap_or(1000));
        let of_repository = self
            .manifests
            .keys()
            .filter(|(repository, _)| repository == name);
        let tags = of_repository
            .map(|(_, at)| at.as_str())
            .filter(|at| !at.contains(':'));
        let mut rest = tags
            .filter(|tag| last.as_deref().is_none_or(|last| *tag > last))
            .peekable();
        let page: Vec<&str> = rest.by_ref().take(n).collect();
        let answer = Answer::json(serde_json::json!({"name": name, "tags": page}).to_string());
        match (rest.peek(), page.last()) {
            (Some(_), Some(last)) => answer.with(
                "link",
                format!(r#"</v2/{name}/tags/list?n={n}&last={last}>; rel="next""#),
            ),
            _ => answer,
        }
    }

    fn referrers(&self, name: &str, digest: &str) -> Answer {
        let refers = |bytes: &Bytes| {
            let json: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
            json["subject"]["digest"] == digest
        };
        let manifests: Vec<serde_json::Value> = self
            .manifests
            .iter()
            .filter(|((repository, at), (_, bytes))| repository == name && at.contains(':') && refers(bytes))
            .map(|((_, at), (media_type, bytes))| {
                serde_json::json!({"mediaType": media_type, "digest": at, "size": bytes.len()})
            })
            .collect();
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests});
        Answer::json(index.to_string())
    }
}

/// With a query, as distribution has one.
fn session_url(name: &str, session: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{session}?_state=a%2Fb%3D")
}

fn ranged(habits: &Habits, blob: &Bytes, headers: &HeaderMap) -> Answer {
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let start = range.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    match start.filter(|_| !habits.ignores_ranges) {
        Some(start) => Answer {
            body: blob.slice(start..),
            ..Answer::empty(206).with(
                "content-range",
                format!("bytes {start}-{}/{}", blob.len() - 1, blob.len()),
            )
        },
        None => Answer {
            body: blob.clone(),
            ..Answer::empty(200)
        },
    }
}
