//! A GitHub that keeps releases and the digests of their assets, demands its token, and can fail in GitHub's ways.
//!
//! <https://docs.github.com/en/rest/releases>

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::http::{Body, Form, Reply, Server, serve};
use crate::{hex, lock};

pub const REPOSITORY: &str = "acme/product";
pub const TOKEN: &str = "ghp_correctHorseBatteryStaple";

/// A GitHub that runs until it is dropped.
pub struct FakeGithub {
    api: Server,
    /// As on github.com, assets are sent to another host.
    _uploads: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
pub struct Release {
    pub id: u64,
    pub tag: String,
    pub name: String,
    pub notes: String,
    pub draft: bool,
    pub prerelease: bool,
    pub make_latest: Option<String>,
    pub target: Option<String>,
    pub assets: Vec<Asset>,
}

#[derive(Clone, Debug)]
pub struct Asset {
    pub id: u64,
    pub name: String,
    pub state: &'static str,
    pub size: u64,
    pub sha256: String,
}

/// What goes wrong, once, with a request whose `METHOD /path` contains a given text.
pub enum Fault {
    /// This response, and nothing is done.
    Respond(u16, &'static [(&'static str, &'static str)], Value),
    /// It is done, and the connection closes without a response.
    Disconnect,
    /// An upload leaves an incomplete asset and a 502 behind.
    BreakUpload,
}

pub struct State {
    pub releases: Vec<Release>,
    /// False on an older Enterprise Server.
    pub digests: bool,
    /// Releases on a page of the list; a real one does as it is asked, up to 100.
    pub page: usize,
    faults: Vec<(String, Fault)>,
    log: Vec<String>,
    next_id: u64,
    uploads: Option<Url>,
}

impl FakeGithub {
    pub async fn start() -> FakeGithub {
        let state = Arc::new(Mutex::new(State {
            releases: Vec::new(),
            digests: true,
            page: 100,
            faults: Vec::new(),
            log: Vec::new(),
            next_id: 1,
            uploads: None,
        }));
        let handler = || {
            let state = state.clone();
            move |request| handle(state.clone(), request)
        };
        let (api, uploads) = (serve(handler()).await, serve(handler()).await);
        lock(&state).uploads = Some(uploads.url.clone());
        FakeGithub {
            api,
            _uploads: uploads,
            state,
        }
    }

    /// With a path, as an Enterprise Server has.
    pub fn api(&self) -> Url {
        self.api.url.join("api/v3").expect("a URL")
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The next request whose `METHOD /path` contains `request` meets `fault`. Faults queue up.
    pub fn fault(&self, request: &str, fault: Fault) {
        self.state().faults.push((request.to_owned(), fault));
    }

    /// `METHOD /path` of the requests since the last call, below the repository.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().log)
    }

