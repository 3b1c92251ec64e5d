//! A registry with bad habits: in memory, in this process, doing wrong exactly what a test asks for.
//!
//! It refuses to judge clients: it keeps a record of what they sent, and the test judges. Invariant: without habits and
//! faults it is a plain registry that is open to everyone.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::door::{Door, Keeper};
use super::store::{Answer, Store};

/// What the registry always does.
#[derive(Clone, Default)]
pub struct Habits {
    pub door: Door,
    /// `Docker-Content-Digest` is left out.
    pub hides_digests: bool,
    /// `Location` is absolute instead of relative.
    pub absolute_locations: bool,
    /// Blobs live on a second host: reads are redirected there, uploads go on there.
    pub stores_elsewhere: bool,
    /// Ranges are ignored.
    pub ignores_ranges: bool,
    /// The answer to a mount; 201 mounts, 202 opens an upload.
    pub mount: Option<u16>,
    /// The referrers API is there.
    pub lists_referrers: bool,
    /// The longest page of tags.
    pub page: Option<usize>,
    /// A manifest is refused while something it refers to is absent.
    pub checks_children: bool,
    /// Build attestations are refused, as Aliyun does (koordinator#3194).
    pub refuses_empty_configs: bool,
    /// Large uploads are not read before this turns true.
    pub gate: Option<watch::Receiver<bool>>,
}

/// What the registry does wrong, once.
#[derive(Clone)]
pub enum Fault {
    /// Answers this instead of doing what it was asked.
    Answer(u16, &'static [(&'static str, &'static str)], &'static str),
    /// Does it, and answers this nevertheless.
    Lie(u16),
    /// Does it, and closes the connection without an answer.
    Hangup,
    /// Never answers.
    Silence,
    /// Sends this much of the body and closes the connection.
    Cut(usize),
    /// Reads this much of the request's body and closes the connection.
    Deaf(usize),
    /// Does not know any token that it has issued, from this request on.
    Expire,
    /// Spoils the first byte of the body.
    Garble,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    /// `storage` for the second host, otherwise `registry`.
    pub host: &'static str,
    /// Path and query.
    pub target: String,
    pub headers: hyper::HeaderMap,
    pub at: Instant,
}

pub struct Faulty {
    /// `127.0.0.1:port`.
    pub host: String,
    state: Arc<Mutex<State>>,
    servers: [JoinHandle<()>; 2],
}

pub struct State {
    habits: Habits,
    faults: Vec<(Method, String, Fault)>,
    seen: Vec<Seen>,
    keeper: Keeper,
    host: String,
    storage_host: String,
    pub store: Store,
}

impl Faulty {
    pub async fn start(habits: Habits) -> Faulty {
        let listen = async || TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (registry, storage) = (listen().await, listen().await);
        let address =
            |listener: &TcpListener| listener.local_addr().expect("an address").to_string();
        let host = address(&registry);
        let state = Arc::new(Mutex::new(State {
            keeper: Keeper::new(habits.door, &host),
            habits,
            faults: Vec::new(),
            seen: Vec::new(),
            host: host.clone(),
            storage_host: address(&storage),
            store: Store::default(),
        }));
        let servers = [
            tokio::spawn(serve(registry, "registry", Arc::clone(&state))),
            tokio::spawn(serve(storage, "storage", Arc::clone(&state))),
        ];
        Faulty {
            host,
            state,
            servers,
        }
    }

    /// The next request of `method` whose target contains `part` meets `fault`. Faults queue up.
    pub fn fault(&self, method: Method, part: &str, fault: Fault) {
        self.state().faults.push((method, part.to_owned(), fault));
    }

    /// What is stored, to look at or to prepare.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// What `tag` names in its one repository.
    #[track_caller]
    pub fn tagged(&self, tag: &str) -> Bytes {
        let state = self.state();
        let mut manifests = state.store.manifests.iter();
        let found = manifests.find(|((_, at), _)| at == tag);
        let (_, (_, bytes)) = found.unwrap_or_else(|| panic!("no tag `{tag}`"));
        bytes.clone()
    }

