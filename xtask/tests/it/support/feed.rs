//! A package feed that can misbehave: files by path, and how the next requests for each are answered.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE, REFERER};
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use url::Url;

use super::server::{Body, Server, broken, serve, unannounced, whole};

pub struct Feed {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// How one request is answered.
pub enum Manner {
    /// The connection closes after so many bytes of the body.
    Cut(usize),
    /// Everything, whatever range was asked for.
    IgnoreRange,
    /// A 206 with a range that was not asked for.
    OtherRange,
    /// These bytes, without a length in the head.
    Instead(Bytes),
    Status(u16),
    Redirect(Url),
}

/// A request that was received.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub query: Option<String>,
    pub range: Option<String>,
    pub referer: Option<String>,
}

#[derive(Default)]
struct State {
    files: HashMap<String, Bytes>,
    manners: HashMap<String, VecDeque<Manner>>,
    /// Without this query everything is refused, as in an Azure container.
    signature: Option<String>,
    seen: Vec<Seen>,
}

impl Feed {
    pub async fn start() -> Feed {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = serve(move |request| {
            let answer = lock(&shared).answer(&request);
            async { answer }
        })
        .await;
        Feed { server, state }
    }

    /// The address of a file, or with `""` of the feed.
    pub fn url(&self, path: &str) -> Url {
        self.server.url.join(path).expect("a URL")
    }

    pub fn put(&self, path: &str, content: impl Into<Bytes>) {
        let files = &mut lock(&self.state).files;
        files.insert(format!("/{path}"), content.into());
    }

    /// Packages of one version, and an index of just them, in the product's form: without digests.
    pub fn publish(&self, version: &str, packages: &[(&str, &[u8])]) {
        let mut assets = Vec::new();
        for (name, content) in packages {
            let path = format!("{version}/{name}");
            assets.push(json!({"name": name, "path": path, "size": content.len()}));
            self.put(&path, content.to_vec());
        }
        let index = json!({"versions": [{"version": version, "assets": assets}]});
        self.put("index.json", index.to_string());
    }

    /// The next requests for `path` are answered so, one after the other; then honestly again.
    pub fn misbehave(&self, path: &str, manners: impl IntoIterator<Item = Manner>) {
        let queues = &mut lock(&self.state).manners;
        queues
            .entry(format!("/{path}"))
            .or_default()
            .extend(manners);
    }

    /// Refuses every request without this query from now on.
    pub fn require(&self, signature: &str) {
        lock(&self.state).signature = Some(signature.to_owned());
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut lock(&self.state).seen)
    }
}

impl State {
    fn answer(&mut self, request: &Request<Incoming>) -> io::Result<Response<Body>> {
        let header = |name| {
            let value = request.headers().get(name)?;
            Some(value.to_str().ok()?.to_owned())
        };
        let path = request.uri().path().to_owned();
        let query = request.uri().query().map(str::to_owned);
        let range = header(RANGE);
        self.seen.push(Seen {
            path: path.clone(),
            query: query.clone(),
            range: range.clone(),
            referer: header(REFERER),
        });
        let start = range.and_then(|range| {
            let start = range.strip_prefix("bytes=")?.strip_suffix('-')?;
            start.parse::<usize>().ok()
        });
        let manner = self.manners.get_mut(&path).and_then(VecDeque::pop_front);
        if self.signature.is_some() && self.signature != query {
            return status(403);
        }
        if let Some(Manner::Status(code)) = manner {
            return status(code);
        }
        if let Some(Manner::Redirect(to)) = manner {
            let redirect = Response::builder()
                .status(302)
                .header(LOCATION, to.as_str());
            return Ok(redirect.body(whole("")).expect("an answer"));
        }
        let Some(content) = self.files.get(&path).cloned() else {
            return status(404);
        };
        Ok(match (manner, start) {
            (Some(Manner::Instead(bytes)), _) => Response::new(unannounced(bytes)),
            (Some(Manner::Cut(bytes)), _) => {
                let rest = content.slice(start.unwrap_or(0)..);
                let mut answer = Response::new(broken(rest.slice(..bytes)));
                describe(&mut answer, start, content.len());
                answer
            }
            (Some(Manner::OtherRange), Some(_)) => {
                let mut answer = Response::new(whole(content.slice(1..)));
                describe(&mut answer, Some(1), content.len());
                answer
            }
            (Some(Manner::IgnoreRange), _) | (_, None) => Response::new(whole(content)),
            (_, Some(start)) if start >= content.len() => return status(416),
            (_, Some(start)) => {
                let mut answer = Response::new(whole(content.slice(start..)));
                describe(&mut answer, Some(start), content.len());
                answer
            }
        })
    }
}

/// The head of an answer that has the content from `start` on.
fn describe(answer: &mut Response<Body>, start: Option<usize>, size: usize) {
    let length = size - start.unwrap_or(0);
    answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    if let Some(start) = start {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {start}-{}/{size}", size - 1);
        let range = range.parse().expect("a range");
        answer.headers_mut().insert(CONTENT_RANGE, range);
    }
}

fn status(code: u16) -> io::Result<Response<Body>> {
    Ok(Response::builder()
        .status(code)
        .body(whole("no"))
        .expect("an answer"))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no test has panicked in here")
}