    /// The only release there is.
    pub fn release(&self) -> Release {
        let releases = &self.state().releases;
        assert_eq!(releases.len(), 1, "{releases:?}");
        releases[0].clone()
    }
}

impl State {
    pub fn add(&mut self, tag: &str, draft: bool) -> &mut Release {
        let id = self.id();
        self.releases.push(Release {
            id,
            tag: tag.to_owned(),
            name: String::new(),
            notes: String::new(),
            draft,
            prerelease: false,
            make_latest: None,
            target: None,
            assets: Vec::new(),
        });
        self.releases.last_mut().expect("just added")
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn show(&self, release: &Release) -> Value {
        let uploads = self.uploads.as_ref().expect("started");
        let (id, tag) = (release.id, &release.tag);
        let page = if release.draft { "untagged" } else { tag };
        json!({
            "id": id,
            "html_url": format!("https://github.test/{REPOSITORY}/releases/tag/{page}"),
            "upload_url": format!("{uploads}repos/{REPOSITORY}/releases/{id}/assets{{?name,label}}"),
            "tag_name": tag, "name": release.name, "body": release.notes,
            "draft": release.draft, "prerelease": release.prerelease,
        })
    }

    fn show_asset(&self, asset: &Asset) -> Value {
        let digest = self.digests.then(|| format!("sha256:{}", asset.sha256));
        json!({"id": asset.id, "name": asset.name, "state": asset.state, "size": asset.size, "digest": digest})
    }

    fn with_id(&mut self, id: &str) -> Option<&mut Release> {
        self.releases
            .iter_mut()
            .find(|release| release.id.to_string() == id)
    }

    /// Everything but uploads. `path` is below the repository.
    fn reply(&mut self, method: &Method, path: &str, query: &str, body: &Value) -> Reply {
        let path: Vec<&str> = path.split('/').collect();
        match (method.as_str(), &path[..]) {
            ("GET", ["releases", "tags", tag]) => {
                let published = |release: &&Release| release.tag == *tag && !release.draft;
                match self.releases.iter().find(published) {
                    Some(release) => Reply::json(200, &self.show(release)),
                    None => not_found(),
                }
            }
            ("GET", ["releases"]) => self.list(query),
            ("POST", ["releases"]) => {
                let tag = body["tag_name"].as_str().expect("a tag").to_owned();
                let mut published = self.releases.iter().filter(|release| !release.draft);
                if published.any(|release| release.tag == tag) {
                    return exists("tag_name");
                }
                let release = self.add(&tag, false);
                change(release, body);
                let release = release.clone();
                Reply::json(201, &self.show(&release))
            }
            ("PATCH", ["releases", id]) => {
                let Some(release) = self.with_id(id) else {
                    return not_found();
                };
                change(release, body);
                let release = release.clone();
                Reply::json(200, &self.show(&release))
            }
            ("GET", ["releases", id, "assets"]) => {
                let Some(release) = self.with_id(id).cloned() else {
                    return not_found();
                };
                let assets = release.assets.iter().map(|asset| self.show_asset(asset));
                Reply::json(200, &assets.collect())
            }
            ("DELETE", ["releases", "assets", id]) => {
                for release in &mut self.releases {
                    release.assets.retain(|asset| asset.id.to_string() != *id);
                }
                Reply::empty(204)
            }
            _ => not_found(),
        }
    }

    fn list(&self, query: &str) -> Reply {
        let page = Form::parse(query.as_bytes());
        let page: usize = page.get("page").map_or(1, |it| it.parse().expect("a page"));
        let of_page = self.releases.iter().skip((page - 1) * self.page);
        let shown = of_page.take(self.page).map(|release| self.show(release));
        let reply = Reply::json(200, &shown.collect());
        if page * self.page >= self.releases.len() {
            return reply;
        }
        let next = page + 1;
        let next = format!("/api/v3/repos/{REPOSITORY}/releases?per_page=100&page={next}");
        reply.with("link", format!("<{next}>; rel=\"next\""))
    }

    fn store(&mut self, path: &str, asset: Asset) -> Reply {
        let id = path.split('/').nth(1).expect("a release's path");
        let Some(release) = self.with_id(id) else {
            return not_found();
        };
        if release.assets.iter().any(|other| other.name == asset.name) {
            return exists("name");
        }
        release.assets.push(asset.clone());
        Reply::json(201, &self.show_asset(&asset))
    }
}

fn change(release: &mut Release, body: &Value) {
    let text = |key: &str| body[key].as_str().map(str::to_owned);
    release.name = text("name").unwrap_or_default();
    release.notes = text("body").unwrap_or_default();
    release.draft = body["draft"] == true;
    release.prerelease = body["prerelease"] == true;
    release.make_latest = text("make_latest");
    release.target = text("target_commitish");
}

fn message(status: u16, text: &str) -> Reply {
    Reply::json(status, &json!({"message": text}))
}

fn not_found() -> Reply {
    message(404, "Not Found")
}

fn exists(field: &str) -> Reply {
    let error = json!({"resource": "Release", "code": "already_exists", "field": field});
    Reply::json(
        422,
        &json!({"message": "Validation Failed", "errors": [error]}),
    )
}

async fn handle(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let method = request.method().clone();
    let reply = reply(&state, request).await?;
    Ok(reply.into_response(&method))
}

/// An error closes the connection.
async fn reply(state: &Mutex<State>, request: Request<Incoming>) -> io::Result<Reply> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().trim_start_matches("/api/v3");
    let Some(path) = path.strip_prefix(&format!("/repos/{REPOSITORY}/")) else {
        return Ok(not_found());
    };
    let query = head.uri.query().unwrap_or_default();
    if let Some(refusal) = refuse(&head.headers) {
        return Ok(refusal);
    }
    // The body is never kept: it may be large.
    let (mut hash, mut size, mut start) = (Sha256::new(), 0, Vec::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            hash.update(&data);
            size += data.len() as u64;
            if start.len() < 1 << 20 {
                start.extend_from_slice(&data);
            }
        }
    }
    let line = format!("{} {path}", head.method);
    let mut state = lock(state);
    state.log.push(line.clone());
    let mut faults = state.faults.iter();
    let fault = faults.position(|(text, _)| line.contains(text));
    let fault = fault.map(|at| state.faults.remove(at).1);
    if let Some(Fault::Respond(status, headers, body)) = fault {
        let mut reply = Reply::json(status, &body);
        for &(name, value) in headers {
            reply = reply.with(name, value);
        }
        return Ok(reply);
    }
    let reply = if head.method == Method::POST && path.ends_with("/assets") {
        assert_eq!(head.headers[CONTENT_LENGTH], size.to_string());
        let broken = matches!(fault, Some(Fault::BreakUpload));
        let query = Form::parse(query.as_bytes());
        let asset = Asset {
            id: state.id(),
            name: query.get("name").expect("a name").to_owned(),
            state: if broken { "starter" } else { "uploaded" },
            size: if broken { 0 } else { size },
            sha256: hex(&hash.finalize()),
        };
        let reply = state.store(path, asset);
        if broken {
            message(502, "Bad Gateway")
        } else {
            reply
        }
    } else {
        let body = serde_json::from_slice(&start).unwrap_or_default();
        state.reply(&head.method, path, query, &body)
    };
    if matches!(fault, Some(Fault::Disconnect)) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    Ok(reply)
}

fn refuse(headers: &HeaderMap) -> Option<Reply> {
    let given = headers.get(AUTHORIZATION);
    if given.is_none_or(|given| *given != *format!("Bearer {TOKEN}")) {
        return Some(message(401, "Bad credentials"));
    }
    if !headers.contains_key(USER_AGENT) {
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Some(message(403, text));
    }
    None
}
