//! A registry on this machine's loopback that takes what is wanted of one push, and only claims to have the rest.
//!
//! An engine that compresses layers when it pushes them uploads several at once, the topmost first, and the config when
//! it believes that the registry holds them all. An upload may be answered before all of it was sent: then the engine
//! compresses no more of that layer and believes that it is there. An engine with containerd's image store knows digests
//! and asks for each before it uploads; the manifest comes last. This refuses to know who pushes and what the layers are
//! wanted for. Invariant: what is kept was hashed and is what it is called.

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
use super::upload::{Content, Upload};
use crate::image::PartialImage;
use crate::oci::Digest;

/// No config and no manifest is larger, in bytes.
const DOCUMENT: usize = 4 << 20;

/// What the headers of a layer's tar archive may come to beside twice its content, in bytes.
const HEADERS: u64 = 64 << 20;

/// What is wanted of a push.
pub(super) struct Wanted {
    /// The image's id: the digest of its config, or with containerd's image store that of its manifest or index.
    pub root: Digest,
    /// Diff ids of layers that come uncompressed but for the way here.
    pub layers: HashSet<Digest>,
    /// The content of the largest of them, in bytes.
    pub largest: u64,
    /// Layers, as they are compressed, that an engine need not upload.
    pub held: HashSet<Digest>,
}

/// Takes one push. Ends when it is dropped.
pub(super) struct CaptureRegistry {
    /// The name of the image to be pushed.
    pub reference: String,
    intake: Arc<Handler>,
    #[expect(dead_code, reason = "held, not read")]
    server: JoinSet<()>,
}

impl CaptureRegistry {
    pub fn open(wanted: Wanted) -> io::Result<CaptureRegistry> {
        let Address {
            listener,
            repository,
            reference,
        } = Address::open()?;
        let taken = Taken {
            claimed: wanted.held.clone(),
            ..Taken::default()
        };
        let intake = Arc::new(Handler {
            root: format!("/v2/{repository}/"),
            wanted,
            taken: watch::Sender::new(taken),
            turns: Arc::new(Semaphore::new(1)),
            received: AtomicU64::default(),
        });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&intake)));
        Ok(CaptureRegistry {
            reference,
            intake,
            server,
        })
    }

    /// Hears from the engine that it reads a layer with so many bytes of content.
    pub fn reads(&self, content: u64) {
        self.intake.tell(|taken| {
            if taken.heard.insert(content) {
                taken.news = Some(content);
            }
        });
    }

    /// Waits until the first upload begins.
    pub async fn begun(&self) {
        self.intake.wait(|taken| taken.uploads > 0).await;
    }

    /// Waits until nothing has come for so long.
    pub async fn silent(&self, patience: Duration) {
        let mut last = (0, Instant::now());
        while last.1.elapsed() < patience {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let received = self.intake.received.load(Ordering::Relaxed);
            if received > last.0 {
                last = (received, Instant::now());
            }
        }
    }

    /// Waits for the root, with which a push ends.
    pub async fn ended(&self) -> PartialImage {
        self.intake.wait(|taken| taken.has_root).await;
        self.intake.tell(|taken| std::mem::take(&mut taken.part))
    }
}

