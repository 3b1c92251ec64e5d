//! A registry on this machine's loopback that takes what is wanted of one push, and only claims to have the rest.
//!
//! An engine uploads the layers of an image several at once, the topmost first, and the config when it believes that
//! the registry holds them all. An upload may be answered before all of it was sent: then the engine compresses no more
//! of that layer and believes that it is there. It refuses to know who pushes and what the layers are wanted for.
//! Invariant: what is kept was hashed and is what was wanted.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, LOCATION, RANGE};
use hyper::http::response::Builder;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use url::form_urlencoded;

use crate::registry::{Digest, Hasher};

/// The only repository.
pub(super) const REPOSITORY: &str = "xtask";

/// Bytes on the way that nobody has asked for yet. The fewer they are, the less an engine compresses in vain.
const WINDOW: u32 = 64 << 10;

/// What the headers of a layer's tar archive may come to beside twice its content, in bytes.
const HEADERS: u64 = 8 << 20;

/// What is wanted of a push.
pub(super) struct Wanted {
    /// The digest of the image's config.
    pub config: Digest,
    /// Diff ids of layers.
    pub layers: HashSet<Digest>,
    /// The content of the largest of them, in bytes.
    pub largest: u64,
}

/// Takes one push. Ends when it is dropped.
pub(super) struct Decoy {
    pub address: SocketAddr,
    intake: Arc<Intake>,
    #[expect(dead_code, reason = "held, not read")]
    server: JoinSet<()>,
}

impl Decoy {
    pub fn open(wanted: Wanted) -> io::Result<Decoy> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(WINDOW)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        let listener = socket.listen(64)?;
        let intake = Arc::new(Intake {
            wanted,
            taken: watch::Sender::default(),
            turns: Arc::new(Semaphore::new(1)),
        });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&intake)));
        Ok(Decoy {
            address,
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

    /// Waits for the config, with which a push ends, and returns it with the layers that came before it, from their
    /// beginnings.
    pub async fn ended(&self) -> (Bytes, HashMap<Digest, File>) {
        self.intake.wait(|taken| taken.config.is_some()).await;
        let Taken { config, layers, .. } = self.intake.taken.send_replace(Taken::default());
        (config.unwrap_or_default(), layers)
    }
}

async fn serve(listener: TcpListener, intake: Arc<Intake>) {
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

struct Intake {
    wanted: Wanted,
    taken: watch::Sender<Taken>,
    /// One upload is let in after the other, each when it is known what the one before is.
    turns: Arc<Semaphore>,
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
    claimed: HashSet<String>,
    layers: HashMap<Digest, File>,
    config: Option<Bytes>,
}

impl Intake {
    /// Distribution specification, "Push", as far as engines use it.
    async fn answer(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let path = request.uri().path().to_owned();
        let blobs = format!("/v2/{REPOSITORY}/blobs/");
        let answer = match (request.method(), path.strip_prefix(&blobs)) {
            (&Method::GET, None) if path == "/v2/" => status(StatusCode::OK),
            (&Method::HEAD, Some(digest)) if self.taken.borrow().claimed.contains(digest) => {
                // Its size is not known, and nobody compares it.
                status(StatusCode::OK).header(CONTENT_LENGTH, 1)
            }
            (&Method::POST, Some("uploads/")) => {
                let turn = Arc::clone(&self.turns).acquire_owned().await;
                let path = self.tell(|taken| {
                    taken.uploads += 1;
                    taken.news = None;
                    let path = format!("{blobs}uploads/{}", taken.uploads);
                    taken
                        .turns
                        .insert(path.clone(), turn.expect("never closed"));
                    path
                });
                accepted(&path, 0)
            }
            (&Method::PATCH, Some(_)) => match self.take(&path, request.into_body()).await {
                Ok(received) => accepted(&path, received),
                Err(_) => status(StatusCode::INTERNAL_SERVER_ERROR),
            },
            (&Method::PUT, Some(_)) => match digest_in(&request) {
                Some(digest) => {
                    self.tell(|taken| taken.claimed.insert(digest));
                    status(StatusCode::CREATED)
                }
                None => status(StatusCode::BAD_REQUEST),
            },
            _ => status(StatusCode::NOT_FOUND),
        };
        answer
            .body(Empty::new())
            .expect("statuses and headers are valid")
    }

    /// Reads an upload as far as it may be of use. Returns how many bytes were read.
    async fn take(&self, path: &str, mut body: Incoming) -> io::Result<u64> {
        let mut turn = self.tell(|taken| taken.turns.remove(path));
        let mut received = 0;
        let mut upload = None;
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(io::Error::other)?.into_data() else {
                continue;
            };
            received += piece.len() as u64;
            let upload = match &mut upload {
                Some(upload) => upload,
                none => none.insert(Upload::begin(&piece)?),
            };
            let is_of_use = upload.write_all(&piece).is_ok()
                && upload.size() <= 2 * self.wanted.largest + HEADERS
                && match upload {
                    Upload::Layer(_) => self.may_be_wanted(&mut turn),
                    Upload::Config(_) => true,
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
                    self.tell(|taken| taken.layers.insert(diff_id, file));
                }
            }
            Some(Upload::Config(config)) if Digest::sha256_of(&config) == self.wanted.config => {
                self.tell(|taken| taken.config = Some(config.into()));
            }
            Some(Upload::Config(_)) | None => {}
        }
        Ok(received)
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
        !is_larger && taken.layers.len() < self.wanted.layers.len()
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

/// What is being uploaded.
enum Upload {
    Layer(Box<MultiGzDecoder<Layer>>),
    /// The only thing that does not come compressed.
    Config(Vec<u8>),
}

impl Upload {
    fn begin(first: &[u8]) -> io::Result<Upload> {
        match first.first() {
            Some(0x1f) => {
                let layer = Layer {
                    hasher: Hasher::sha256(),
                    file: tempfile::tempfile()?,
                    size: 0,
                };
                Ok(Upload::Layer(Box::new(MultiGzDecoder::new(layer))))
            }
            _ => Ok(Upload::Config(Vec::new())),
        }
    }

    fn write_all(&mut self, piece: &[u8]) -> io::Result<()> {
        match self {
            Upload::Layer(layer) => layer.write_all(piece),
            Upload::Config(config) => config.write_all(piece),
        }
    }

    /// In bytes, uncompressed, so far.
    fn size(&self) -> u64 {
        match self {
            Upload::Layer(layer) => layer.get_ref().size,
            Upload::Config(config) => config.len() as u64,
        }
    }
}

/// A layer, uncompressed.
struct Layer {
    hasher: Hasher,
    file: File,
    /// In bytes, so far.
    size: u64,
}

impl Layer {
    /// Its diff id, and the file from its beginning.
    fn end(mut self) -> io::Result<(Digest, File)> {
        self.file.rewind()?;
        Ok((self.hasher.finish(), self.file))
    }
}

impl Write for Layer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn status(code: StatusCode) -> Builder {
    Response::builder().status(code)
}

/// So many bytes of an upload are there.
fn accepted(location: &str, received: u64) -> Builder {
    status(StatusCode::ACCEPTED)
        .header(LOCATION, location)
        .header(RANGE, format!("0-{}", received.saturating_sub(1)))
        .header(
            "docker-upload-uuid",
            location.rsplit('/').next().unwrap_or_default(),
        )
}

/// The digest with which an upload is closed.
fn digest_in(request: &Request<Incoming>) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, digest) = pairs.find(|(key, _)| key == "digest")?;
    Some(digest.into_owned())
}
