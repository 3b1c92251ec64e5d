//! A registry in memory, in this process, that misbehaves exactly as a test asks.
//!
//! It records what clients send and never judges it. Without a behavior and faults it is a plain registry, open to all.

mod auth;
mod fault;
mod listing;
mod proxy;
mod rule;
mod store;

pub use auth::{AuthMode, IDENTITY, PASSWORD, USER};
pub use fault::Fault;
pub use listing::ListingApi;
pub use proxy::FaultProxy;
pub use rule::Rule;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{HeaderMap, Method};
use tokio::sync::watch;

use crate::http::{Form, Reply, Server, serve};
use crate::{digest_like, lock};
use auth::TokenServer;
use rule::Rules;
use store::Store;

/// What the registry does always.
#[derive(Clone, Default)]
pub struct Behavior {
    pub auth: AuthMode,
    /// How long a token opens anything; five minutes if not given.
    pub token_life: Option<Duration>,
    /// Every upload is denied, as where the namespace is missing: one may sign in and read.
    pub denies_uploads: bool,
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
    /// Tags are listed with their digests by this API too.
    pub listing_api: Option<ListingApi>,
    /// Of these tags it tells other digests, or none.
    pub listed_instead: HashMap<String, Option<String>>,
    /// The longest page of tags, and of repositories, where asking for a longer one is an error.
    pub page: Option<usize>,
    /// What the list of repositories names besides those that are there.
    pub also_lists: Vec<&'static str>,
    /// A manifest is refused while something it refers to is absent.
    pub checks_children: bool,
    /// Build attestations are refused, as Aliyun does (koordinator#3194).
    pub refuses_empty_configs: bool,
    /// A tag that is put with `?digest=` names that digest (distribution specification 1.1.1).
    pub takes_digests: bool,
    /// Large uploads are not read before this turns true.
    pub gate: Option<watch::Receiver<bool>>,
    /// Until then every connection is closed without a response.
    pub away_until: Option<Instant>,
}

/// Which of the registry's two hosts a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Registry,
    /// The second host, where blobs may live.
    Storage,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    pub method: Method,
    pub host: Host,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub at: Instant,
}

/// A registry that runs until it is dropped.
pub struct FakeRegistry {
    /// `127.0.0.1:port`.
    pub host: String,
    state: Arc<Mutex<State>>,
    _servers: [Server; 2],
}

struct State {
    behavior: Behavior,
    rules: Rules,
    requests: Vec<RecordedRequest>,
    /// How many there are.
    arrivals: watch::Sender<usize>,
    tokens: TokenServer,
    host: String,
    storage_host: String,
    store: Store,
}

impl FakeRegistry {
    /// One that reads no large upload before the gate opens.
    pub async fn start_gated() -> (FakeRegistry, watch::Sender<bool>) {
        let gate = watch::Sender::new(false);
        let behavior = Behavior {
            gate: Some(gate.subscribe()),
            ..Behavior::default()
        };
        (FakeRegistry::start(behavior).await, gate)
    }

    pub async fn start(behavior: Behavior) -> FakeRegistry {
        let state = Arc::new(Mutex::new(State {
            tokens: TokenServer::new(behavior.auth, behavior.token_life, behavior.listing_api),
            behavior,
            rules: Rules::default(),
            requests: Vec::new(),
            arrivals: watch::Sender::default(),
            host: String::new(),
            storage_host: String::new(),
            store: Store::default(),
        }));
        let handler = |host| {
            let state = Arc::clone(&state);
            move |request| fault::handle(request, host, Arc::clone(&state))
        };
        let registry = serve(handler(Host::Registry)).await;
        let storage = serve(handler(Host::Storage)).await;
        let host = registry.host().to_owned();
        {
            let mut state = lock(&state);
            state.host.clone_from(&host);
            state.storage_host = storage.host().to_owned();
        }
        FakeRegistry {
            host,
            state,
            _servers: [registry, storage],
        }
    }

    /// Changes what it does always, from now on.
    pub fn behave(&self, change: impl FnOnce(&mut Behavior)) {
        change(&mut lock(&self.state).behavior);
    }

    /// The next request of `method` whose target contains `part` meets `fault`. Faults queue up.
    pub fn fault(&self, method: Method, part: &str, fault: Fault) {
        self.rule(Rule::new(fault).method(method).path(part).next());
    }

    /// Requests meet the rule's fault from now on.
    pub fn rule(&self, rule: Rule) {
        self.state().rules.add(rule);
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state().requests.clone()
    }

    /// How many requests of `method` had `part` in their target.
    pub fn count(&self, method: Method, part: &str) -> usize {
        let state = self.state();
        let requests = state.requests.iter();
        requests
            .filter(|request| request.method == method && request.target.contains(part))
            .count()
    }

