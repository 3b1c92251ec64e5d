//! A proxy before a real registry, where requests meet faults as at the fake one.
//!
//! It passes on whole requests and whole responses, and the address that the client has used, so that the registry's
//! `Location` leads through the proxy again.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::fault::meet;
use super::rule::{Rule, Rules};
use crate::http::{Body, Reply, Server, serve};
use crate::lock;

/// Passes requests on until it is dropped. While nobody listens behind it, it closes connections.
pub struct FaultProxy {
    /// `127.0.0.1:port`.
    pub host: String,
    rules: Arc<Mutex<Rules>>,
    arrivals: watch::Sender<usize>,
    _server: Server,
}

impl FaultProxy {
    /// Before the server at `upstream`, an address.
    pub async fn before(upstream: &str) -> FaultProxy {
        let rules = Arc::<Mutex<Rules>>::default();
        let arrivals = watch::Sender::default();
        let upstream = Arc::<str>::from(upstream);
        let server = {
            let (rules, arrivals) = (Arc::clone(&rules), arrivals.clone());
            serve(move |request: Request<Incoming>| {
                let (rules, arrivals, upstream) =
                    (Arc::clone(&rules), arrivals.clone(), Arc::clone(&upstream));
                async move { handle(request, &rules, &arrivals, &upstream).await }
            })
            .await
        };
        FaultProxy {
            host: server.host().to_owned(),
            rules,
            arrivals,
            _server: server,
        }
    }

    /// Requests meet the rule's fault from now on.
    pub fn rule(&self, rule: Rule) {
        lock(&self.rules).add(rule);
    }

    /// No request meets a fault any more.
    pub fn clear(&self) {
        lock(&self.rules).clear();
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        *self.arrivals.borrow()
    }

    /// Waits until so many requests came.
    pub async fn arrived(&self, count: usize) {
        let mut arrivals = self.arrivals.subscribe();
        let enough = arrivals.wait_for(|it| *it >= count).await;
        enough.expect("the sender lives as long as this proxy");
    }
}

async fn handle(
    request: Request<Incoming>,
    rules: &Mutex<Rules>,
    arrivals: &watch::Sender<usize>,
    upstream: &str,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    arrivals.send_modify(|count| *count += 1);
    let fault = lock(rules).take(&head.method, &head.uri.to_string());
    let method = head.method.clone();
    meet(fault, &method, body, async |body: Incoming| {
        pass_on(head, body, upstream).await
    })
    .await
}

async fn pass_on(head: Parts, body: Incoming, upstream: &str) -> io::Result<Reply> {
    let body: Bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let is_head = head.method == Method::HEAD;
    let mut request = Request::from_parts(head, Full::new(body));
    for name in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH] {
        request.headers_mut().remove(name);
    }
    let stream = TcpStream::connect(upstream).await?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    let (head, body) = response.map_err(io::Error::other)?.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    connection.abort();
    let mut reply = Reply::new(head.status.as_u16(), body);
    for (name, value) in &head.headers {
        let is_of_connection = name == CONNECTION || name == TRANSFER_ENCODING;
        if is_of_connection || (name == CONTENT_LENGTH && !is_head) {
            continue;
        }
        let value = value.to_str().map_err(io::Error::other)?;
        reply = reply.with(name.to_string(), value);
    }
    Ok(reply)
}
