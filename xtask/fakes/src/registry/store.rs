//! The plain registry within the fake one: blobs, manifests, uploads, tags, referrers.
//!
//! It does not know who asks. What clients store has the digest it is stored under.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::{Bytes, BytesMut};
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{Behavior, RecordedRequest};
use crate::digest_like;
use crate::http::{Form, Reply};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Everything that is stored, by repository.
#[derive(Default)]
pub(super) struct Store {
    /// By digest.
    pub blobs: BTreeMap<(String, String), Bytes>,
    /// By tag and by digest, with the media type.
    pub manifests: BTreeMap<(String, String), (String, Bytes)>,
    /// The digests that clients put tags by.
    named: HashMap<(String, String), String>,
    uploads: HashMap<String, BytesMut>,
    opened: usize,
}

impl Store {
    /// Answers a request to `/v2/{rest}`.
    pub fn reply(
        &mut self,
        behavior: &Behavior,
        request: &RecordedRequest,
        rest: &str,
        query: &Form,
        body: Bytes,
    ) -> Reply {
        if rest.is_empty() {
            return Reply::json(200, &json!({}))
                .with("docker-distribution-api-version", "registry/2.0");
        }
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        if let Some((name, session)) = rest.split_once("/blobs/uploads/") {
            return self.upload(behavior, request, (name, session), query, &body);
        }
        if let Some((name, digest)) = rest.split_once("/blobs/") {
            return match self.blobs.get(&key(name, digest)) {
                _ if !is_read => Reply::empty(405),
                None => error(404, "BLOB_UNKNOWN"),
                Some(blob) if behavior.ignores_ranges => Reply::new(200, blob.clone()),
                Some(blob) => Reply::ranged(blob, &request.headers),
            };
        }
        if let Some((name, at)) = rest.split_once("/manifests/") {
            return match request.method {
                Method::PUT => self.put_manifest(behavior, request, (name, at), query, body),
                _ if is_read => self.manifest(name, at),
                _ => Reply::empty(405),
            };
        }
        if rest == "_catalog" {
            return self.catalog(behavior, query);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return self.tags(behavior, name, query);
        }
        match rest.split_once("/referrers/") {
            Some((name, digest)) if behavior.lists_referrers => self.referrers(name, digest),
            _ => Reply::empty(404),
        }
    }

    fn upload(
        &mut self,
        behavior: &Behavior,
        request: &RecordedRequest,
        (name, session): (&str, &str),
        query: &Form,
        body: &[u8],
    ) -> Reply {
        let method = &request.method;
        if let Some(refusal) = self.wrong_state(method, session, query) {
            return refusal;
        }
        match (method, query.get("mount"), query.get("digest")) {
            (&Method::POST, ..) if behavior.denies_uploads => error(403, "DENIED"),
            (&Method::POST, Some(digest), _) => {
                let from = query.get("from");
                self.mount(behavior.mount.unwrap_or(201), name, digest, from)
            }
            (&Method::POST, None, Some(digest)) => self.put_blob(name, digest, body),
            (&Method::POST, None, None) => self.open(name),
            (&Method::PATCH, ..) => self.append(name, session, body),
            (&Method::PUT, _, Some(digest)) => self.commit(name, session, digest, body),
            (&Method::GET, ..) => match self.uploads.get(session) {
                Some(upload) => {
                    let mut status = accepted(name, session, upload.len());
                    status.status = 204;
                    status
                }
                None => error(404, "BLOB_UPLOAD_UNKNOWN"),
            },
            (&Method::DELETE, ..) => match self.uploads.remove(session) {
                Some(_) => Reply::empty(204),
                None => error(404, "BLOB_UPLOAD_UNKNOWN"),
            },
            _ => Reply::empty(405),
        }
    }

    /// As distribution, which answers 416 unless the address is that of the upload's last byte; 3.0 and later tell
    /// that one to whoever asks.
    fn wrong_state(&self, method: &Method, session: &str, query: &Form) -> Option<Reply> {
        let offset = query.get("_state")?.strip_prefix("a/b=")?;
        let upload = self.uploads.get(session)?;
        let is_wrong = *method != Method::GET && offset != upload.len().to_string();
        is_wrong.then(|| error(416, "RANGE_INVALID"))
    }

    /// How many bytes each open upload has.
    pub fn open_uploads(&self) -> Vec<usize> {
        self.uploads.values().map(BytesMut::len).collect()
    }