async fn serve(listener: TcpListener, intake: Arc<Handler>) {
    // Dropped with the task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let intake = Arc::clone(&intake);
        let service = service_fn(move |request| {
            let intake = Arc::clone(&intake);
            async move { Ok::<_, Infallible>(intake.answer(request).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(async {
            // It ends as the engine likes, and begins with a greeting in TLS, which is refused.
            let _ = connection.await;
        });
    }
}

struct Handler {
    /// Where the paths of the repository begin.
    root: String,
    wanted: Wanted,
    taken: watch::Sender<Taken>,
    /// One upload is let in after the other, each when it is known what the one before is.
    turns: Arc<Semaphore>,
    /// In bytes.
    received: AtomicU64,
}

/// What came so far.
#[derive(Default)]
struct Taken {
    /// How many uploads were begun.
    uploads: u64,
    /// The turns of those that were let in and have not come yet, by their paths.
    turns: HashMap<String, OwnedSemaphorePermit>,
    /// What the engine told of the content of layers.
    heard: HashSet<u64>,
    /// What it told since the last upload was let in, which must be what that one is.
    news: Option<u64>,
    /// What the engine believes to be here.
    claimed: HashSet<Digest>,
    part: PartialImage,
    has_root: bool,
}

impl Handler {
    /// Distribution specification, "Push", as far as engines use it.
    async fn answer(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let path = request.uri().path().to_owned();
        let uploads = format!("{}blobs/uploads/", self.root);
        let name = path.rsplit('/').next().unwrap_or_default();
        let answer = match *request.method() {
            Method::GET if path == "/v2/" => Ok(status(StatusCode::OK)),
            _ if !path.starts_with(&self.root) => Ok(status(StatusCode::NOT_FOUND)),
            Method::HEAD if self.claims(name) => {
                // Its size may be unknown, and nobody compares it.
                Ok(status(StatusCode::OK).header(CONTENT_LENGTH, 1))
            }
            Method::POST if path == uploads => {
                let turn = Arc::clone(&self.turns).acquire_owned().await;
                let path = self.tell(|taken| {
                    taken.uploads += 1;
                    taken.news = None;
                    let path = format!("{uploads}{}", taken.uploads);
                    taken
                        .turns
                        .insert(path.clone(), turn.expect("never closed"));
                    path
                });
                Ok(accepted(&path, 0))
            }
            Method::PATCH => {
                let received = self.take(&path, request.into_body()).await;
                received.map(|received| accepted(&path, received))
            }
            Method::PUT if path.starts_with(&uploads) => {
                self.keep(&path, request).await.map(created)
            }
            Method::PUT => self.document(request).await.map(created),
            _ => Ok(status(StatusCode::NOT_FOUND)),
        };
        answer
            .unwrap_or_else(|_| status(StatusCode::BAD_REQUEST))
            .body(Empty::new())
            .expect("statuses and headers are valid")
    }

    /// The next bytes of a body.
    async fn next(&self, body: &mut Incoming) -> io::Result<Option<Bytes>> {
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame.map_err(io::Error::other)?.into_data() {
                let length = piece.len() as u64;
                self.received.fetch_add(length, Ordering::Relaxed);
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    fn claims(&self, name: &str) -> bool {
        let digest = name.parse();
        digest.is_ok_and(|digest| self.taken.borrow().claimed.contains(&digest))
    }

    /// Closes an upload, which may come with its content.
    async fn keep(&self, path: &str, request: Request<Incoming>) -> io::Result<Digest> {
        self.tell(|taken| taken.turns.remove(path));
        let query = request.uri().query().unwrap_or_default().as_bytes();
        let digest = form_urlencoded::parse(query).find(|(key, _)| key == "digest");
        let (_, digest) = digest.ok_or(io::ErrorKind::InvalidInput)?;
        let digest: Digest = digest.parse().map_err(io::Error::other)?;
        let mut body = request.into_body();
        let mut content = None;
        while let Some(piece) = self.next(&mut body).await? {
            let content = match &mut content {
                Some(content) => content,
                none => none.insert(Content::new(digest.hasher())?),
            };
            content.write_all(&piece)?;
        }
        if let Some(content) = content {
            let (came, file) = content.end()?;
            if came != digest {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.tell(|taken| taken.part.blobs.insert(came, file));
        }
        self.tell(|taken| taken.claimed.insert(digest.clone()));
        Ok(digest)
    }

    /// Takes a manifest. With the last one the push is at its end, and never gets there: the engine would make a note of
    /// it with the image.
    async fn document(&self, request: Request<Incoming>) -> io::Result<Digest> {
        let media_type = request.headers().get(CONTENT_TYPE).cloned();
        let mut body = request.into_body();
        let mut document = Vec::new();
        while let Some(piece) = self.next(&mut body).await? {
            document.extend_from_slice(&piece);
            if document.len() > DOCUMENT {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
        }
        let digest = Digest::sha256_of(&document);
        if digest == self.wanted.root {
            let media_type = media_type.as_ref().and_then(|it| it.to_str().ok());
            self.end(document, media_type.map(str::to_owned));
        } else {
            self.tell(|taken| taken.part.manifests.push(document.into()));
        }
        if self.taken.borrow().has_root {
            std::future::pending::<()>().await;
        }
        Ok(digest)
    }

    /// Reads an upload as far as it may be of use. Returns how many bytes were read.
    async fn take(&self, path: &str, mut body: Incoming) -> io::Result<u64> {
        let mut turn = self.tell(|taken| taken.turns.remove(path));
        let mut received = 0;
        let mut upload = None;
        while let Some(piece) = self.next(&mut body).await? {
            received += piece.len() as u64;
            let upload = match &mut upload {
                Some(upload) => upload,
                none => none.insert(Upload::begin(&piece)?),
            };
            let is_of_use = match upload {
                Upload::Layer(layer) => {
                    layer.write_all(&piece).is_ok()
                        && layer.get_ref().size <= 2 * self.wanted.largest + HEADERS
                        && self.may_be_wanted(&mut turn)
                }
                Upload::Config(config) => {
                    config.extend_from_slice(&piece);
                    config.len() <= DOCUMENT
                }
            };
            if !is_of_use {
                // The engine closes the connection once it has the answer. Closed from here, it might not get that.
                tokio::spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
                return Ok(received);
            }
        }
        match upload {
            Some(Upload::Layer(layer)) => {
                let (diff_id, file) = layer.finish()?.end()?;
                if self.wanted.layers.contains(&diff_id) {
                    self.tell(|taken| taken.part.blobs.insert(diff_id, file));
                }
            }
            Some(Upload::Config(config)) if Digest::sha256_of(&config) == self.wanted.root => {
                self.end(config, None);
            }
            Some(Upload::Config(_)) | None => {}
        }
        Ok(received)
    }

    /// Takes the root.
    fn end(&self, root: Vec<u8>, media_type: Option<String>) {
        self.tell(|taken| {
            taken.part.root = root.into();
            taken.part.media_type = media_type;
            taken.has_root = true;
        });
    }

    /// Whether the layer that is being uploaded may be one that is still wanted. The turn ends when that is known.
    fn may_be_wanted(&self, turn: &mut Option<OwnedSemaphorePermit>) -> bool {
        let taken = self.taken.borrow();
        let is_larger = match (&turn, taken.news) {
            (Some(_), Some(content)) => {
                *turn = None;
                content > self.wanted.largest
            }
            _ => false,
        };
        !is_larger && taken.part.blobs.len() < self.wanted.layers.len()
    }

    /// Changes what came, and wakes those who wait for it.
    fn tell<T>(&self, change: impl FnOnce(&mut Taken) -> T) -> T {
        let mut told = None;
        self.taken.send_modify(|taken| told = Some(change(taken)));
        told.expect("it was called")
    }

    async fn wait(&self, until: impl FnMut(&Taken) -> bool) {
        let mut taken = self.taken.subscribe();
        let _ = taken.wait_for(until).await;
    }
}

fn status(code: StatusCode) -> Builder {
    Response::builder().status(code)
}

/// So many bytes of an upload are there.
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
