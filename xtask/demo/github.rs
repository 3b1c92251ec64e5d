//! As much of GitHub's API as a release needs: releases of one repository, and their assets.
//!
//! <https://docs.github.com/en/rest/releases>

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::{get, patch};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use xtask::oci::Digest;

use crate::serve::serve as listen;

pub const REPOSITORY: &str = "demo/hagicode";
pub const TOKEN: &str = "demo-token";

type Answer<T> = Result<Json<T>, StatusCode>;

/// Every release with its assets, in the order they were made; the id of each is its place.
#[derive(Clone)]
struct Releases {
    address: String,
    all: Arc<Mutex<Vec<Value>>>,
}

/// The API's URL.
pub async fn serve() -> Result<String> {
    let address = listen(|address| {
        let releases = Releases {
            address: format!("http://{address}"),
            all: Arc::default(),
        };
        let api = Router::new()
            .route("/releases", get(list).post(create))
            .route("/releases/tags/{tag}", get(by_tag))
            .route("/releases/{id}", patch(change))
            .route("/releases/{id}/assets", get(assets).post(upload));
        Router::new()
            .nest(&format!("/repos/{REPOSITORY}"), api)
            .layer(from_fn(signed_in))
            .with_state(releases)
    });
    Ok(format!("http://{}", address.await?))
}

async fn signed_in(request: Request, next: Next) -> axum::response::Response {
    let expected = format!("Bearer {TOKEN}");
    match request.headers().get(header::AUTHORIZATION) {
        Some(given) if *given == expected => next.run(request).await,
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn list(State(releases): State<Releases>) -> Json<Vec<Value>> {
    Json(releases.with(|all| all.clone()))
}

async fn create(
    State(releases): State<Releases>,
    Json(mut release): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let made = releases.with(|all| {
        let page = format!("{}/{REPOSITORY}/releases/{}", releases.address, all.len());
        release["id"] = json!(all.len());
        release["html_url"] = json!(page);
        release["upload_url"] = json!(format!(
            "{}/repos/{REPOSITORY}/releases/{}/assets{{?name,label}}",
            releases.address,
            all.len()
        ));
        release["assets"] = json!([]);
        all.push(release.clone());
        release
    });
    (StatusCode::CREATED, Json(made))
}

/// Drafts have no tag yet.
async fn by_tag(State(releases): State<Releases>, Path(tag): Path<String>) -> Answer<Value> {
    releases.with(|all| {
        let mut published = all.iter().filter(|release| release["draft"] == false);
        let found = published.find(|release| release["tag_name"] == *tag);
        found.cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
    })
}

async fn change(
    State(releases): State<Releases>,
    Path(id): Path<usize>,
    Json(changes): Json<Value>,
) -> Answer<Value> {
    releases.with(|all| {
        let release = all.get_mut(id).ok_or(StatusCode::NOT_FOUND)?;
        for (name, value) in changes.as_object().ok_or(StatusCode::BAD_REQUEST)? {
            release[name] = value.clone();
        }
        Ok(Json(release.clone()))
    })
}

async fn assets(State(releases): State<Releases>, Path(id): Path<usize>) -> Answer<Value> {
    releases.with(|all| {
        let release = all.get(id).ok_or(StatusCode::NOT_FOUND)?;
        Ok(Json(release["assets"].clone()))
    })
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

async fn upload(
    State(releases): State<Releases>,
    Path(id): Path<usize>,
    Query(Name { name }): Query<Name>,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), StatusCode> {
    releases.with(|all| {
        let assets = all
            .get_mut(id)
            .and_then(|release| release["assets"].as_array_mut())
            .ok_or(StatusCode::NOT_FOUND)?;
        let asset = json!({
            "id": assets.len(),
            "name": name,
            "state": "uploaded",
            "size": body.len(),
            "digest": Digest::sha256_of(&body).as_str(),
        });
        assets.push(asset.clone());
        Ok((StatusCode::CREATED, Json(asset)))
    })
}

impl Releases {
    fn with<T>(&self, look: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        look(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
