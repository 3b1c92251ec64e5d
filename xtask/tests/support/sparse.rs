//! A source with one image whose layer is gigabytes of zeros, and a registry that hashes what it gets and keeps nothing.
//!
//! No layer is ever in memory; the registry accepts the layer only whole and right.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fakes::http::{Body, Server, serve, whole};
use futures_util::stream::{self, StreamExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response};
use xtask::oci::{Descriptor, Digest, Hasher, Manifest, media_type};

use super::images::{OCI_CONFIG, OCI_LAYER};

/// 5 GiB, and the digest of so many zeros.
pub const SIZE: u64 = 5 << 30;
const DIGEST: &str = "sha256:7f06c62352aebd8125b2a1841e2b9e1ffcbed602f381c3dcb3200200e383d1d5";

pub fn image() -> Manifest {
    let layer = Descriptor::new(OCI_LAYER, DIGEST.parse().expect("a digest"), SIZE);
    let config = Descriptor::new(OCI_CONFIG, Digest::sha256_of(b"{}"), 2);
    let document = serde_json::json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [layer]});
    Manifest::new(media_type::OCI_MANIFEST, document.to_string().into())
}

/// Serves [`image`] under every name and tag.
pub async fn source() -> Server {
    serve(|request: Request<Incoming>| async move {
        let path = request.uri().path();
        if path.contains("/manifests/") {
            let manifest = image();
            let response = Response::builder().header("content-type", manifest.media_type());
            return Ok(response
                .body(whole(manifest.bytes().clone()))
                .expect("a response"));
        }
        if !path.ends_with(DIGEST) {
            return Ok(Response::new(whole("{}")));
        }
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        let frames =
            stream::iter(0..SIZE >> 16).map(|_| Ok(Frame::data(Bytes::from_static(&ZEROS))));
        let response = Response::builder().header("content-length", SIZE);
        Ok(response
            .body(StreamBody::new(frames).boxed_unsync())
            .expect("a response"))
    })
    .await
}

/// Takes what is uploaded, one blob at a time, and manifests; `true` once the large layer came whole.
pub async fn destination() -> (Server, Arc<Mutex<bool>>) {
    let arrived = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&arrived);
    let server = serve(move |request: Request<Incoming>| swallow(request, Arc::clone(&arrived)));
    (server.await, seen)
}

async fn swallow(
    request: Request<Incoming>,
    arrived: Arc<Mutex<bool>>,
) -> io::Result<Response<Body>> {
    let (head, mut body) = request.into_parts();
    let mut hasher = Hasher::sha256();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame.map_err(io::Error::other)?.data_ref() {
            hasher.update(data);
        }
    }
    let came = hasher.finish().to_string();
    let status = match head.method {
        Method::POST => 202,
        Method::PATCH => {
            *arrived.lock().expect("no holder panics") = came == DIGEST;
            202
        }
        Method::PUT => 201,
        _ => 404,
    };
    // A blob's digest is in the query; a manifest is the body.
    let query = head.uri.query().unwrap_or_default();
    let named = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("digest="));
    let digest = named.map_or(came, |digest| digest.replace("%3A", ":"));
    let response = Response::builder()
        .status(status)
        .header("docker-content-digest", digest)
        .header("location", head.uri.path());
    Ok(response.body(whole("")).expect("a response"))
}
