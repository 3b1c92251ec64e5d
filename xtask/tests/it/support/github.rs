//! A GitHub that keeps releases and the digests of their assets, demands its token, and can fail in GitHub's ways.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, LINK, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::server::{Body, Server, serve, whole};

pub const REPOSITORY: &str = "acme/product";
pub const TOKEN: &str = "ghp_correctHorseBatteryStaple";

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
    /// This answer, and nothing is done.
    Answer(u16, &'static [(&'static str, &'static str)], Value),
    /// It is done, and the connection closes without an answer.
    LoseAnswer,
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

    pub fn fail(&self, request: &str, fault: Fault) {
        self.state().faults.push((request.to_owned(), fault));
    }

    /// `METHOD /path` of the requests since the last call, below the repository.
    pub fn log(&self) -> Vec<String> {
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

    fn of(&mut self, id: &str) -> Option<&mut Release> {
        self.releases
            .iter_mut()
            .find(|release| release.id.to_string() == id)
    }

    /// Everything but uploads. `path` is below the repository.
    fn do_it(&mut self, method: &Method, path: &str, query: &str, body: &Value) -> Answer {
        let path: Vec<&str> = path.split('/').collect();
        match (method.as_str(), &path[..]) {
            ("GET", ["releases", "tags", tag]) => {
                let published = |release: &&Release| release.tag == *tag && !release.draft;
                match self.releases.iter().find(published) {
                    Some(release) => Answer::json(200, self.show(release)),
                    None => Answer::not_found(),
                }
            }
            ("GET", ["releases"]) => {
                let all: Vec<Value> = self
                    .releases
                    .iter()
                    .map(|release| self.show(release))
                    .collect();
                let page = query.split('&').find_map(|pair| pair.strip_prefix("page="));
                let page: usize = page.map_or(1, |page| page.parse().expect("a page"));
                let shown = all.iter().skip((page - 1) * self.page).take(self.page);
                let mut answer = Answer::json(200, shown.cloned().collect());
                if page * self.page < all.len() {
                    let next = page + 1;
                    answer.link = Some(format!(
                        "</api/v3/repos/{REPOSITORY}/releases?per_page=100&page={next}>; rel=\"next\""
                    ));
                }
                answer
            }
            ("POST", ["releases"]) => {
                let tag = body["tag_name"].as_str().expect("a tag").to_owned();
                if self
                    .releases
                    .iter()
                    .any(|release| release.tag == tag && !release.draft)
                {
                    return Answer::exists("tag_name");
                }
                let release = self.add(&tag, false);
                change(release, body);
                let release = release.clone();
                Answer::json(201, self.show(&release))
            }
            ("PATCH", ["releases", id]) => {
                let Some(release) = self.of(id) else {
                    return Answer::not_found();
                };
                change(release, body);
                let release = release.clone();
                Answer::json(200, self.show(&release))
            }
            ("GET", ["releases", id, "assets"]) => {
                let Some(release) = self.of(id).cloned() else {
                    return Answer::not_found();
                };
                let assets = release.assets.iter().map(|asset| self.show_asset(asset));
                Answer::json(200, assets.collect())
            }
            ("DELETE", ["releases", "assets", id]) => {
                for release in &mut self.releases {
                    release.assets.retain(|asset| asset.id.to_string() != *id);
                }
                Answer::json(204, Value::Null)
            }
            _ => Answer::not_found(),
        }
    }

    fn store(&mut self, path: &str, asset: Asset) -> Answer {
        let id = path.split('/').nth(1).expect("a release's path");
        let Some(release) = self.of(id) else {
            return Answer::not_found();
        };
        if release.assets.iter().any(|other| other.name == asset.name) {
            return Answer::exists("name");
        }
        release.assets.push(asset.clone());
        Answer::json(201, self.show_asset(&asset))
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

struct Answer {
    status: u16,
    body: Value,
    link: Option<String>,
}

impl Answer {
    fn json(status: u16, body: Value) -> Answer {
        Answer {
            status,
            body,
            link: None,
        }
    }

    fn not_found() -> Answer {
        Answer::json(404, json!({"message": "Not Found"}))
    }

    fn exists(field: &str) -> Answer {
        let error = json!({"resource": "Release", "code": "already_exists", "field": field});
        Answer::json(
            422,
            json!({"message": "Validation Failed", "errors": [error]}),
        )
    }

    fn send(self) -> Response<Body> {
        let mut answer = Response::builder().status(self.status);
        if let Some(link) = self.link {
            answer = answer.header(LINK, link);
        }
        let body = if self.body.is_null() {
            String::new()
        } else {
            self.body.to_string()
        };
        answer.body(whole(body)).expect("an answer")
    }
}

async fn handle(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path().trim_start_matches("/api/v3");
    let Some(path) = path.strip_prefix(&format!("/repos/{REPOSITORY}/")) else {
        return Ok(Answer::not_found().send());
    };
    let query = head.uri.query().unwrap_or_default();
    if let Some(refusal) = refuse(&head.headers) {
        return Ok(refusal.send());
    }
    // The body is never kept: it may be large.
    let (mut digest, mut size, mut start) = (Sha256::new(), 0, Vec::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            digest.update(&data);
            size += data.len() as u64;
            if start.len() < 1 << 20 {
                start.extend_from_slice(&data);
            }
        }
    }
    let line = format!("{} {path}", head.method);
    let mut state = lock(&state);
    state.log.push(line.clone());
    let fault = state
        .faults
        .iter()
        .position(|(text, _)| line.contains(text));
    let fault = fault.map(|at| state.faults.remove(at).1);
    if let Some(Fault::Answer(status, headers, body)) = fault {
        let mut answer = Answer::json(status, body).send();
        for (name, value) in headers {
            answer
                .headers_mut()
                .insert(*name, value.parse().expect("a header"));
        }
        return Ok(answer);
    }
    let answer = if head.method == Method::POST && path.ends_with("/assets") {
        assert_eq!(head.headers[CONTENT_LENGTH], size.to_string());
        let broken = matches!(fault, Some(Fault::BreakUpload));
        let name = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "name");
        let digest = digest.finalize();
        let asset = Asset {
            id: state.id(),
            name: name.expect("a name").1.into_owned(),
            state: if broken { "starter" } else { "uploaded" },
            size: if broken { 0 } else { size },
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let answer = state.store(path, asset);
        if broken {
            Answer::json(502, json!({"message": "Bad Gateway"}))
        } else {
            answer
        }
    } else {
        let body = serde_json::from_slice(&start).unwrap_or_default();
        state.do_it(&head.method, path, query, &body)
    };
    if matches!(fault, Some(Fault::LoseAnswer)) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    Ok(answer.send())
}

fn refuse(headers: &HeaderMap) -> Option<Answer> {
    let expected = format!("Bearer {TOKEN}");
    if headers
        .get(AUTHORIZATION)
        .is_none_or(|value| *value != *expected)
    {
        return Some(Answer::json(401, json!({"message": "Bad credentials"})));
    }
    if !headers.contains_key(USER_AGENT) {
        let message = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Some(Answer::json(403, json!({"message": message})));
    }
    None
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no test has panicked in here")
}
