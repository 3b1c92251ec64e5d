//! A registry on this machine's loopback that captures some layers of one push, and claims to have the others.
//!
//! An engine that compresses layers when it pushes them uploads several at once, the topmost first, and the config when
//! it believes that the registry has them all. A response before the end of an upload makes the engine stop compressing
//! that layer and believe that it is there. An engine with containerd's image store knows digests and asks for each
//! before it uploads; the manifest comes last. Every captured blob was hashed.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RANGE};
use hyper::http::response::Builder;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use url::form_urlencoded;

use super::address::Address;
use super::upload::{HashedFile, Upload};
use crate::image::PartialImage;
use crate::oci::Digest;

/// The largest config or manifest, in bytes.
const MAX_DOCUMENT: usize = 4 << 20;

/// Bytes that a layer may have beyond twice its content, for the headers of its tar archive.
const HEADERS: u64 = 64 << 20;

/// What is to be captured of a push.
pub(super) struct Selection {
    /// The image's id: the digest of its config, or with containerd's image store that of its manifest or index.
    pub root: Digest,
    /// Diff ids of layers that an engine without containerd's image store compresses for the push.
    pub layers: HashSet<Digest>,
    /// Bytes of content of the largest of them.
    pub largest: u64,
    /// Compressed layers that need not be uploaded.
    pub reusable: HashSet<Digest>,
}

/// Captures one push. Stops when it is dropped.
pub(super) struct CaptureRegistry {
    /// The name under which the image has to be pushed.
    pub reference: String,
    handler: Arc<Handler>,
    #[expect(dead_code, reason = "held, not read")]
    server: JoinSet<()>,
}

impl CaptureRegistry {
    pub fn open(selection: Selection) -> io::Result<CaptureRegistry> {
        let Address {
            listener,
            repository,
            reference,
        } = Address::open()?;
        let state = State {
            claimed: selection.reusable.clone(),
            ..State::default()
        };
        let handler = Arc::new(Handler {
            prefix: format!("/v2/{repository}/"),
            selection,
            state: watch::Sender::new(state),
            upload_slot: Arc::new(Semaphore::new(1)),
            received: AtomicU64::default(),
        });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&handler)));
        Ok(CaptureRegistry {
            reference,
            handler,
            server,
        })
    }

    /// Has to be called when the engine reports progress on a layer with `size` bytes of content.
    pub fn layer_reported(&self, size: u64) {
        self.handler.update(|state| {
            if state.seen_sizes.insert(size) {
                state.current_size = Some(size);
            }
        });
    }

    /// Waits until the first upload starts.
    pub async fn first_upload(&self) {
        self.handler.wait(|state| state.uploads > 0).await;
    }

    /// Waits until nothing was received for `timeout`.
    pub async fn idle(&self, timeout: Duration) {
        let mut last = (0, Instant::now());
        while last.1.elapsed() < timeout {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let received = self.handler.received.load(Ordering::Relaxed);
            if received > last.0 {
                last = (received, Instant::now());
            }
        }
    }

    /// Waits for the root, which ends the push.
    pub async fn captured(&self) -> PartialImage {
        self.handler.wait(|state| state.has_root).await;
        self.handler
            .update(|state| std::mem::take(&mut state.image))
    }
}