    fn open(&mut self, name: &str) -> Reply {
        self.opened += 1;
        let session = format!("session-{}", self.opened);
        self.uploads.insert(session.clone(), BytesMut::new());
        accepted(name, &session, 0)
    }

    fn append(&mut self, name: &str, session: &str, body: &[u8]) -> Reply {
        match self.uploads.get_mut(session) {
            Some(upload) => {
                upload.extend_from_slice(body);
                accepted(name, session, upload.len())
            }
            None => error(404, "BLOB_UPLOAD_UNKNOWN"),
        }
    }

    fn commit(&mut self, name: &str, session: &str, digest: &str, body: &[u8]) -> Reply {
        let Some(mut upload) = self.uploads.remove(session) else {
            return error(404, "BLOB_UPLOAD_UNKNOWN");
        };
        upload.extend_from_slice(body);
        self.put_blob(name, digest, &upload)
    }

    fn put_blob(&mut self, name: &str, digest: &str, bytes: &[u8]) -> Reply {
        if digest != digest_like(digest, bytes) {
            return error(400, "DIGEST_INVALID");
        }
        let bytes = Bytes::copy_from_slice(bytes);
        self.blobs.insert(key(name, digest), bytes);
        created(name, "blobs", digest)
    }

    fn mount(&mut self, status: u16, name: &str, digest: &str, from: Option<&str>) -> Reply {
        let blob = from.and_then(|from| self.blobs.get(&key(from, digest)));
        match (status, blob.cloned()) {
            (201, Some(blob)) => {
                self.blobs.insert(key(name, digest), blob);
                created(name, "blobs", digest)
            }
            (201 | 202, _) => self.open(name),
            (status, _) => Reply::empty(status),
        }
    }

    fn put_manifest(
        &mut self,
        behavior: &Behavior,
        request: &RecordedRequest,
        (name, at): (&str, &str),
        query: &Form,
        body: Bytes,
    ) -> Reply {
        let media_type = request.headers.get(CONTENT_TYPE);
        let Some(media_type) = media_type.and_then(|value| value.to_str().ok()) else {
            return error(400, "MANIFEST_INVALID");
        };
        let manifest: Value = serde_json::from_slice(&body).unwrap_or_default();
        if behavior.checks_children && !self.has_children(name, &manifest) {
            return error(404, "MANIFEST_BLOB_UNKNOWN");
        }
        if behavior.refuses_empty_configs && manifest["config"]["mediaType"] == EMPTY {
            let class = format!("unknown manifest class for {EMPTY}");
            let error = json!({"code": "DENIED", "message": class});
            return Reply::json(403, &json!({"errors": [error]}));
        }
        let wanted = query.get("digest").filter(|_| behavior.takes_digests);
        let wanted = wanted.or(Some(at).filter(|it| it.contains(':')));
        let digest = digest_like(wanted.unwrap_or("sha256"), &body);
        if wanted.is_some_and(|it| it != digest) {
            return error(400, "DIGEST_INVALID");
        }
        self.named.insert(key(name, at), digest.clone());
        for at in [at, &digest] {
            let manifest = (media_type.to_owned(), body.clone());
            self.manifests.insert(key(name, at), manifest);
        }
        created(name, "manifests", &digest)
    }

    /// Whether all is there that a manifest refers to.
    fn has_children(&self, name: &str, manifest: &Value) -> bool {
        let list = |field: &str| manifest[field].as_array().into_iter().flatten();
        let child = |descriptor: &Value| key(name, descriptor["digest"].as_str().unwrap_or(""));
        let blobs = list("layers").chain(list("blobs"));
        let mut blobs = blobs.chain(manifest.get("config"));
        list("manifests").all(|it| self.manifests.contains_key(&child(it)))
            && blobs.all(|it| self.blobs.contains_key(&child(it)))
    }

    fn manifest(&self, name: &str, at: &str) -> Reply {
        match self.manifests.get(&key(name, at)) {
            Some((media_type, bytes)) => {
                let named = self
                    .named
                    .get(&key(name, at))
                    .map_or("sha256", String::as_str);
                Reply::new(200, bytes.clone())
                    .with("content-type", media_type)
                    .with("docker-content-digest", digest_like(named, bytes))
            }
            None => error(404, "MANIFEST_UNKNOWN"),
        }
    }