    /// Every request so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// How many requests of `method` had `part` in their target.
    pub fn count(&self, method: Method, part: &str) -> usize {
        let is_one = |seen: &&Seen| seen.method == method && seen.target.contains(part);
        self.state().seen.iter().filter(is_one).count()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

async fn serve(listener: TcpListener, host: &'static str, state: Arc<Mutex<State>>) {
    while let Ok((connection, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request| handle(request, host, Arc::clone(&state)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
    }
}

/// An error closes the connection.
async fn handle(
    request: Request<Incoming>,
    host: &'static str,
    state: Arc<Mutex<State>>,
) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let seen = Seen {
        method: head.method,
        host,
        target: head.uri.to_string(),
        headers: head.headers,
        at: Instant::now(),
    };
    let fault = {
        let mut state = state.lock().expect("no holder panics");
        state.seen.push(seen.clone());
        let is_meant = |(method, part, _): &(Method, String, Fault)| {
            *method == seen.method && seen.target.contains(part)
        };
        let at = state.faults.iter().position(is_meant);
        at.map(|at| state.faults.remove(at).2)
    };
    if let Some(Fault::Answer(status, headers, text)) = fault {
        // Read, for a client that is still sending may not see the answer.
        let _ = body.collect().await;
        let headers = headers
            .iter()
            .map(|&(name, value)| (name, value.to_owned()))
            .collect();
        return Ok(respond(
            Answer {
                status,
                headers,
                body: text.into(),
            },
            &seen.method,
            None,
        ));
    }
    if let Some(Fault::Deaf(length)) = fault {
        return Err(deaf(body, length).await);
    }
    let gate = state.lock().expect("no holder panics").habits.gate.clone();
    if let Some(mut gate) = gate.filter(|_| seen.method == Method::PATCH) {
        let _ = gate.wait_for(|is_open| *is_open).await;
    }
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let answer = {
        let mut state = state.lock().expect("no holder panics");
        if let Some(Fault::Expire) = fault {
            state.keeper.expire();
        }
        state.answer(&seen, body)
    };
    match fault {
        Some(Fault::Lie(status)) => Ok(respond(Answer::empty(status), &seen.method, None)),
        Some(Fault::Hangup) => Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Silence) => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Err(io::ErrorKind::TimedOut.into())
        }
        Some(Fault::Garble) => {
            let mut body = answer.body.to_vec();
            body[0] ^= 1;
            let body = body.into();
            Ok(respond(Answer { body, ..answer }, &seen.method, None))
        }
        Some(Fault::Cut(length)) => Ok(respond(answer, &seen.method, Some(length))),
        Some(Fault::Answer(..) | Fault::Deaf(_) | Fault::Expire) | None => {
            Ok(respond(answer, &seen.method, None))
        }
    }
}

/// The error that closes the connection, when `length` bytes have been read.
async fn deaf(mut body: Incoming, length: usize) -> io::Error {
    let mut read = 0;
    while read < length
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
    io::ErrorKind::ConnectionAborted.into()
}

fn respond(answer: Answer, method: &Method, cut: Option<usize>) -> Response<Body> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let response = response.header(CONTENT_LENGTH, answer.body.len());
    let body = match cut {
        _ if method == Method::HEAD => Full::default()
            .map_err(|never: Infallible| match never {})
            .boxed_unsync(),
        None => Full::new(answer.body)
            .map_err(|never| match never {})
            .boxed_unsync(),
        Some(length) => {
            let part = stream::iter([Ok(Frame::data(answer.body.slice(..length)))]);
            // Hyper sends what it has only when the body makes it wait.
            let end = stream::once(async {
                tokio::task::yield_now().await;
                Err(io::ErrorKind::ConnectionAborted.into())
            });
            StreamBody::new(part.chain(end)).boxed_unsync()
        }
    };
    response.body(body).expect("a response")
}

impl State {
    fn answer(&mut self, seen: &Seen, body: Bytes) -> Answer {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        if path == "/token" {
            return self.keeper.issue(seen, &query, &body);
        }
        let Some(rest) = path.strip_prefix("/v2/") else {
            return Answer::empty(404);
        };
        if seen.host == "registry" && !self.keeper.lets_in(seen, rest) {
            return self.keeper.challenge();
        }
        let habits = self.habits.clone();
        let mut answer =
            self.store
                .answer(&habits, &seen.method, rest, &query, &seen.headers, body);
        if habits.stores_elsewhere && seen.host == "registry" {
            let storage = format!("http://{}", self.storage_host);
            for (_, value) in answer
                .headers
                .iter_mut()
                .filter(|(name, _)| *name == "location")
            {
                value.insert_str(0, &storage);
            }
            if seen.method == Method::GET && rest.contains("/blobs/") {
                answer =
                    Answer::empty(307).with("location", format!("{storage}{path}?sig=of-storage"));
            }
        }
        if habits.hides_digests {
            answer
                .headers
                .retain(|(name, _)| *name != "docker-content-digest");
        }
        if habits.absolute_locations {
            for (_, value) in answer
                .headers
                .iter_mut()
                .filter(|(name, value)| *name == "location" && value.starts_with('/'))
            {
                *value = format!("http://{}{value}", self.host);
            }
        }
        answer
    }
}