async fn serve(listener: TcpListener, handler: Arc<Handler>) {
    // Dropped with the task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let handler = Arc::clone(&handler);
        let service = service_fn(move |request| {
            let handler = Arc::clone(&handler);
            async move { Ok::<_, Infallible>(handler.respond(request).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(async {
            // Errors are expected: the engine tries TLS first, and may close at any time.
            let _ = connection.await;
        });
    }
}

struct Handler {
    /// Of the paths in the repository.
    prefix: String,
    selection: Selection,
    state: watch::Sender<State>,
    /// Uploads are admitted one after another, each when it is known which layer the one before is.
    upload_slot: Arc<Semaphore>,
    /// In bytes.
    received: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Uploads that were started.
    uploads: u64,
    /// The slot of the upload that was admitted and has sent nothing yet, by its path.
    slots: HashMap<String, OwnedSemaphorePermit>,
    /// Sizes of layers that the engine reported.
    seen_sizes: HashSet<u64>,
    /// The size reported since the last upload was admitted, so it is the size of that layer.
    current_size: Option<u64>,
    /// Blobs that this registry claims to have.
    claimed: HashSet<Digest>,
    image: PartialImage,
    has_root: bool,
}

impl Handler {
    /// Distribution specification, "Push", as far as engines use it.
    async fn respond(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let path = request.uri().path().to_owned();
        let uploads = format!("{}blobs/uploads/", self.prefix);
        let name = path.rsplit('/').next().unwrap_or_default();
        let response = match *request.method() {
            Method::GET if path == "/v2/" => Ok(status(StatusCode::OK)),
            _ if !path.starts_with(&self.prefix) => Ok(status(StatusCode::NOT_FOUND)),
            Method::HEAD if self.claims(name) => {
                // The size may be unknown, and engines do not compare it.
                Ok(status(StatusCode::OK).header(CONTENT_LENGTH, 1))
            }
            Method::POST if path == uploads => {
                let slot = Arc::clone(&self.upload_slot).acquire_owned().await;
                let path = self.update(|state| {
                    state.uploads += 1;
                    state.current_size = None;
                    let path = format!("{uploads}{}", state.uploads);
                    let slot = slot.expect("never closed");
                    state.slots.insert(path.clone(), slot);
                    path
                });
                Ok(accepted(&path, 0))
            }
            Method::PATCH => {
                let received = self.receive(&path, request.into_body()).await;
                received.map(|received| accepted(&path, received))
            }
            Method::PUT if path.starts_with(&uploads) => {
                self.finish_upload(&path, request).await.map(created)
            }
            Method::PUT => self.put_manifest(request).await.map(created),
            _ => Ok(status(StatusCode::NOT_FOUND)),
        };
        response
            .unwrap_or_else(|_| status(StatusCode::BAD_REQUEST))
            .body(Empty::new())
            .expect("statuses and headers are valid")
    }

    async fn next(&self, body: &mut Incoming) -> io::Result<Option<Bytes>> {
        while let Some(frame) = body.frame().await {
            if let Ok(chunk) = frame.map_err(io::Error::other)?.into_data() {
                let length = chunk.len() as u64;
                self.received.fetch_add(length, Ordering::Relaxed);
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    fn claims(&self, name: &str) -> bool {
        let digest = name.parse();
        digest.is_ok_and(|digest| self.state.borrow().claimed.contains(&digest))
    }

    /// Ends an upload; the request may have the whole content.
    async fn finish_upload(&self, path: &str, request: Request<Incoming>) -> io::Result<Digest> {
        self.update(|state| state.slots.remove(path));
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let digest = form_urlencoded::parse(query).find(|(key, _)| key == "digest");
        let (_, digest) = digest.ok_or(io::ErrorKind::InvalidInput)?;
        let digest: Digest = digest.parse().map_err(io::Error::other)?;
        let mut body = request.into_body();
        let mut file = None;
        while let Some(chunk) = self.next(&mut body).await? {
            let file = match &mut file {
                Some(file) => file,
                none => none.insert(HashedFile::new(digest.hasher())?),
            };
            file.write_all(&chunk)?;
        }
        if let Some(file) = file {
            let (actual, file) = file.finish()?;
            if actual != digest {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.update(|state| state.image.blobs.insert(actual, file));
        }
        self.update(|state| state.claimed.insert(digest.clone()));
        Ok(digest)
    }

    /// Receives a manifest. There is no response to the last one: after a push that succeeds, the engine would note
    /// this registry in the image.
    async fn put_manifest(&self, request: Request<Incoming>) -> io::Result<Digest> {
        let media_type = request.headers().get(CONTENT_TYPE).cloned();
        let mut body = request.into_body();
        let mut document = Vec::new();
        while let Some(chunk) = self.next(&mut body).await? {
            document.extend_from_slice(&chunk);
            if document.len() > MAX_DOCUMENT {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        let digest = Digest::sha256_of(&document);
        if digest == self.selection.root {
            let media_type = media_type.as_ref().and_then(|it| it.to_str().ok());
            self.set_root(document, media_type.map(str::to_owned));
        } else {
            self.update(|state| state.image.manifests.push(document.into()));
        }
        if self.state.borrow().has_root {
            std::future::pending::<()>().await;
        }
        Ok(digest)
    }

    /// Reads an upload as long as it may be wanted. Returns the number of bytes read.
    async fn receive(&self, path: &str, mut body: Incoming) -> io::Result<u64> {
        let mut slot = self.update(|state| state.slots.remove(path));
        let mut received = 0;
        let mut upload = None;
        while let Some(chunk) = self.next(&mut body).await? {
            received += chunk.len() as u64;
            let upload = match &mut upload {
                Some(upload) => upload,
                none => none.insert(Upload::start(&chunk)?),
            };
            let may_be_wanted = match upload {
                Upload::Layer(layer) => {
                    layer.write_all(&chunk).is_ok()
                        && layer.get_ref().size <= 2 * self.selection.largest + HEADERS
                        && self.may_be_wanted(&mut slot)
                }
                Upload::Config(config) => {
                    config.extend_from_slice(&chunk);
                    config.len() <= MAX_DOCUMENT
                }
            };
            if !may_be_wanted {
                // The engine closes the connection when it has the response; closed from here, it may never get it.
                tokio::spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
                return Ok(received);
            }
        }
        match upload {
            Some(Upload::Layer(layer)) => {
                let (diff_id, file) = layer.finish()?.finish()?;
                if self.selection.layers.contains(&diff_id) {
                    self.update(|state| state.image.blobs.insert(diff_id, file));
                }
            }
            Some(Upload::Config(config)) if Digest::sha256_of(&config) == self.selection.root => {
                self.set_root(config, None);
            }
            Some(Upload::Config(_)) | None => {}
        }
        Ok(received)
    }

    fn set_root(&self, root: Vec<u8>, media_type: Option<String>) {
        self.update(|state| {
            state.image.root = root.into();
            state.image.media_type = media_type;
            state.has_root = true;
        });
    }

    /// Whether the layer that is uploaded may be a wanted one. Frees the slot when that is known.
    fn may_be_wanted(&self, slot: &mut Option<OwnedSemaphorePermit>) -> bool {
        let state = self.state.borrow();
        let is_larger = match (&slot, state.current_size) {
            (Some(_), Some(size)) => {
                *slot = None;
                size > self.selection.largest
            }
            _ => false,
        };
        !is_larger && state.image.blobs.len() < self.selection.layers.len()
    }

    /// Changes the state, and wakes those who wait for it.
    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut result = None;
        self.state.send_modify(|state| result = Some(change(state)));
        result.expect("`send_modify` calls it")
    }

    async fn wait(&self, until: impl FnMut(&State) -> bool) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(until).await;
    }
}

fn status(code: StatusCode) -> Builder {
    Response::builder().status(code)
}

fn accepted(location: &str, received: u64) -> Builder {
    let name = location.rsplit('/').next().unwrap_or_default();
    status(StatusCode::ACCEPTED)
        .header(LOCATION, location)
        .header(RANGE, format!("0-{}", received.saturating_sub(1)))
        .header("docker-upload-uuid", name)
}

fn created(digest: Digest) -> Builder {
    status(StatusCode::CREATED).header("docker-content-digest", digest.as_str())
}