    /// Waits until a request of `method` had `part` in its target.
    pub async fn asked(&self, method: Method, part: &str) {
        self.asked_times(1, method, part).await;
    }

    /// Waits until so many requests of `method` had `part` in their targets.
    pub async fn asked_times(&self, times: usize, method: Method, part: &str) {
        let mut arrivals = self.state().arrivals.subscribe();
        while self.count(method.clone(), part) < times {
            let arrival = arrivals.changed().await;
            arrival.expect("the sender lives as long as this registry");
        }
    }

    /// How many bytes each open upload has.
    pub fn open_uploads(&self) -> Vec<usize> {
        self.state().store.open_uploads()
    }

    /// Every blob, by repository and digest.
    pub fn blobs(&self) -> BTreeMap<(String, String), Bytes> {
        self.state().store.blobs.clone()
    }

    pub fn put_blob(&self, repository: &str, digest: &str, bytes: Bytes) {
        let key = (repository.to_owned(), digest.to_owned());
        self.state().store.blobs.insert(key, bytes);
    }

    pub fn remove_blob(&self, repository: &str, digest: &str) {
        let key = (repository.to_owned(), digest.to_owned());
        self.state().store.blobs.remove(&key);
    }

    /// Every manifest with its media type, by repository and tag or digest.
    pub fn manifests(&self) -> BTreeMap<(String, String), (String, Bytes)> {
        self.state().store.manifests.clone()
    }

    /// `at` is a tag or a digest.
    pub fn put_manifest(&self, repository: &str, at: &str, media_type: &str, bytes: Bytes) {
        let key = (repository.to_owned(), at.to_owned());
        let manifest = (media_type.to_owned(), bytes);
        self.state().store.manifests.insert(key, manifest);
    }

    pub fn remove_manifest(&self, repository: &str, at: &str) {
        let key = (repository.to_owned(), at.to_owned());
        self.state().store.manifests.remove(&key);
    }

    /// The manifest that `tag` names, where one repository alone has that tag.
    #[track_caller]
    pub fn tagged(&self, tag: &str) -> Bytes {
        let manifests = self.manifests();
        let found = manifests.into_iter().find(|((_, at), _)| at == tag);
        let (_, (_, bytes)) = found.unwrap_or_else(|| panic!("no tag `{tag}`"));
        bytes
    }

    /// `repository:tag` of every tag, by the digest that it names.
    pub fn tags(&self) -> BTreeMap<String, Vec<String>> {
        let mut tags: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((repository, at), (_, bytes)) in self.manifests() {
            if !at.contains(':') {
                let digest = digest_like("sha256", &bytes);
                let named = tags.entry(digest).or_default();
                named.push(format!("{repository}:{at}"));
            }
        }
        tags
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn reply(&mut self, request: &RecordedRequest, body: Bytes) -> Reply {
        let target = &request.target;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = Form::parse(query.as_bytes());
        if path == self.tokens.path() {
            return self.tokens.issue(request, query, &body, &self.host);
        }
        let (behavior, tokens, store) = (&self.behavior, &self.tokens, &self.store);
        let listed = listing::reply(behavior, tokens, store, &self.host, request, path, &query);
        if let Some(reply) = listed {
            return reply;
        }
        let Some(rest) = path.strip_prefix("/v2/") else {
            return Reply::empty(404);
        };
        if request.host == Host::Registry && !self.tokens.permits(request, rest) {
            return self.tokens.challenge(&self.host, rest);
        }
        let reply = self
            .store
            .reply(&self.behavior, request, rest, &query, body);
        self.relocated(reply, request, path, rest)
    }

    /// The reply with the hosts in it that the behavior asks for.
    fn relocated(
        &self,
        mut reply: Reply,
        request: &RecordedRequest,
        path: &str,
        rest: &str,
    ) -> Reply {
        let behavior = &self.behavior;
        let base = if behavior.stores_elsewhere && request.host == Host::Registry {
            let storage = format!("http://{}", self.storage_host);
            if request.method == Method::GET && rest.contains("/blobs/") {
                reply =
                    Reply::empty(307).with("location", format!("{storage}{path}?sig=of-storage"));
            }
            storage
        } else if behavior.absolute_locations {
            format!("http://{}", self.host)
        } else {
            String::new()
        };
        for (name, value) in &mut reply.headers {
            if name == "location" && value.starts_with('/') {
                value.insert_str(0, &base);
            }
        }
        if behavior.hides_digests {
            let headers = &mut reply.headers;
            headers.retain(|(name, _)| name != "docker-content-digest");
        }
        reply
    }
}
