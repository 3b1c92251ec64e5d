//! A package feed that can misbehave: files by path, and what goes wrong with the next requests for each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{RANGE, REFERER};
use serde_json::json;
use url::Url;

use crate::http::{Reply, Server, serve};
use crate::{lock, sha256};

/// A feed that runs until it is dropped.
pub struct FakeFeed {
    server: Server,
    state: Arc<Mutex<State>>,
}

/// How one request is answered.
pub enum Fault {
    /// The connection closes after so many bytes of the body.
    Truncate(usize),
    /// Everything, whatever range was asked for.
    IgnoreRange,
    /// A 206 with a range that was not asked for.
    WrongRange,
    /// These bytes, without a length in the head.
    Replace(Bytes),
    Status(u16),
    Redirect(Url),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    pub path: String,
    pub query: Option<String>,
    pub range: Option<String>,
    pub referer: Option<String>,
}

#[derive(Default)]
struct State {
    files: HashMap<String, Bytes>,
    faults: HashMap<String, VecDeque<Fault>>,
    /// Without this query everything is refused, as in an Azure container.
    signature: Option<String>,
    requests: Vec<RecordedRequest>,
}

impl FakeFeed {
    pub async fn start() -> FakeFeed {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let server = serve(move |request| {
            let reply = lock(&shared).reply(&request);
            async move { Ok(reply.into_response(request.method())) }
        })
        .await;
        FakeFeed { server, state }
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
        self.publish_with(version, packages, |_| None);
    }

    /// The same with digests in the index.
    pub fn publish_with_digests(&self, version: &str, packages: &[(&str, &[u8])]) {
        self.publish_with(version, packages, |content| Some(sha256(content)));
    }

    fn publish_with(
        &self,
        version: &str,
        packages: &[(&str, &[u8])],
        digest: impl Fn(&[u8]) -> Option<String>,
    ) {
        let mut assets = Vec::new();
        for (name, content) in packages {
            let path = format!("{version}/{name}");
            let mut asset = json!({"name": name, "path": path, "size": content.len()});
            if let Some(digest) = digest(content) {
                asset["sha256"] = digest.into();
            }
            assets.push(asset);
            self.put(&path, content.to_vec());
        }
        let index = json!({"versions": [{"version": version, "assets": assets}]});
        self.put("index.json", index.to_string());
    }

    /// The next requests for `path` meet these, one after the other; then they are answered as they should be again.
    pub fn fault(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        let queues = &mut lock(&self.state).faults;
        queues.entry(format!("/{path}")).or_default().extend(faults);
    }

    /// Refuses every request without this query from now on.
    pub fn require(&self, signature: &str) {
        lock(&self.state).signature = Some(signature.to_owned());
    }

    /// The requests since the last call.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        std::mem::take(&mut lock(&self.state).requests)
    }
}

impl State {
    fn reply(&mut self, request: &Request<Incoming>) -> Reply {
        let headers = request.headers();
        let header = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let path = request.uri().path().to_owned();
        let query = request.uri().query().map(str::to_owned);
        self.requests.push(RecordedRequest {
            path: path.clone(),
            query: query.clone(),
            range: header(RANGE),
            referer: header(REFERER),
        });
        let fault = self.faults.get_mut(&path).and_then(VecDeque::pop_front);
        if self.signature.is_some() && self.signature != query {
            return Reply::new(403, "no");
        }
        match fault {
            Some(Fault::Status(status)) => return Reply::new(status, "no"),
            Some(Fault::Redirect(to)) => return Reply::empty(302).with("location", to),
            _ => {}
        }
        let Some(content) = self.files.get(&path) else {
            return Reply::new(404, "no");
        };
        let reply = Reply::ranged(content, headers);
        match fault {
            Some(Fault::Replace(bytes)) => Reply::new(200, bytes).unannounced(),
            Some(Fault::Truncate(length)) => reply.truncated(length),
            Some(Fault::WrongRange) if reply.status == 206 => {
                Reply::partial(content, 1, content.len() - 1)
            }
            Some(Fault::IgnoreRange) => Reply::new(200, content.clone()),
            _ => reply,
        }
    }
}