    fn tags(&self, behavior: &Behavior, name: &str, query: &Form) -> Reply {
        let n = query.get("n").and_then(|n| n.parse().ok());
        let n = n.unwrap_or(usize::MAX).min(behavior.page.unwrap_or(1000));
        let last = query.get("last").unwrap_or("");
        let of_repository = self.manifests.keys().filter(|(it, _)| it == name);
        let mut tags = of_repository.map(|(_, at)| at.as_str()).peekable();
        if tags.peek().is_none() {
            return error(404, "NAME_UNKNOWN");
        }
        let mut rest = tags
            .filter(|tag| !tag.contains(':') && *tag > last)
            .peekable();
        let page: Vec<&str> = rest.by_ref().take(n).collect();
        let reply = Reply::json(200, &json!({"name": name, "tags": page}));
        match (rest.peek(), page.last()) {
            (Some(_), Some(last)) => {
                let next = format!("/v2/{name}/tags/list?n={n}&last={last}");
                reply.with("link", format!(r#"<{next}>; rel="next""#))
            }
            _ => reply,
        }
    }

    /// As distribution's.
    fn catalog(&self, behavior: &Behavior, query: &Form) -> Reply {
        let n = query.get("n").and_then(|n| n.parse().ok());
        let n = n.unwrap_or(100);
        if n > behavior.page.unwrap_or(1000) {
            return error(400, "PAGINATION_NUMBER_INVALID");
        }
        let last = query.get("last").unwrap_or("");
        let names = self.names(behavior);
        let mut rest = names.into_iter().filter(|name| *name > last).peekable();
        let page: Vec<&str> = rest.by_ref().take(n).collect();
        let reply = Reply::json(200, &json!({"repositories": page}));
        match (rest.peek(), page.last()) {
            (Some(_), Some(last)) => {
                let next = format!("/v2/_catalog?last={last}&n={n}");
                reply.with("link", format!(r#"<{next}>; rel="next""#))
            }
            _ => reply,
        }
    }

    /// The repositories of a project, as Harbor's API 2.0 lists them.
    pub fn project(&self, behavior: &Behavior, project: &str, query: &Form) -> Reply {
        let number = |key| query.get(key).and_then(|it| it.parse::<usize>().ok());
        let size = number("page_size")
            .unwrap_or(10)
            .min(behavior.page.unwrap_or(100));
        let folder = format!("{project}/");
        let mut names = self.names(behavior);
        names.retain(|it| it.starts_with(&folder));
        if names.is_empty() {
            return error(404, "NOT_FOUND");
        }
        let before = (number("page").unwrap_or(1) - 1) * size;
        let page = names.iter().skip(before).take(size);
        let page: Vec<Value> = page
            .map(|name| json!({"name": name, "artifact_count": 1}))
            .collect();
        Reply::json(200, &json!(page)).with("x-total-count", names.len().to_string())
    }

    fn names<'s>(&'s self, behavior: &'s Behavior) -> BTreeSet<&'s str> {
        let stored = self.manifests.keys().map(|(name, _)| name.as_str());
        stored.chain(behavior.also_lists.iter().copied()).collect()
    }

    fn referrers(&self, name: &str, digest: &str) -> Reply {
        let refers = |bytes: &Bytes| {
            let manifest: Value = serde_json::from_slice(bytes).unwrap_or_default();
            manifest["subject"]["digest"] == digest
        };
        let referrers = self
            .manifests
            .iter()
            .filter(|((it, at), (_, bytes))| it == name && at.contains(':') && refers(bytes));
        let descriptors: Vec<Value> = referrers
            .map(|((_, at), (media_type, bytes))| {
                json!({"mediaType": media_type, "digest": at, "size": bytes.len()})
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors});
        Reply::json(200, &index)
    }
}

fn key(repository: &str, at: &str) -> (String, String) {
    (repository.to_owned(), at.to_owned())
}

fn error(status: u16, code: &str) -> Reply {
    let message = match code {
        "DENIED" => "requested access to the resource is denied",
        _ => "says the fake registry",
    };
    let error = json!({"code": code, "message": message});
    Reply::json(status, &json!({"errors": [error]}))
}

/// An upload that goes on; its address has a query, as distribution's. The engine demands `Range`.
fn accepted(name: &str, session: &str, length: usize) -> Reply {
    let location = format!("/v2/{name}/blobs/uploads/{session}?_state=a%2Fb%3D{length}");
    Reply::empty(202)
        .with("location", location)
        .with("range", format!("0-{}", length.saturating_sub(1)))
        .with("docker-upload-uuid", session)
}

fn created(name: &str, kind: &str, digest: &str) -> Reply {
    Reply::empty(201)
        .with("location", format!("/v2/{name}/{kind}/{digest}"))
        .with("docker-content-digest", digest)
}
